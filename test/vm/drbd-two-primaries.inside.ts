/** A kernel and ours, both primary: writes of both, to one place at once too, and what becomes of two histories. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { DrbdRig, MIB, sha256 } from './drbd-rig.ts';
import { GuestWriter, goesOn, NbdWriter } from './drbd-writers.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started();
});
after(() => rig?.stop());

const TWO = 'allow-two-primaries yes;';
type First = 'ours' | 'kern';

/** Who is there first opens the data socket, and thereby has the other open, and itself accept, the meta socket: it decides. */
async function bothPrimary(net = '', first: First = 'ours', handlers = ''): Promise<void> {
  await rig.configure({ net: `${TWO} ${net}`, handlers });
  if (first === 'ours') await rig.up();
  else {
    await rig.adm('up', 'r0');
    await rig.startOurs();
  }
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  await rig.adm('primary', 'r0');
  assert.equal((await rig.proc()).ro, 'Primary/Primary');
}

/** In the guest: 8 KiB at one of four places that overlap by half, `count` times, each another byte. */
const hammer = (count: number): string => `
const fs = require('node:fs');
const fd = fs.openSync('/dev/drbd0', fs.constants.O_RDWR | fs.constants.O_SYNC);
for (let n = 0; n < ${count}; n++) fs.writeSync(fd, Buffer.alloc(8192, 129 + (n % 120)), 0, 8192, ${MIB} + (n % 4) * 4096);
`;

for (const first of ['ours', 'kern'] as const)
  test(`both write the same places at once, ${first} was there first: every write is answered, and both disks end equal`, async () => {
    await bothPrimary('', first);
    const logged = await collisionsOfKernel();
    const guest = rig.vm.run([process.execPath, '-e', hammer(300)]);
    let rounds = 0;
    let over = false;
    void guest.then(() => {
      over = true;
    });
    while (!over) {
      const many = Array.from(
        { length: 64 },
        (_, i) => `aio_write -P ${1 + (i % 120)} ${MIB + (i % 5) * 4096} ${i % 3 === 0 ? 12 : 4}k`,
      );
      await rig.io(...many, 'aio_flush', 'flush');
      rounds++;
    }
    const r = await guest;
    assert.equal(r.code, 0, r.stderr);
    await rig.settled();
    await rig.equal();
    const ours = (await rig.status()).reasons.filter((m) => m.code === 'mirror.collision').length;
    const kern = (await collisionsOfKernel()) - logged;
    assert.ok(ours + kern > 0, `no write collided in ${rounds} rounds`);
  });
const collisionsOfKernel = async (): Promise<number> =>
  Number((await rig.sh('dmesg | grep -c "Concurrent writes detected" || true')).trim());

test('what one has written the other reads, in turns at one place', async () => {
  await bothPrimary();
  for (let n = 0; n < 5; n++) {
    await rig.io(`write -P ${0x20 + n} 2M 8k`);
    const read = await rig.sh('dd if=/dev/drbd0 bs=8k skip=256 count=1 iflag=direct 2>/dev/null | od -An -tx1 -w8192');
    assert.match(read.trim(), new RegExp(`^(${(0x20 + n).toString(16)} ?){8192}$`));
    await rig.kernelWrites(8, 0xa0 + n, 2 * MIB, true);
    await rig.io(`read -P ${0xa0 + n} 2M 8k`);
  }
  await rig.equal();
});

test('one of both loses its power and comes back: the other goes on, and both can be primary again', async () => {
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  rig.kill();
  await rig.until('the kernel is alone', async () => (await rig.proc()).cs === 'WFConnection');
  await goesOn(rig, w);
  await rig.startOurs();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  const mine = new NbdWriter(rig.nbd);
  await goesOn(rig, mine);
  await goesOn(rig, w);
  await Promise.all([mine.stop(), w.stop()]);
  await rig.settled();
  await rig.equal();
});

// -------------------------------------------------------------------------------------------- two histories

const OURS = 2 * MIB;
const KERN = 12 * MIB;
let serial = 0x30;

/** Both go on without each other. Ours is StandAlone then, the kernel waits. Returns what each has written. */
async function split(kib: { readonly ours: number; readonly kern: number }) {
  const marks = { ours: ++serial, kern: ++serial };
  await rig.order({ verb: 'disconnect', force: false });
  await rig.io(`write -P ${marks.ours} ${OURS} ${kib.ours}k`, 'flush');
  await rig.kernelWrites(kib.kern, marks.kern, KERN, true);
  return marks;
}

