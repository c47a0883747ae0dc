/** Who is refused, and who gives in: authentication, settings that differ, split brain and its policies. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Settings } from './drbd-conf.ts';
import { DrbdRig, MIB, sha256 } from './drbd-rig.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started();
});
after(() => rig?.stop());

const secret = (algorithm: string, words = 'not-a-secret'): Settings => ({
  net: `cram-hmac-alg ${algorithm}; shared-secret "${words}";`,
});
for (const algorithm of ['sha1', 'sha256'])
  test(`with the same secret, ${algorithm} lets both in`, async () => {
    await rig.configure(secret(algorithm));
    await rig.up();
    await rig.settled();
  });

const refused: readonly (readonly [title: string, ours: Settings, kern: Settings, why: RegExp])[] = [
  ['another secret', secret('sha1', 'guessed'), secret('sha1'), /another shared-secret/],
  ['another algorithm', secret('sha256'), secret('sha1'), /another shared-secret/],
  ['a secret here alone', secret('sha1'), {}, /cram-hmac-alg is set on one side only/],
  ['a secret there alone', {}, secret('sha1'), /the peer wants authentication.*cram-hmac-alg/],
  ['another protocol', { net: 'protocol A;' }, { net: 'protocol C;' }, /protocol/],
];
for (const [title, ours, kern, why] of refused)
  test(`${title}: StandAlone, the reason said once, both disks as they were`, async () => {
    await rig.configure({}, { ours, kern });
    const before = [rig.data('ours'), rig.data('kern')].map(sha256);
    const from = rig.said.length;
    await rig.up();
    await rig.until('ours is StandAlone', async () => (await rig.status()).connection === 'StandAlone');
    const said = rig.said
      .slice(from)
      .split('\n')
      .filter((l) => why.test(l));
    assert.equal(said.length, 1, rig.said.slice(from));
    assert.equal((await rig.volume()).disk, 'UpToDate');
    assert.notEqual((await rig.proc()).cs, 'Connected');
    assert.deepEqual([rig.data('ours'), rig.data('kern')].map(sha256), before);
  });

/** KiB that each side writes while it is alone and primary; undefined: it is not even primary. */
type Split = { readonly ours: number | undefined; readonly kern: number | undefined };
const OURS = 2 * MIB;
const KERN = 12 * MIB;
let serial = 0x40;

/** Both have been primary apart. Ours is StandAlone then, the kernel is waiting. Returns what each has written. */
async function split(w: Split, stay: { readonly ours?: boolean; readonly kern?: boolean } = {}) {
  const marks = { ours: ++serial, kern: ++serial };
  await rig.startOurs();
  await rig.order({ verb: 'disconnect', force: false });
  if (w.ours !== undefined) {
    await rig.order({ verb: 'primary', force: false });
    if (w.ours > 0) await rig.io(`write -P ${marks.ours} ${OURS} ${w.ours}k`, 'flush');
    if (!stay.ours) await rig.order({ verb: 'secondary' });
  }
  await rig.adm('up', 'r0');
  await rig.kernelWrites(w.kern, marks.kern, KERN, stay.kern ?? false);
  return marks;
}
async function wins(who: 'ours' | 'kern', marks: { ours: number; kern: number }, w: Split): Promise<void> {
  await rig.settled();
  const all = await rig.equal();
  if ((w.ours ?? 0) > 0) assert.equal(all[OURS] === marks.ours, who === 'ours');
  if ((w.kern ?? 0) > 0) assert.equal(all[KERN] === marks.kern, who === 'kern');
}

