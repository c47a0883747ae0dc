/** data-integrity-alg between the kernel and us, on a line that is good and on one that spoils data; from either side. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LineRig } from './drbd-line-rig.ts';
import { MIB } from './drbd-rig.ts';
import { HOSTS, otherOf, primary, secondary } from './drbd-roles.ts';

let line: LineRig;
before(async () => {
  line = await LineRig.started({ net: 'data-integrity-alg sha1;' });
});
after(() => line?.stop());

/** Of bytes from `first` on. */
async function everythingArrives(first: number): Promise<void> {
  const [a, b, c, d] = [first, first + 1, first + 2, first + 3];
  const { rig, relay } = line;
  const { connections } = relay;
  await primary(rig, 'ours');
  await rig.io(
    `write -P ${a} 1M 1M`,
    `write -P ${b} 512 1k`,
    'write -z 1M 64k',
    'write -z -u 1280k 64k',
    'discard 1536k 256k',
    'flush',
    `write -P ${c} 1600k 4k`,
    'flush',
  );
  await secondary(rig, 'ours');
  const mine = await rig.equal();
  assert.deepEqual([mine[MIB], mine[1280 * 1024], mine[1600 * 1024], mine[2 * MIB - 1]], [0, 0, c, a]);
  await primary(rig, 'kern');
  await rig.kernelWrites(1024, d, 3 * MIB, true);
  await rig.sh(`
    blkdiscard -o 3M -l 128k /dev/drbd0
    blkdiscard -z -o 3328k -l 128k /dev/drbd0
    dd if=/dev/urandom of=/dev/drbd0 bs=512 count=3 seek=9 oflag=direct 2>&1`);
  await secondary(rig, 'kern');
  const theirs = await rig.equal();
  assert.deepEqual([theirs[3 * MIB], theirs[3328 * 1024], theirs[4 * MIB - 1]], [0, 0, d]);
  assert.equal(relay.connections, connections, 'on one connection');
}

test('sha1: writes, discards and zeroes of both sides arrive', () => everythingArrives(0x11));

for (const host of HOSTS) {
  const name = host === 'ours' ? 'we send' : 'the kernel sends';

  test(`a byte that ${name} is changed on the way: it is found out, the connection ends, and both are equal soon`, async () => {
    const { rig, relay } = line;
    const kernelSays = await line.listen();
    const { connections } = relay;
    await primary(rig, host);
    const piece = { byte: host === 'ours' ? 0x5a : 0xa5, at: 5 * MIB, kib: 64 };
    relay.spoil(otherOf(host), piece.byte);
    await line.write(host, piece);
    assert.ok(relay.spoilt);
    if (host === 'kern') await rig.told(/were changed on the way \(data-integrity-alg sha1\)/);
    else await kernelSays(/Digest integrity check FAILED/);
    await rig.settled();
    assert.ok(relay.connections > connections);
    await line.bothHold(host, piece);
  });
}

test('crc32c: writes, discards and zeroes of both sides arrive', async () => {
  await line.configure({ net: 'data-integrity-alg crc32c;' });
  await everythingArrives(0x21);
});
