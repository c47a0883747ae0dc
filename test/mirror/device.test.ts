/** `holdfast mirror up`: the device of a primary, through roles, restarts and kills of the mirror process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorPair } from '../../src/lab/index.ts';
import { begin, good, inSync, MIB, noDevices, startPair, until } from '../support/mirror-pair.ts';

/** The mirror process itself, not its keeper. */
const signal = (pair: MirrorPair, name: string): Promise<string> =>
  good(pair.run('ha1', ['pkill', `-${name}`, '-f', 'mirror run data']));

test('a primary has its device, a secondary refuses it in one line, and a file system outlives kills of the mirror process', {
  skip: noDevices,
  timeout: 240_000,
}, async (t) => {
  const pair = await startPair(t, { size: 64 * MIB });
  await begin(pair);
  await good(pair.run('ha1', ['mkfs.ext4', '-q', '/dev/holdfast/data']));
  await good(pair.run('ha1', ['mount', '/dev/holdfast/data', '/srv/data']));

  const none = await pair.run('ha2', ['test', '-e', '/dev/holdfast/data']);
  assert.equal(none.exit.code, 1, 'a secondary has no device');
  const uri = 'nbd+unix:///data?socket=/run/holdfast/mirror/data.nbd';
  const refused = await pair.run('ha2', ['qemu-io', '-f', 'raw', uri, '-c', 'write 0 4k']);
  assert.notEqual(refused.exit.code, 0);
  assert.match(
    refused.stderr,
    /data is secondary on ha2: nobody may read or write it here; holdfast mirror primary data/,
  );

  for (const name of ['KILL', 'TERM']) {
    // Block by block, until it is told that the process has gone, and some more.
    const file = `/srv/data/${name}`;
    const write = `dd if=/dev/urandom of=${file} bs=64k count=1 seek=$n oflag=direct conv=notrunc,fsync status=none && echo $n`;
    const loop = `set -e; n=0; more=20; while [ $more -gt 0 ]; do ${write}; n=$(((n + 1) % 160)); [ ! -e /run/gone-${name} ] || more=$((more - 1)); done`;
    const copy = pair.host('ha1').spawn(['sh', '-c', loop]);
    await copy.line(/^10$/, 60_000);
    await signal(pair, name);
    pair.host('ha1').write(`/run/gone-${name}`, '');
    assert.equal((await copy.exited).code, 0, copy.text('stderr'));
    await until(pair, 'ha1', (v) => v.role === 'Primary' && inSync(v), 'primary and in sync again');
  }

  const busy = await pair.mirror('ha1', 'secondary', 'data');
  assert.equal(busy.exit.code, 4);
  assert.match(busy.stderr, /^✗ data: data is mounted on \/srv\/data: umount \/srv\/data first$/m);
  const sums = await good(pair.run('ha1', ['sh', '-c', 'sha256sum /srv/data/KILL /srv/data/TERM && umount /srv/data']));
  await good(pair.mirror('ha1', 'secondary', 'data'));
  assert.equal((await pair.run('ha1', ['test', '-L', '/dev/holdfast/data'])).exit.code, 1, 'the device went');

  await good(pair.mirror('ha2', 'primary', 'data'));
  await good(pair.run('ha2', ['mount', '/dev/holdfast/data', '/srv/data']));
  assert.equal(await good(pair.run('ha2', ['sh', '-c', 'sha256sum /srv/data/KILL /srv/data/TERM'])), sums);
  await good(pair.run('ha2', ['umount', '/srv/data']));
  for (const h of ['ha2', 'ha1'] as const) {
    await good(pair.mirror(h, 'down', 'data'));
    const left = async (): Promise<string> => (await pair.run(h, ['pgrep', '-af', 'mirror (run|keep)|attach'])).stdout;
    for (const end = performance.now() + 60_000; (await left()) !== '' && performance.now() < end; ) await sleep(50);
    assert.equal(await left(), '', 'nothing runs after down');
    assert.equal((await pair.mirror(h, 'status')).exit.code, 3, 'nobody answers after down');
  }
});
