/**
 * Fencing between a kernel and us: what a primary does that loses the other, on either side, and what follows from each verdict
 * of its handler. The handler of each host leaves a mark when it is called, and waits until the case has a verdict for it.
 */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DrbdRig, MIB } from './drbd-rig.ts';
import { GuestWriter, goesOn, NbdWriter } from './drbd-writers.ts';

type Host = 'ours' | 'kern';
type Policy = 'resource-only' | 'resource-and-stonith';
/** In the /run of each host, which no other sees. */
const CALLED = '/run/fence-called';
const VERDICT = '/run/fence-verdict';
/** A lost peer is noticed in seconds, and looked for every few: the handshakes are as patient as ever. */
const QUICK = 'ping-int 1; connect-int 3; timeout 9; ko-count 20;';
const HANDLER = `fence-peer "echo 1 >>${CALLED}; until [ -s ${VERDICT} ]; do sleep 0.2; done; exit $(cat ${VERDICT})";`;

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started();
});
after(() => rig?.stop());

/** Both are secondary, connected, and no handler has been called yet. */
async function configured(policy: Policy): Promise<void> {
  rig.cable('up');
  for (const f of [CALLED, VERDICT]) rmSync(f, { force: true });
  await rig.sh(`rm -f ${CALLED} ${VERDICT}`);
  if (policy !== configuredAs) {
    await rig.configure({ net: QUICK, disk: `fencing ${policy};`, handlers: HANDLER });
    await rig.up();
  }
  configuredAs = policy;
  await rig.settled();
}
let configuredAs: Policy | undefined;
async function secondary(host: Host): Promise<void> {
  if (host === 'ours') await rig.order({ verb: 'secondary' });
  else await rig.adm('secondary', 'r0');
}
const called = async (host: Host): Promise<boolean> =>
  host === 'ours' ? existsSync(CALLED) : (await rig.sh(`ls ${CALLED} 2>/dev/null || true`)) !== '';
async function verdict(host: Host, code: number): Promise<void> {
  await rig.until(`the handler of ${host} is called`, () => called(host));
  if (host === 'ours') writeFileSync(VERDICT, `${code}\n`);
  else await rig.sh(`echo ${code} >${VERDICT}`);
}
const frozen = async (host: Host): Promise<boolean> =>
  host === 'ours' ? (await rig.volume()).suspended !== undefined : / [ABC] s/.test((await rig.proc()).text);
const peerOf = async (host: Host): Promise<string> =>
  host === 'ours' ? (await rig.volume()).peerDisk : ((await rig.proc()).ds.split('/')[1] ?? '');
const takenFor = (host: Host, disk: string): Promise<void> =>
  rig.until(`${host} takes the other for ${disk}`, async () => (await peerOf(host)) === disk);

async function primary(host: Host): Promise<void> {
  if (host === 'ours') await rig.order({ verb: 'primary', force: false });
  else await rig.adm('primary', 'r0');
}
/** As the primary that it is; with what it has written, stopped and looked at on both disks. */
function writerOn(host: Host): NbdWriter | GuestWriter {
  return host === 'ours' ? new NbdWriter(rig.nbd) : new GuestWriter(rig.vm);
}
async function bothHave(w: NbdWriter | GuestWriter): Promise<void> {
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  w.onDisk(await rig.equal());
  await secondary(w instanceof NbdWriter ? 'ours' : 'kern');
}
async function standsStill(host: Host, w: NbdWriter | GuestWriter): Promise<void> {
  await rig.until(`${host} is frozen`, () => frozen(host));
  const at = w.acknowledged;
  await sleep(1500);
  assert.ok(w.acknowledged <= at + 1, `${w.acknowledged - at} writes were acknowledged while it was frozen`);
}
const refusedPrimary = async (host: Host, why: RegExp): Promise<void> => {
  if (host === 'ours') {
    const a = await rig.ask({ verb: 'primary', force: false });
    assert.ok(!a.ok && why.test(`${a.code} ${a.text.en}`), JSON.stringify(a));
    return;
  }
  const r = await rig.vm.run(['/lib/drbd/drbdsetup-84', 'primary', '0']);
  assert.notEqual(r.code, 0);
  assert.match(r.stderr + r.stdout, why);
};

for (const host of ['kern', 'ours'] as const) {
  const other = host === 'kern' ? 'we' : 'the kernel';
  const name = host === 'kern' ? 'the kernel' : 'ours';

  test(`resource-only: ${name} as the primary goes on while its handler works, and ${other} get what was missed`, async () => {
    await configured('resource-only');
    await primary(host);
    const w = writerOn(host);
    await goesOn(rig, w);
    rig.cable('down');
    await rig.until('its handler is called', () => called(host));
    await goesOn(rig, w);
    assert.equal(await frozen(host), false);
    await verdict(host, 4);
    await takenFor(host, 'Outdated');
    rig.cable('up');
    await bothHave(w);
  });

  test(`${name} alone becomes primary only when its handler is sure of the other`, async () => {
    await configured('resource-only');
    rig.cable('down');
    await rig.until('both are alone', async () => {
      return (await rig.status()).connection === 'WFConnection' && (await rig.proc()).cs === 'WFConnection';
    });
    await Promise.all([
      verdict(host, 1),
      refusedPrimary(host, host === 'ours' ? /^fenced/ : /\(-7\)|Refusing to be Primary/),
    ]);
    await (host === 'ours' ? writeFileSync(VERDICT, '4\n') : rig.sh(`echo 4 >${VERDICT}`));
    await primary(host);
    assert.equal(await peerOf(host), 'Outdated');
    const w = writerOn(host);
    await goesOn(rig, w);
    rig.cable('up');
    await bothHave(w);
  });
}

