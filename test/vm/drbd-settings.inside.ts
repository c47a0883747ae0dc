/** Settings that change on a connection, by our file or at the kernel, and what both sides do by them from then on. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADDRESS, DrbdRig, MIB } from './drbd-rig.ts';
import { goesOn, NbdWriter } from './drbd-writers.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started();
});
after(() => rig?.stop());

/** The kernel changes a setting of the connection. */
const kernelSets = (...options: string[]): Promise<string> =>
  rig.sh(`drbdsetup-84 net-options ipv4:${ADDRESS.kern}:7788 ipv4:${ADDRESS.ours}:7788 ${options.join(' ')}`);
const kernelHas = (what: RegExp): Promise<void> =>
  rig.until(`the kernel has ${what}`, async () => what.test(await rig.sh('drbdsetup-84 show r0')));

test('another protocol, taken over from our file or set at the kernel, holds on both sides, and a writer goes on all along', async () => {
  await rig.order({ verb: 'primary', force: false });
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
  const heard = rig.said.length;
  assert.match(await rig.adjustOurs({ net: 'protocol B;' }), /protocol/);
  await rig.until('the kernel has it too', async () => / B r/.test((await rig.proc()).text));
  await goesOn(rig, w);
  await kernelSets('--protocol=A');
  await rig.until('ours has it too', async () => (await rig.status()).protocol === 'A');
  await goesOn(rig, w);
  await w.stop();
  assert.doesNotMatch(rig.said.slice(heard), /no connection/);
  await rig.order({ verb: 'secondary' });
  w.onDisk(await rig.equal());
});

test('max-buffers becomes as small as it may be, on either side, while the other writes much at once: it is slower, and all arrives', async () => {
  await rig.configure({});
  await rig.up();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  const many = (byte: number): string[] =>
    Array.from({ length: 40 }, (_, i) => `aio_write -P ${byte + i} ${8 * MIB + i * 131072} 128k`);
  await kernelSets('--max-buffers=32');
  await rig.io(...many(1), 'aio_flush', 'flush');
  assert.equal((await rig.equal())[8 * MIB + 39 * 131072], 40);
  await rig.order({ verb: 'secondary' });
  await rig.adm('primary', 'r0');
  assert.match(await rig.adjustOurs({ net: 'max-buffers 32;' }), /max-buffers/);
  await rig.sh(`for i in $(seq 0 7); do
      tr '\\0' '\\143' </dev/zero | head -c 1M | dd of=/dev/drbd0 bs=1M seek=$((8 + i)) iflag=fullblock oflag=direct 2>/dev/null &
    done; wait`);
  assert.equal((await rig.equal())[15 * MIB], 0x63);
  assert.equal((await rig.proc()).cs, 'Connected');
  await rig.adm('secondary', 'r0');
});

test('verify-alg and csums-alg, changed at run time by either side, are what both go by from then on', async () => {
  await rig.configure({});
  await rig.up();
  await rig.settled();
  const verify = { verb: 'verify', volume: undefined, start: undefined, stop: undefined } as const;
  const none = await rig.ask(verify);
  assert.ok(!none.ok, 'there is no verify-alg yet');
  const found = (kib: number): Promise<void> =>
    rig.until(`${kib} KiB are known to differ, on both sides`, async () => {
      const [v, p] = [await rig.volume(), await rig.proc()];
      const over = v.connection === 'Connected' && p.cs === 'Connected';
      return over && v.outOfSync === kib * 1024 && p.counters['oos'] === kib;
    });
  const again = async (kib: number): Promise<void> => {
    const before = (await rig.volume()).counters;
    await rig.order({ verb: 'connect', discardMyData: false });
    await rig.settled();
    const { counters } = await rig.volume();
    assert.equal(counters.ns + counters.nr - before.ns - before.nr, kib);
    await rig.equal();
  };

  await rig.order({ verb: 'primary', force: false });
  await rig.io('write -P 0x44 4M 2M', 'flush');
  const said = await rig.adjustOurs({ net: 'verify-alg sha1; csums-alg crc32c;' });
  assert.match(said, /verify-alg.*csums-alg/s);
  await kernelHas(/verify-alg\s+"?sha1/);
  await kernelHas(/csums-alg\s+"?crc32c/);
  rig.rot('kern', 7 * MIB, 8192);
  await rig.order(verify);
  await found(8);
  await rig.order({ verb: 'disconnect', force: false });
  await rig.io('write -P 0x44 4M 2M', 'write -P 0x45 12M 64k', 'flush');
  await again(8 + 64);
  await rig.order({ verb: 'secondary' });

  await rig.adm('primary', 'r0');
  const heard = rig.said.length;
  await kernelSets('--verify-alg=md5', '--csums-alg=sha256');
  await rig.until('ours has it too', () => /kern changed settings/.test(rig.said.slice(heard)));
  rig.rot('ours', 9 * MIB, 4096);
  await rig.adm('verify', 'r0');
  await found(4);
  await rig.order({ verb: 'disconnect', force: false });
  await rig.sh(`
    dd if=/dev/drbd0 of=/run/same bs=1M count=2 skip=4 iflag=direct 2>&1
    dd if=/run/same of=/dev/drbd0 bs=1M seek=4 oflag=direct 2>&1
    dd if=/dev/urandom of=/dev/drbd0 bs=4k count=10 seek=3500 oflag=direct 2>&1`);
  await again(4 + 40);
  await rig.adm('secondary', 'r0');
});

test('csums-alg is not changed in the midst of a resync, on neither side; its rate is', async () => {
  await rig.configure({ net: 'csums-alg crc32c;', disk: 'resync-rate 100K;' });
  await rig.up();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  await rig.adm('disconnect', 'r0');
  await rig.io('write -P 0x71 4M 3M', 'flush');
  await rig.adm('connect', 'r0');
  await rig.until(
    'a resync runs',
    async () => (await rig.volume()).connection === 'SyncSource' && (await rig.proc()).cs === 'SyncTarget',
  );
  await assert.rejects(rig.adjustOurs({ net: 'csums-alg md5;' }), /a resync is under way/);
  await assert.rejects(kernelSets('--csums-alg=md5'), /resync/i);
  assert.equal((await rig.volume()).connection, 'SyncSource');
  await rig.adjustOurs({ disk: 'resync-rate 100M;' });
  await rig.settled();
  await rig.equal();
  await rig.order({ verb: 'secondary' });
});
