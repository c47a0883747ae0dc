/** A disk that answers nothing any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ms, us } from '../../../base/index.ts';
import type { DiskOptions, MirrorConfig } from '../../config.ts';
import { AGREED, Rig, rigConfig } from '../rig.fixture.ts';

const SECOND = 1_000_000;
function limited(options: Partial<DiskOptions> = {}): MirrorConfig {
  const c = rigConfig();
  const handlers = { 'local-io-error': 'true' };
  return {
    ...c,
    handlers,
    volumes: c.volumes.map((v) => ({ ...v, options: { ...v.options, diskTimeout: ms(3000), ...options } })),
  };
}
function primary(config = limited()): Rig {
  const r = new Rig(config);
  r.connect();
  r.promote();
  // Its extent is hot from here on.
  write(r, 0);
  acknowledged(r, 0);
  return r;
}
/** Pings are answered. */
function live(r: Rig, time: number): void {
  for (let t = 0; t < time; t += SECOND / 10) {
    r.advance(SECOND / 10);
    for (const p of r.packets()) if (p.kind === 'P_PING') r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
  }
}
const write = (r: Rig, tag: number): void =>
  r.app({ op: 'write', tag, offset: tag * 4096, bytes: new Uint8Array(4096).fill(tag), through: false });
/** The peer has the write. */
function acknowledged(r: Rig, tag: number): void {
  const data = r.packets().find((p) => p.kind === 'P_DATA');
  assert.ok(data?.kind === 'P_DATA');
  const { sector, id } = data;
  r.hear({ kind: 'P_WRITE_ACK', volume: 0, sector, id, size: 4096, seq: tag }, 'meta');
}
const late = (r: Rig): number => r.held.length;
const last = (r: Rig): string => r.resource.status().reasons.at(-1)?.text.en ?? '';

test('a write that the disk keeps for longer than disk-timeout is done by the peer alone, and the disk is detached', () => {
  const r = primary();
  r.holdDisk = () => true;
  write(r, 1);
  acknowledged(r, 1);
  live(r, 2.9 * SECOND);
  assert.deepEqual([r.done.get(1), r.volume.disk], [undefined, 'UpToDate']);
  live(r, 0.5 * SECOND);
  assert.deepEqual([r.done.get(1), r.volume.disk], [undefined, 'Diskless'], 'the peer may not know yet');
  r.hear(AGREED, 'meta');
  assert.equal(r.done.get(1), 0);
  assert.ok(r.effects.some((e) => e.kind === 'abandon'));
  assert.ok(!r.effects.some((e) => e.kind === 'run'), 'on-io-error detach calls nobody');
});
test('a read that is kept is read from the peer', () => {
  const r = primary();
  r.holdDisk = () => true;
  const into = new Uint8Array(4096);
  r.app({ op: 'read', tag: 5, offset: 0, into });
  r.advance(3.5 * SECOND);
  const asked = r.packets().find((p) => p.kind === 'P_DATA_REQUEST');
  assert.ok(asked?.kind === 'P_DATA_REQUEST');
  const { sector, id } = asked;
  const data = new Uint8Array(4096).fill(7);
  r.hear({ kind: 'P_DATA_REPLY', volume: 0, sector, id, seq: 0, flags: 0, digest: new Uint8Array(0), data });
  assert.deepEqual([r.done.get(5), into[0]], [0, 7]);
});
test('pass_on does not keep such a disk, and call-local-io-error calls its program', () => {
  const r = primary(limited({ onIoError: 'pass_on' }));
  r.holdDisk = () => true;
  write(r, 1);
  live(r, 4 * SECOND);
  assert.equal(r.volume.disk, 'Diskless');
  const called = primary(limited({ onIoError: 'call-local-io-error' }));
  called.holdDisk = () => true;
  write(called, 1);
  live(called, 4 * SECOND);
  assert.deepEqual(
    called.effects.flatMap((e) => (e.kind === 'run' ? [e.name] : [])),
    ['local-io-error'],
  );
});
test('it is attached again only when all that was under way there has come back', () => {
  const r = primary();
  r.holdDisk = () => true;
  write(r, 1);
  acknowledged(r, 1);
  live(r, 4 * SECOND);
  r.hear(AGREED, 'meta');
  r.holdDisk = () => false;
  assert.ok(late(r) > 0);
  const refused = r.ask({ verb: 'attach', volume: 0 });
  const answer = r.answers.get(refused);
  assert.equal(answer?.ok, false);
  assert.match(answer?.text.en ?? '', /still at the disk of volume 0/);
  for (const back of r.held.splice(0)) back();
  assert.match(last(r), /the disk has answered/);
  assert.deepEqual([r.volume.disk, r.done.get(1)], ['Diskless', 0], 'what comes late changes nothing');
  r.ask({ verb: 'attach', volume: 0 });
  assert.notEqual(r.volume.disk, 'Diskless');
});
test('a process that was asleep itself reads first what the disk has answered meanwhile', () => {
  const r = primary();
  r.holdDisk = () => true;
  write(r, 1);
  acknowledged(r, 1);
  // Nothing was looked at for a minute; then the tick comes first, and what is done just behind it.
  r.now += 60 * SECOND;
  r.resource.handle({ kind: 'tick' }, us(r.now));
  r.run();
  for (let n = 0; n < 10 && late(r) > 0; n++) for (const back of r.held.splice(0)) back();
  r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
  live(r, 2 * SECOND);
  assert.deepEqual([r.done.get(1), r.volume.disk], [0, 'UpToDate']);
});
test('without a limit a disk may take as long as it wants; with one, an idle or a slow disk that answers stays', () => {
  const none = primary(rigConfig());
  none.holdDisk = () => true;
  write(none, 1);
  live(none, 60 * SECOND);
  assert.equal(none.volume.disk, 'UpToDate');
  const slow = primary();
  live(slow, 20 * SECOND);
  slow.holdDisk = () => true;
  for (let tag = 1; tag < 8; tag++) {
    write(slow, tag);
    acknowledged(slow, tag);
    live(slow, 2 * SECOND);
    for (let n = 0; n < 10 && late(slow) > 0; n++) for (const back of slow.held.splice(0)) back();
  }
  assert.notEqual(slow.volume.disk, 'Diskless');
});
