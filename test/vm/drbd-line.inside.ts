/** A line between the kernel and us that spoils data and holds them back: digests, congestion, ko-count; from either side. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from './drbd-conf.ts';
import { Relay } from './drbd-relay.ts';
import { DrbdRig, MIB } from './drbd-rig.ts';

let rig: DrbdRig;
let relay: Relay;
before(async () => {
  rig = await DrbdRig.started();
  relay = await Relay.start();
});
after(async () => {
  relay?.stop();
  await rig?.stop();
});

type Host = 'ours' | 'kern';
const other = (host: Host): Host => (host === 'ours' ? 'kern' : 'ours');
async function primaryOn(host: Host, both: Settings): Promise<void> {
  await rig.configure(both, {}, 'own', 'relay');
  await rig.up();
  await rig.settled();
  if (host === 'ours') await rig.order({ verb: 'primary', force: false });
  else await rig.adm('primary', 'r0');
}
async function write(host: Host, byte: number, at: number, kib: number): Promise<void> {
  if (host === 'kern') await rig.kernelWrites(kib, byte, at, true);
  else
    await rig.io(
      ...Array.from({ length: kib / 4 }, (_, i) => `aio_write -P ${byte} ${at + i * 4096} 4k`),
      'aio_flush',
      'flush',
    );
}
const kernelSays = async (): Promise<number> => Number((await rig.sh('dmesg | grep -c drbd')).trim());
const kernelSaid = async (since: number, what: RegExp): Promise<boolean> =>
  what.test(await rig.sh(`dmesg | grep drbd | tail -n +${since + 1}`));

for (const algorithm of ['sha1', 'crc32c'])
  test(`data-integrity-alg ${algorithm}: writes, discards and zeroes of both sides arrive`, async () => {
    await primaryOn('ours', { net: `data-integrity-alg ${algorithm};` });
    await rig.io(
      'write -P 0x11 1M 1M',
      'write -P 0x12 512 1k',
      'write -z 1M 64k',
      'write -z -u 1280k 64k',
      'discard 1536k 256k',
      'flush',
      'write -P 0x13 1600k 4k',
      'flush',
    );
    await rig.order({ verb: 'secondary' });
    const mine = await rig.equal();
    assert.deepEqual([mine[MIB], mine[1280 * 1024], mine[1600 * 1024], mine[2 * MIB - 1]], [0, 0, 0x13, 0x11]);
    await rig.adm('primary', 'r0');
    await rig.kernelWrites(1024, 0x14, 3 * MIB, true);
    await rig.sh(`
      blkdiscard -o 3M -l 128k /dev/drbd0
      blkdiscard -z -o 3328k -l 128k /dev/drbd0
      dd if=/dev/urandom of=/dev/drbd0 bs=512 count=3 seek=9 oflag=direct 2>&1`);
    await rig.adm('secondary', 'r0');
    const theirs = await rig.equal();
    assert.deepEqual([theirs[3 * MIB], theirs[3328 * 1024], theirs[4 * MIB - 1]], [0, 0, 0x14]);
    assert.equal((await rig.status()).reasons.filter((r) => /connection|lost/.test(r.text.en)).length, 0);
  });

for (const host of ['ours', 'kern'] as const)
  test(`a byte that ${host} sends is changed on the way: it is not written, the connection ends, and both are equal soon`, async () => {
    await primaryOn(host, { net: 'data-integrity-alg sha1;' });
    const since = await kernelSays();
    relay.spoil(other(host), 0x5a);
    await write(host, 0x5a, 5 * MIB, 64);
    assert.ok(relay.spoilt);
    if (host === 'kern') await rig.told(/were changed on the way \(data-integrity-alg sha1\)/);
    else await rig.until('the kernel tells', () => kernelSaid(since, /Digest integrity check FAILED/));
    await rig.settled();
    assert.ok((await rig.equal()).subarray(5 * MIB, 5 * MIB + 65536).every((b) => b === 0x5a));
  });

const CONGESTION = 'protocol A; congestion-fill 64k; ping-int 20; ko-count 0; timeout 50; connect-int 10;';
for (const host of ['ours', 'kern'] as const) {
  test(`on-congestion pull-ahead: ${host} goes ahead of a slow line, and comes back by a resync of what it kept back`, async () => {
    await primaryOn(host, { net: `${CONGESTION} on-congestion pull-ahead;` });
    relay.hold(other(host));
    const writing = write(host, 0x61, 6 * MIB, 1024);
    const ahead = async (): Promise<number> => {
      if (host === 'ours') {
        const v = await rig.volume();
        return v.connection === 'Ahead' ? v.outOfSync / 1024 : 0;
      }
      const p = await rig.proc();
      return p.cs === 'Ahead' ? (p.counters['oos'] ?? 0) : 0;
    };
    await rig.until('most of it is kept back', async () => (await ahead()) > 512);
    assert.ok((await ahead()) < 1024, 'some of it was sent');
    relay.release();
    // A flush of the application waits for the other side.
    await writing;
    await rig.settled();
    const all = await rig.equal();
    assert.ok(all.subarray(6 * MIB, 7 * MIB).every((b) => b === 0x61));
    if (host === 'kern') await rig.told(/the peer has pulled ahead/);
    await write(host, 0x62, 8 * MIB, 32);
    assert.equal((await rig.equal())[8 * MIB], 0x62);
  });

  test(`on-congestion disconnect: ${host} goes on alone, and the other gets the rest when it is connected again`, async () => {
    await primaryOn(host, { net: `${CONGESTION} on-congestion disconnect;` });
    relay.hold(other(host));
    const writing = write(host, 0x63, 10 * MIB, 1024);
    await rig.until('it stands alone', async () =>
      host === 'ours'
        ? (await rig.status()).connection === 'StandAlone'
        : /StandAlone|Disconnecting/.test((await rig.proc()).cs),
    );
    relay.release();
    await writing;
    if (host === 'ours') await rig.order({ verb: 'connect', discardMyData: false });
    else {
      await rig.until('it is over', async () => (await rig.proc()).cs === 'StandAlone');
      await rig.adm('connect', 'r0');
    }
    await rig.settled();
    assert.ok((await rig.equal()).subarray(10 * MIB, 11 * MIB).every((b) => b === 0x63));
  });

  test(`ko-count: ${host} gives a peer up that answers pings and acknowledges nothing, and its writes go on`, async () => {
    await primaryOn(host, { net: 'ko-count 2;' });
    const since = await kernelSays();
    relay.hold(other(host));
    const began = Date.now();
    await write(host, 0x64, 12 * MIB, 4);
    assert.ok(Date.now() - began > 4000, 'ko-count times timeout is 5 s');
    if (host === 'ours') await rig.told(/did not acknowledge a write within 2 \(ko-count\)/);
    else await rig.until('the kernel tells', () => kernelSaid(since, /ko-count|Timeout/));
    relay.release();
    await rig.settled();
    await sleep(100);
    assert.equal((await rig.equal())[12 * MIB], 0x64);
  });
}
