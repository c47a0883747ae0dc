/** Who waits for whose resync, over real sockets. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorDocument, VolumeStatus } from '../../api/index.ts';
import { document, mirror } from '../../cli/mirror/document.fixture.ts';
import { readDrbdConf } from '../../config/drbd/index.ts';
import { filesOf } from '../../config/keepalived/testdata/files.ts';
import type { MirrorConfig } from '../../mirror/index.ts';
import { Turns, underWay, wishesOf } from './turns.ts';

function configOf(after: string | undefined): MirrorConfig {
  const host = (name: string, n: number, of: number): string =>
    `on ${name} { device /dev/drbd${of}; disk /dev/sd${of}; meta-disk internal; address 10.0.0.${n}:779${of}; }`;
  const resource = (name: string, of: number, disk: string): string =>
    `resource ${name} { disk { ${disk} } ${host('a', 1, of)} ${host('b', 2, of)} }\n`;
  const source = resource('one', 0, '') + resource('two', 1, after === undefined ? '' : `resync-after ${after};`);
  const files = filesOf({ '/drbd.conf': source });
  const { config, diagnostics } = readDrbdConf({ file: '/drbd.conf', files, options: { hostName: 'a' } });
  const two = config?.mirrors.find((m) => m.name === 'two');
  assert.ok(two, JSON.stringify(diagnostics));
  return two;
}
const as = (v: Partial<VolumeStatus>): MirrorDocument => {
  const m = mirror();
  return document({ ...m, name: 'one', volumes: m.volumes.map((one) => ({ ...one, ...v })) });
};
async function until(so: () => boolean): Promise<void> {
  for (let i = 0; i < 6000; i++) {
    if (so()) return;
    await sleep(10);
  }
  assert.fail('not after a minute');
}

test('a mirror comes after a resource, one of its volumes, or a minor number; -1 is nobody', () => {
  assert.deepEqual(wishesOf(configOf('one')), [{ of: 0, name: 'one', volume: undefined }]);
  assert.deepEqual(wishesOf(configOf('one/0')), [{ of: 0, name: 'one', volume: 0 }]);
  assert.deepEqual(wishesOf(configOf('0')), [{ of: 0, name: 'one', volume: 0 }]);
  assert.deepEqual(wishesOf(configOf('-1')), []);
});
test('a resync, a verify, and what stands still or would go first; not what is equal or not connected', () => {
  const of = (v: Partial<VolumeStatus>): boolean => as(v).mirrors.some((m) => underWay(m, undefined));
  for (const connection of ['SyncSource', 'SyncTarget', 'VerifyS', 'PausedSyncT'] as const)
    assert.equal(of({ connection }), true, connection);
  for (const connection of ['Connected', 'WFConnection', 'StandAlone', 'Ahead'] as const)
    assert.equal(of({ connection, paused: [] }), false, connection);
  assert.equal(of({ connection: 'Connected', paused: ['dependency'] }), true, 'it comes after another one itself');
  assert.equal(
    as({ connection: 'SyncTarget' }).mirrors.some((m) => underWay(m, 7)),
    false,
    'another volume',
  );
});
test('it waits while the other one says that it is under way, and goes on when that one ends, dies, or is no longer named', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-turns-'));
  const clients = new Set<Socket>();
  let shown = as({ connection: 'Connected', paused: [] });
  const serve = (): Promise<Server> =>
    new Promise((ready) => {
      const s = createServer((c) => {
        clients.add(c);
        c.on('error', () => {});
        c.once('data', () => c.write(`${JSON.stringify(shown)}\n`));
      }).listen(join(folder, 'one.sock'), () => ready(s));
    });
  const told: [number, boolean][] = [];
  const last = (): boolean | undefined => told.at(-1)?.[1];
  const turns = new Turns({
    socket: join(folder, 'two.sock'),
    name: 'two',
    follow: () => () => {},
    set: (volume, busy) => told.push([volume, busy]),
  });
  let server = await serve();
  t.after(() => {
    turns.stop();
    for (const c of clients) c.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const say = (d: MirrorDocument): void => {
    shown = d;
    for (const c of clients) if (!c.destroyed) c.write(`${JSON.stringify(d)}\n`);
  };
  turns.use(configOf('one'));
  await until(() => last() === false);
  say(as({ connection: 'SyncTarget' }));
  await until(() => last() === true);
  say(as({ connection: 'Connected', paused: [] }));
  await until(() => last() === false);
  say(as({ connection: 'SyncSource' }));
  await until(() => last() === true);
  server.close();
  for (const c of clients) c.destroy();
  await until(() => last() === false);
  server = await serve();
  await until(() => last() === true);
  turns.use(configOf(undefined));
  assert.equal(last(), false);
  const before = told.length;
  say(as({ connection: 'SyncSource' }));
  await sleep(50);
  assert.equal(told.length, before, 'nobody listens any more');
});