test('a split brain is refused, and ends when one side discards its data: the kernel', async () => {
  await rig.configure({});
  const w = { ours: 64, kern: 8 };
  const marks = await split(w);
  const before = [rig.data('ours'), rig.data('kern')].map(sha256);
  await rig.order({ verb: 'connect', discardMyData: false });
  await rig.until('ours is StandAlone', async () => (await rig.status()).connection === 'StandAlone');
  await rig.until('the kernel too', async () => (await rig.proc()).cs === 'StandAlone');
  assert.match((await rig.status()).reasons.map((r) => r.text.en).join('\n'), /split brain/i);
  assert.deepEqual([rig.data('ours'), rig.data('kern')].map(sha256), before);
  await rig.adm('connect', '--discard-my-data', 'r0');
  await rig.order({ verb: 'connect', discardMyData: false });
  await wins('ours', marks, w);
});
test('or ours', async () => {
  await rig.configure({});
  const w = { ours: 64, kern: 8 };
  const marks = await split(w);
  await rig.order({ verb: 'connect', discardMyData: true });
  await wins('kern', marks, w);
});

type Case = readonly [policy: string, w: Split, winner: 'ours' | 'kern', stay?: { ours?: boolean; kern?: boolean }];
const cases: readonly Case[] = [
  ['after-sb-0pri discard-zero-changes;', { ours: 0, kern: 8 }, 'kern'],
  ['after-sb-0pri discard-zero-changes;', { ours: 8, kern: 0 }, 'ours'],
  ['after-sb-0pri discard-least-changes;', { ours: 64, kern: 8 }, 'ours'],
  ['after-sb-0pri discard-least-changes;', { ours: 8, kern: 64 }, 'kern'],
  ['after-sb-0pri discard-zero-changes; after-sb-1pri consensus;', { ours: 8, kern: 0 }, 'ours', { ours: true }],
  ['after-sb-1pri discard-secondary;', { ours: 8, kern: 64 }, 'ours', { ours: true }],
  ['after-sb-1pri discard-secondary;', { ours: 64, kern: 8 }, 'kern', { kern: true }],
  ['after-sb-0pri discard-least-changes; after-sb-1pri violently-as0p;', { ours: 8, kern: 64 }, 'kern', { kern: true }],
  [
    'after-sb-0pri discard-least-changes; after-sb-1pri call-pri-lost-after-sb;',
    { ours: 64, kern: 8 },
    'ours',
    { ours: true },
  ],
];
for (const [policy, w, winner, stay = {}] of cases)
  test(`${policy} ours wrote ${w.ours} KiB, the kernel ${w.kern}: ${winner} goes on${Object.keys(stay).length > 0 ? ', still primary' : ''}`, async () => {
    await rig.configure({ net: policy });
    const marks = await split(w, stay);
    await rig.order({ verb: 'connect', discardMyData: false });
    await wins(winner, marks, w);
    assert.equal((await rig.volume()).role, stay.ours ? 'Primary' : 'Secondary');
  });

test('discard-local there is discard-remote here', async () => {
  const ours = { net: 'after-sb-0pri discard-remote;' };
  await rig.configure({}, { ours, kern: { net: 'after-sb-0pri discard-local;' } });
  const w = { ours: 8, kern: 64 };
  const marks = await split(w);
  await rig.order({ verb: 'connect', discardMyData: false });
  await wins('ours', marks, w);
});

for (const [policy, winner] of [
  ['discard-younger-primary', 'ours'],
  ['discard-older-primary', 'kern'],
] as const)
  test(`after-sb-0pri ${policy}: ours was primary when they parted, so ${winner} goes on`, async () => {
    await rig.configure({ net: `after-sb-0pri ${policy};` });
    const marks = { ours: ++serial, kern: ++serial };
    await rig.up();
    await rig.settled();
    await rig.order({ verb: 'primary', force: false });
    await rig.adm('disconnect', 'r0');
    await rig.io(`write -P ${marks.ours} ${OURS} 64k`, 'flush');
    await rig.order({ verb: 'secondary' });
    await rig.order({ verb: 'disconnect', force: false });
    await rig.adm('connect', 'r0');
    await rig.kernelWrites(64, marks.kern, KERN, false);
    await rig.order({ verb: 'connect', discardMyData: false });
    await wins(winner, marks, { ours: 64, kern: 64 });
  });
