/**
 * A disk that answers nothing any more: a block device behind which requests wait for a server that is away, so that none of
 * them can be taken back. Two hosts of ours, one of them on it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AttachBench } from '../support/attach.ts';
import { MirrorHosts } from '../support/mirror-hosts.ts';
import { NbdWriter } from './drbd-writers.ts';

const MIB = 1 << 20;
const SIZE = 24 * MIB;
/** Seconds. */
const LIMIT = 3;

test('a disk that hangs is given up after disk-timeout, who writes goes on by the peer, and it is taken back when it answers', async (t) => {
  const low = new AttachBench(t, SIZE);
  await low.serve();
  await low.attach('fuse');
  const m = new MirrorHosts(SIZE, { ha1: low.device }, `disk-timeout ${LIMIT * 10};`);
  let w: NbdWriter | undefined;
  t.after(async () => {
    w?.kill();
    if (low.server?.running !== true) await low.serve();
    m.end();
  });
  const hangs = async (): Promise<void> => {
    low.kill(low.server, 'SIGKILL');
    await low.server?.exited;
  };
  const goesOn = async (): Promise<void> => {
    const seen = w?.acknowledged ?? 0;
    await m.until('the writer goes on', () => (w?.acknowledged ?? 0) > seen + 20);
  };
  const told = (why: RegExp): Promise<void> =>
    m.until(`${why} is told`, async () => (await m.status('ha1')).reasons.some((r) => why.test(r.text.en)));
  const disksAre = (disks: string): Promise<void> =>
    m.until(disks, async () => {
      const v = (await m.status('ha1')).volumes[0];
      return `${v?.disk}/${v?.peerDisk}` === disks;
    });
  await m.create('ha1', 'ha2');
  await Promise.all([m.start('ha1'), m.start('ha2')]);
  await m.until('both are connected', async () => (await m.status('ha1')).connection === 'Connected');
  await m.order('ha1', { verb: 'primary', force: true });
  await m.settled('ha1');
  w = new NbdWriter(m.nbd('ha1'));
  await goesOn();

  const began = performance.now();
  await hangs();
  await disksAre('Diskless/UpToDate');
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds >= LIMIT && seconds < LIMIT + 10, `given up after ${seconds} s`);
  await told(/the disk did not answer within 3000 ms \(disk-timeout\) and was detached; \d+ requests are still there/);
  const seen = (await m.status('ha2')).volumes[0];
  assert.deepEqual([seen?.peerDisk, seen?.peerRole], ['Diskless', 'Primary']);
  await goesOn();
  const refused = await m.ask('ha1', { verb: 'attach', volume: undefined });
  assert.ok(!refused.ok);
  assert.match(
    refused.text.en,
    /\d+ requests from before the detach are still at the disk of volume 0: attach it when/,
  );
  await goesOn();

  await low.serve();
  await told(/the disk has answered all that was asked of it/);
  await m.order('ha1', { verb: 'attach', volume: undefined });
  await m.settled('ha1');
  await goesOn();
  await w.stop();
  await m.order('ha1', { verb: 'secondary' });
  const size = (await m.status('ha1')).volumes[0]?.size ?? 0;
  // What is on the file behind the device, when that has been flushed.
  await low.run(['blockdev', '--flushbufs', low.device]);
  const [a, b] = [readFileSync(low.disk).subarray(0, size), m.data('ha2', size)];
  assert.ok(a.equals(b), 'both disks are equal');
  w.onDisk(a);

  // A process whose requests are in such a disk leaves the peer in order and gives up its port; the kernel keeps what is left of it.
  await m.order('ha1', { verb: 'primary', force: false });
  await hangs();
  w = new NbdWriter(m.nbd('ha1'));
  await disksAre('Diskless/UpToDate');
  await w.stop();
  const p = m.process('ha1');
  p.kill('SIGTERM');
  await m.until('the peer is left', async () => (await m.status('ha2')).connection === 'WFConnection');
  await m.until('the port is free', () => canListen('127.0.0.1', 7788));
  await sleep(500);
  assert.equal(p.exitCode, null, 'its requests cannot be taken back');
  const gone = once(p, 'exit');
  await low.serve();
  assert.deepEqual(await gone, [0, null]);
});
const canListen = (host: string, port: number): Promise<boolean> =>
  new Promise((done) => {
    const s = createServer().on('error', () => done(false));
    s.listen(port, host, () => s.close(() => done(true)));
  });
