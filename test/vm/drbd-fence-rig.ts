/**
 * A rig under fencing. The handler of each host leaves a mark when it is called, and waits until the case has a verdict for it.
 */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DrbdRig } from './drbd-rig.ts';
import { connectionOf, type Host, secondary } from './drbd-roles.ts';
import { GuestWriter, goesOn, NbdWriter } from './drbd-writers.ts';

/** In the /run of each host, which no other sees. */
const CALLED = '/run/fence-called';
const VERDICT = '/run/fence-verdict';
const HANDLER = `fence-peer "echo 1 >>${CALLED}; until [ -s ${VERDICT} ]; do sleep 0.2; done; exit $(cat ${VERDICT})";`;
/** A lost peer is noticed in seconds, and looked for every few: the handshakes are as patient as ever. */
const QUICK = 'ping-int 1; connect-int 3; timeout 9; ko-count 20;';

export const fencing = (policy: 'resource-only' | 'resource-and-stonith') => ({
  net: QUICK,
  disk: `fencing ${policy};`,
  handlers: HANDLER,
});

const ENDS = {
  late: { ours: /its verdict does not count/, kern: /fence-peer helper returned 4/ },
  broken: { ours: /fence-peer is broken/, kern: /fence-peer helper broken, returned 1/ },
} as const;

export class FenceRig {
  readonly rig: DrbdRig;
  constructor(rig: DrbdRig) {
    this.rig = rig;
  }
  /** Both are secondary and connected, and no handler has been called yet. */
  async begin(): Promise<void> {
    for (const f of [CALLED, VERDICT]) rmSync(f, { force: true });
    await this.rig.sh(`rm -f ${CALLED} ${VERDICT}; dmesg -c >/dev/null`);
    await this.rig.settled();
  }

  // ------------------------------------------------------------------------------------------ handlers

  async called(host: Host): Promise<boolean> {
    return host === 'ours' ? existsSync(CALLED) : (await this.rig.sh(`ls ${CALLED} 2>/dev/null || true`)) !== '';
  }
  isCalled(host: Host): Promise<void> {
    return this.rig.until(`the handler of ${host} is called`, () => this.called(host));
  }
  /** The exit code of a handler that is called and waits. */
  async verdict(host: Host, code: number): Promise<void> {
    await this.isCalled(host);
    await this.rules(host, code);
  }
  /** Of every handler from now on. */
  async rules(host: Host, code: number): Promise<void> {
    if (host === 'ours') writeFileSync(VERDICT, `${code}\n`);
    else await this.rig.sh(`echo ${code} >${VERDICT}`);
  }

  /** What it makes of a handler that has ended: `late`, when the other was back; `broken`, with a code that says nothing. */
  async ended(host: Host, how: 'late' | 'broken'): Promise<void> {
    const { ours, kern } = ENDS[how];
    if (host === 'ours') await this.rig.told(ours);
    else await this.rig.until(`${kern} is told`, async () => kern.test(await this.rig.sh('dmesg')));
  }

  // ------------------------------------------------------------------------------------------ what a host says of itself

  async frozen(host: Host): Promise<boolean> {
    if (host === 'ours') return (await this.rig.volume()).suspended !== undefined;
    return / [ABC] s/.test((await this.rig.proc()).text);
  }
  async peerOf(host: Host): Promise<string> {
    return host === 'ours' ? (await this.rig.volume()).peerDisk : ((await this.rig.proc()).ds.split('/')[1] ?? '');
  }
  takenFor(host: Host, disk: string): Promise<void> {
    return this.rig.until(`${host} takes the other for ${disk}`, async () => (await this.peerOf(host)) === disk);
  }
  isAlone(host: Host): Promise<void> {
    return this.rig.until(`${host} is alone`, async () => (await connectionOf(this.rig, host)) === 'WFConnection');
  }

  // ------------------------------------------------------------------------------------------ roles and writers

  async refusedPrimary(host: Host, why: RegExp): Promise<void> {
    if (host === 'ours') {
      const a = await this.rig.ask({ verb: 'primary', force: false });
      assert.ok(!a.ok && why.test(a.code), JSON.stringify(a));
      return;
    }
    const r = await this.rig.vm.run(['/lib/drbd/drbdsetup-84', 'primary', '0']);
    assert.notEqual(r.code, 0);
    assert.match(r.stderr + r.stdout, why);
  }
  /** Writes go on, on the host that is primary. */
  async writerOn(host: Host): Promise<NbdWriter | GuestWriter> {
    const w = host === 'ours' ? new NbdWriter(this.rig.nbd) : new GuestWriter(this.rig.vm);
    await this.goesOn(w);
    return w;
  }
  goesOn(w: NbdWriter | GuestWriter): Promise<void> {
    return goesOn(this.rig, w);
  }
  async standsStill(host: Host, w: NbdWriter | GuestWriter): Promise<void> {
    await this.rig.until(`${host} is frozen`, () => this.frozen(host));
    const at = w.acknowledged;
    await sleep(1500);
    assert.ok(w.acknowledged <= at + 1, `${w.acknowledged - at} writes were acknowledged while it was frozen`);
  }
  /** They are connected again; the writer ends, and so does its primary. */
  async bothHave(w: NbdWriter | GuestWriter): Promise<void> {
    await this.rig.settled();
    await this.goesOn(w);
    await w.stop();
    w.onDisk(await this.rig.equal());
    await secondary(this.rig, w instanceof NbdWriter ? 'ours' : 'kern');
  }
}