test('a secondary that leaves the other of its own will is Outdated then, here and there, and no handler is called', async () => {
  await configured('resource-only');
  await primary('ours');
  await rig.adm('disconnect', 'r0');
  assert.match((await rig.proc()).ds, /^Outdated/);
  await takenFor('ours', 'Outdated');
  await refusedPrimary('kern', /\(-2\)/);
  await rig.io('write -P 0x61 4M 64k', 'flush');
  await rig.adm('connect', 'r0');
  await rig.settled();
  assert.equal((await rig.equal())[4 * MIB], 0x61);
  await rig.order({ verb: 'secondary' });
  await primary('kern');
  await rig.order({ verb: 'disconnect', force: false });
  assert.equal((await rig.volume()).disk, 'Outdated');
  await takenFor('kern', 'Outdated');
  await refusedPrimary('ours', /^no-good-disk/);
  await rig.kernelWrites(64, 0x62, 8 * MIB, true);
  await rig.order({ verb: 'connect', discardMyData: false });
  await rig.settled();
  assert.equal((await rig.equal())[8 * MIB], 0x62);
  await secondary('kern');
  assert.deepEqual([await called('ours'), await called('kern')], [false, false]);
});

for (const host of ['kern', 'ours'] as const) {
  const name = host === 'kern' ? 'the kernel' : 'ours';

  test(`resource-and-stonith: ${name} acknowledges nothing until its handler says that the other is cut off`, async () => {
    await configured('resource-and-stonith');
    await primary(host);
    const w = writerOn(host);
    await goesOn(rig, w);
    rig.cable('down');
    await standsStill(host, w);
    await verdict(host, 7);
    await takenFor(host, 'Outdated');
    await goesOn(rig, w);
    rig.cable('up');
    await bothHave(w);
  });

  test(`resource-and-stonith: the other is back before the handler of ${name} ends: what was under way is sent again`, async () => {
    await configured('resource-and-stonith');
    await primary(host);
    const w = writerOn(host);
    await goesOn(rig, w);
    const generation = (await rig.volume()).uuids[0].slice(0, 15);
    rig.cable('down');
    await standsStill(host, w);
    rig.cable('up');
    await bothHave(w);
    assert.equal((await rig.volume()).uuids[0].slice(0, 15), generation, 'nothing was done without the other');
    await verdict(host, 4);
    await sleep(500);
    assert.equal(await peerOf(host), 'UpToDate', 'a verdict that comes late changes nothing');
  });

  test(`resource-and-stonith: a handler of ${name} that is broken leaves it frozen, until resume-io`, async () => {
    await configured('resource-and-stonith');
    await primary(host);
    const w = writerOn(host);
    await goesOn(rig, w);
    rig.cable('down');
    await verdict(host, 1);
    await standsStill(host, w);
    if (host === 'ours') await rig.order({ verb: 'resume-io', volume: undefined });
    else await rig.sh('drbdsetup-84 resume-io 0');
    await goesOn(rig, w);
    rig.cable('up');
    await bothHave(w);
  });
}

test('what its handler outdates by another way stays out of date until it is connected again: ours, and the kernel', async () => {
  await configured('resource-and-stonith');
  await primary('kern');
  rig.cable('down');
  await rig.until('the handler is called', () => called('kern'));
  await rig.until('ours knows', async () => (await rig.status()).connection === 'WFConnection');
  await rig.order({ verb: 'outdate', volume: undefined });
  await verdict('kern', 4);
  await takenFor('kern', 'Outdated');
  await rig.kernelWrites(64, 0x63, 9 * MIB, true);
  await refusedPrimary('ours', /^no-good-disk/);
  rig.cable('up');
  await rig.settled();
  assert.equal((await rig.equal())[9 * MIB], 0x63);
  await rig.adm('secondary', 'r0');
  await primary('ours');
  rig.cable('down');
  await rig.until('the handler is called', () => called('ours'));
  await rig.until('the kernel knows', async () => (await rig.proc()).cs === 'WFConnection');
  await rig.sh('drbdsetup-84 outdate 0');
  await verdict('ours', 4);
  await takenFor('ours', 'Outdated');
  await rig.io('write -P 0x64 10M 64k', 'flush');
  await refusedPrimary('kern', /\(-2\)/);
  rig.cable('up');
  await rig.settled();
  assert.equal((await rig.equal())[10 * MIB], 0x64);
});
