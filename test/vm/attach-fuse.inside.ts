import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AttachBench, survivesRestarts } from '../support/attach.ts';

test('ext4 on nbdfuse and a loop device survives the death and the restart of its server', (t) =>
  survivesRestarts(t, 'fuse', 24));

test('a holder that is killed leaves neither loop device nor mount', async (t) => {
  const b = new AttachBench(t, 16 << 20);
  await b.serve();
  await b.attach('fuse');
  const device = b.attached?.lines.map((l) => / -> \/dev\/(loop\d+)/.exec(l.text)?.[1]).find((d) => d) ?? assert.fail();
  assert.match(readFileSync(`/sys/block/${device}/loop/backing_file`, 'utf8'), /d\.mnt\/disk/);
  assert.equal(readFileSync(`/sys/block/${device}/loop/autoclear`, 'utf8').trim(), '1');
  b.kill(b.attached, 'SIGKILL');
  const left = (): boolean => readFileSync('/proc/self/mountinfo', 'utf8').includes('d.mnt');
  for (let i = 0; i < 600 && (left() || existsSync(`/sys/block/${device}/loop`)); i++) await sleep(50);
  assert.ok(!left());
  assert.ok(!existsSync(`/sys/block/${device}/loop`));
});
