/** Two hosts of the lab with one mirror, for tests that mount its device. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorDocument, VolumeStatus } from '../../src/api/index.ts';
import { MirrorPair, type PairHost } from '../../src/lab/index.ts';

const root = join(import.meta.dirname, '../..');
export const MIB = 1 << 20;
/** Of what a busy machine may need for anything. Milliseconds. */
const PATIENCE_MS = 90_000;
const device =
  process.getuid?.() === 0 && (existsSync('/dev/nbd0') || (existsSync('/dev/fuse') && existsSync('/dev/loop-control')));
export const noDevices = device ? false : 'needs root, and nbd or /dev/fuse with /dev/loop-control';

/** A peer that is slow is not taken for dead: without fencing a primary goes on alone then, and what it writes is on one host. */
export const CALM = 'timeout 50; connect-int 5; ping-int 5; ping-timeout 60;';
export const FAST = `net { ${CALM} }\n disk { c-plan-ahead 0; resync-rate 200M; }`;
export async function startPair(
  t: TestContext,
  o: { readonly size: number; readonly sections?: string },
): Promise<MirrorPair> {
  const pair = await MirrorPair.start({
    name: 'data',
    size: o.size,
    sections: o.sections ?? FAST,
    holdfast: join(root, 'bin/holdfast'),
    folder: join(root, 'build'),
  });
  t.after(() => pair.stop());
  return pair;
}
/** What ran and must have ended well; returns what it printed. */
export async function good(ran: ReturnType<MirrorPair['run']>): Promise<string> {
  const { exit, stdout, stderr } = await ran;
  assert.equal(exit.code, 0, `${stdout}\n${stderr}`);
  return stdout;
}
export async function volumeOf(pair: MirrorPair, h: PairHost): Promise<VolumeStatus | undefined> {
  const { stdout } = await pair.mirror(h, 'status', '--json');
  try {
    return (JSON.parse(stdout) as MirrorDocument).mirrors[0]?.volumes[0];
  } catch {
    return undefined;
  }
}
export async function until(
  pair: MirrorPair,
  h: PairHost,
  so: (v: VolumeStatus) => boolean,
  what: string,
): Promise<VolumeStatus> {
  let last: VolumeStatus | undefined;
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(100)) {
    last = await volumeOf(pair, h);
    if (last !== undefined && so(last)) return last;
  }
  const log = await pair.run(h, ['sh', '-c', 'tail -n 30 /run/holdfast/mirror/data.log /run/holdfast/attach/data.log']);
  assert.fail(`${h}: not ${what} after ${PATIENCE_MS / 1000} s: ${JSON.stringify(last)}\n${log.stdout}`);
}
export const inSync = (v: VolumeStatus): boolean =>
  v.connection === 'Connected' && v.disk === 'UpToDate' && v.peerDisk === 'UpToDate';
/** Both up, ha1 primary with its device; the first resync begins. */
export async function found(pair: MirrorPair): Promise<void> {
  for (const h of ['ha1', 'ha2'] as const) {
    await good(pair.create(h));
    await good(pair.up(h));
  }
  await until(pair, 'ha1', (v) => v.connection === 'Connected', 'connected');
  await good(pair.mirror('ha1', 'primary', 'data', '--accept-data-loss=data'));
}
/** Both up with equal disks, ha1 primary, its device made. */
export async function begin(pair: MirrorPair): Promise<void> {
  await found(pair);
  await good(pair.mirror('ha1', 'wait', 'data', '--timeout=90'));
  await until(pair, 'ha1', inSync, 'in sync');
}