const VIOLENTLY = 'after-sb-2pri violently-as0p; rr-conflict violently;';
for (const [policy, winner, loser] of [
  ['after-sb-2pri call-pri-lost-after-sb;', 'kern', 'Secondary'],
  [VIOLENTLY, 'kern', 'Primary'],
  [VIOLENTLY, 'ours', 'Primary'],
] as const)
  test(`${policy} ${winner} has changed more and goes on, the other is ${loser} then`, async () => {
    await bothPrimary(`after-sb-0pri discard-least-changes; ${policy}`);
    const marks = await split(winner === 'ours' ? { ours: 64, kern: 8 } : { ours: 8, kern: 64 });
    await rig.order({ verb: 'connect', discardMyData: false });
    await rig.settled();
    const all = await rig.equal();
    assert.equal(all[OURS] === marks.ours, winner === 'ours');
    assert.equal(all[KERN] === marks.kern, winner === 'kern');
    const ours = winner === 'ours' ? 'Primary' : loser;
    assert.equal((await rig.volume()).role, ours);
    const roles = winner === 'ours' ? `${loser}/Primary` : `Primary/${ours}`;
    await rig.until(`the kernel says ${roles}`, async () => (await rig.proc()).ro === roles);
  });

const standAlone = async (): Promise<void> => {
  await rig.until('both have given up', async () => {
    return (await rig.status()).connection === 'StandAlone' && (await rig.proc()).cs === 'StandAlone';
  });
};
/** The kernel gives in, by hand. */
async function heal(): Promise<void> {
  await rig.order({ verb: 'disconnect', force: true });
  await rig.sh('drbdsetup-84 secondary 0; drbdadm disconnect r0 || true; drbdadm connect --discard-my-data r0');
  await rig.order({ verb: 'connect', discardMyData: false });
  await rig.settled();
  await rig.equal();
}

test('after-sb-2pri disconnect: both stand alone, both disks as they were, until one gives in by hand', async () => {
  await bothPrimary();
  await split({ ours: 8, kern: 8 });
  const before = [rig.data('ours'), rig.data('kern')].map(sha256);
  await rig.order({ verb: 'connect', discardMyData: false });
  await standAlone();
  assert.match((await rig.status()).reasons.map((r) => r.text.en).join('\n'), /after-sb-2pri is disconnect/);
  assert.deepEqual([rig.data('ours'), rig.data('kern')].map(sha256), before);
  await heal();
});

test('after-sb-2pri violently-as0p without rr-conflict violently: a primary is not overwritten, both give up', async () => {
  await bothPrimary('after-sb-0pri discard-least-changes; after-sb-2pri violently-as0p;');
  await split({ ours: 64, kern: 8 });
  const before = [rig.data('ours'), rig.data('kern')].map(sha256);
  await rig.order({ verb: 'connect', discardMyData: false });
  await rig.until('the kernel has given up', async () => (await rig.proc()).cs === 'StandAlone');
  assert.notEqual((await rig.status()).connection, 'Connected');
  assert.deepEqual([rig.data('ours'), rig.data('kern')].map(sha256), before);
  await heal();
});

/** DRBD 8.4 cannot demote itself amid a handshake: as the loser it calls its handler even where nobody uses its device. */
const LOST = '/run/lost-after-sb';
for (const [loser, use] of [
  ['kern', 'is not in use'],
  ['kern', 'is in use'],
  ['ours', 'is in use'],
] as const)
  test(`call-pri-lost-after-sb: ${loser} loses and ${use}: its handler is called, it stands alone, and nobody is overwritten`, async () => {
    const net = 'after-sb-0pri discard-least-changes; after-sb-2pri call-pri-lost-after-sb;';
    await rig.sh(`rm -f ${LOST}`);
    await bothPrimary(net, 'ours', `pri-lost-after-sb "echo $DRBD_RESOURCE >${LOST}";`);
    const marks = await split(loser === 'kern' ? { ours: 64, kern: 8 } : { ours: 8, kern: 4096 });
    const held = loser === 'kern' && use === 'is in use';
    const holder = rig.vm.spawn(['sh', '-c', `exec sleep 600 ${held ? '<>/dev/drbd0' : ''}`]);
    const writers = loser === 'ours' ? Array.from({ length: 4 }, () => new NbdWriter(rig.nbd)) : [];
    for (const w of writers) await goesOn(rig, w);
    await rig.order({ verb: 'connect', discardMyData: false });
    await rig.until('its handler is called', async () =>
      loser === 'ours' ? existsSync(LOST) : (await rig.sh(`cat ${LOST} 2>/dev/null || true`)).trim() === 'r0',
    );
    await rig.until('it stands alone', async () =>
      loser === 'ours' ? (await rig.status()).connection === 'StandAlone' : (await rig.proc()).cs === 'StandAlone',
    );
    for (const w of writers) await w.stop();
    assert.equal(rig.data('kern')[KERN], marks.kern);
    assert.notEqual(rig.data('kern')[OURS], marks.ours);
    assert.notEqual(rig.data('ours')[KERN], marks.kern);
    holder.kill();
    await holder.exited;
    await heal();
  });
