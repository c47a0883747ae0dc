/** A kernel and ours have gone on without each other, both as primary: what becomes of two histories, by the after-sb policies. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { bothPrimary } from './drbd-both.ts';
import { DrbdRig, MIB, sha256 } from './drbd-rig.ts';
import { NbdWriter } from './drbd-writers.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started();
});
after(() => rig?.stop());

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
const meet = (): Promise<void> => rig.order({ verb: 'connect', discardMyData: false });
const bothDisks = (): string[] => [rig.data('ours'), rig.data('kern')].map(sha256);
/** The kernel gives in, by hand. */
async function heal(): Promise<void> {
  await rig.order({ verb: 'disconnect', force: true });
  await rig.sh('drbdsetup-84 secondary 0; drbdadm disconnect r0 || true; drbdadm connect --discard-my-data r0');
  await meet();
  await rig.settled();
  await rig.equal();
}

const LEAST = 'after-sb-0pri discard-least-changes;';
const CALL = `${LEAST} after-sb-2pri call-pri-lost-after-sb;`;
const VIOLENTLY = `${LEAST} after-sb-2pri violently-as0p; rr-conflict violently;`;
for (const [policy, winner, becomes] of [
  [CALL, 'kern', 'Secondary'],
  [VIOLENTLY, 'kern', 'Primary'],
  [VIOLENTLY, 'ours', 'Primary'],
] as const)
  test(`${policy} ${winner} has changed more and goes on, the other is ${becomes} then`, async () => {
    await bothPrimary(rig, { net: policy });
    const marks = await split(winner === 'ours' ? { ours: 64, kern: 8 } : { ours: 8, kern: 64 });
    await meet();
    await rig.settled();
    const all = await rig.equal();
    assert.equal(all[OURS] === marks.ours, winner === 'ours');
    assert.equal(all[KERN] === marks.kern, winner === 'kern');
    const ours = winner === 'ours' ? 'Primary' : becomes;
    assert.equal((await rig.volume()).role, ours);
    const roles = winner === 'ours' ? `${becomes}/Primary` : `Primary/${ours}`;
    assert.equal((await rig.proc()).ro, roles);
  });

test('after-sb-2pri disconnect: both stand alone, both disks as they were, until one gives in by hand', async () => {
  await bothPrimary(rig);
  await split({ ours: 8, kern: 8 });
  const before = bothDisks();
  await meet();
  await rig.until('both have given up', async () => {
    return (await rig.status()).connection === 'StandAlone' && (await rig.proc()).cs === 'StandAlone';
  });
  assert.match((await rig.status()).reasons.map((r) => r.text.en).join('\n'), /after-sb-2pri is disconnect/);
  assert.deepEqual(bothDisks(), before);
  await heal();
});

test('after-sb-2pri violently-as0p without rr-conflict violently: a primary that loses is not overwritten, and stands alone', async () => {
  await bothPrimary(rig, { net: `${LEAST} after-sb-2pri violently-as0p;` });
  await split({ ours: 64, kern: 8 });
  const before = bothDisks();
  await meet();
  await rig.until('the kernel has given up', async () => (await rig.proc()).cs === 'StandAlone');
  assert.notEqual((await rig.status()).connection, 'Connected');
  assert.deepEqual(bothDisks(), before);
  await heal();
});

const LOST = '/run/lost-after-sb';
const HANDLER = `pri-lost-after-sb "echo $DRBD_RESOURCE >${LOST}";`;

test('call-pri-lost-after-sb, the kernel loses: it cannot demote itself amid a handshake, so its handler is called, and it stands alone', async () => {
  await rig.sh(`rm -f ${LOST}`);
  await bothPrimary(rig, { net: CALL, handlers: HANDLER });
  await split({ ours: 64, kern: 8 });
  const before = bothDisks();
  await meet();
  await rig.until(
    'its handler is called',
    async () => (await rig.sh(`cat ${LOST} 2>/dev/null || true`)).trim() === 'r0',
  );
  await rig.until('it stands alone', async () => (await rig.proc()).cs === 'StandAlone');
  assert.deepEqual(bothDisks(), before);
  assert.ok(!existsSync(LOST), 'ours was not called');
  await heal();
});

test('call-pri-lost-after-sb, ours loses and is in use: its handler is called, it stands alone, and its application goes on', async () => {
  await rig.sh(`rm -f ${LOST}`);
  await bothPrimary(rig, { net: CALL, handlers: HANDLER });
  const marks = await split({ ours: 8, kern: 2048 });
  // Far fewer blocks than the kernel has changed.
  const w = new NbdWriter(rig.nbd, 100);
  await rig.until('it is in use', () => w.acknowledged > 0);
  await meet();
  await rig.until('its handler is called', () => existsSync(LOST));
  assert.equal((await rig.status()).connection, 'StandAlone');
  assert.equal((await rig.volume()).role, 'Primary');
  const at = w.acknowledged;
  await rig.until('its application goes on', () => w.acknowledged > at);
  await w.stop();
  assert.deepEqual([rig.data('ours')[OURS], rig.data('kern')[KERN]], [marks.ours, marks.kern]);
  assert.notEqual(rig.data('kern')[OURS], marks.ours);
  assert.notEqual(rig.data('ours')[KERN], marks.kern);
  assert.equal((await rig.sh(`cat ${LOST} 2>/dev/null || true`)).trim(), '', 'the kernel has won');
  await heal();
});
