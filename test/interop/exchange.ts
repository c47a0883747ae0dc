/** The life that two routers of different make live together; every interoperation test is this with another configuration. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { now } from '../../src/lab/index.ts';
import { Stalls } from '../support/stalls.ts';
import { type InstanceConf, renderConf } from './conf.ts';
import { LINK, Rig, routerAddress, type Software } from './rig.ts';

/** Who is the master (priority 150) and who the backup (100). */
export const roles = [
  { master: 'holdfast', backup: 'keepalived' },
  { master: 'keepalived', backup: 'holdfast' },
] as const satisfies readonly { master: Software; backup: Software }[];

export type Exchange = {
  /** Both routers' instance but for the priority; `lines` may differ by router. */
  readonly instance: Omit<InstanceConf, 'priority' | 'lines' | 'name' | 'interface'>;
  readonly lines?: (router: 1 | 2) => readonly string[];
  /** What the client asks, and what is followed; the first address of the instance unless said. */
  readonly address?: string;
  /** Where adverts come from; the router's IPv4 address unless said. */
  readonly source?: (rig: Rig, router: 1 | 2) => string;
  /** Whether the client's cable carries the adverts: not with unicast, which a switch keeps to itself. */
  readonly seenByClient?: boolean;
};

/** The lab's machine is shared: a takeover may be this much later than the protocol says. Milliseconds. */
export const SLACK = 1500;
/** Programs are started and links come up, beside other tests: what is waited for in this time is no claim about it. Milliseconds. */
export const STARTING = 60_000;

export const skewMs = (e: Exchange, priority: number): number =>
  ((256 - priority) / 256) * (e.instance.version === 2 ? 1000 : e.instance.advertInt * 1000);
export const masterDownMs = (e: Exchange, priority: number): number =>
  3 * e.instance.advertInt * 1000 + skewMs(e, priority);

export const exchangeConf = (e: Exchange, router: 1 | 2): string =>
  renderConf({
    instances: [
      {
        ...e.instance,
        name: 'VI_1',
        interface: LINK,
        priority: router === 1 ? 150 : 100,
        lines: e.lines?.(router) ?? [],
      },
    ],
  });

/** Backup alone; master preempts; adverts are in order; power cut; failback; clean stop. */
export async function exchange(t: TestContext, role: (typeof roles)[number], e: Exchange): Promise<void> {
  const address = e.address ?? (e.instance.addresses[0] as string).replace(/\/.*/, '');
  const A = e.instance.advertInt * 1000;
  const rig = await Rig.start({
    detail: true,
    responders: true,
    routers: {
      r1: { software: role.master, conf: exchangeConf(e, 1) },
      r2: { software: role.backup, conf: exchangeConf(e, 2) },
    },
  });
  t.after(() => rig.stop());
  const packets = await rig.packets();
  const source = (router: 1 | 2): string => e.source?.(rig, router) ?? routerAddress(router);
  const client = await rig.ask(address, 20);
  const stalls = Stalls.watch(t);
  /** Since when it has held the address that it holds, as its kernel told. */
  const since = (router: string): number =>
    rig.addresses.history(address).findLast((h) => h.host === router && h.to === undefined)?.from ?? Number.NaN;
  /** `from` and `to` are microseconds; beyond what the protocol says, only what the machine itself stood still. */
  const within = (from: number, to: number, protocolMs: number, what: string): void => {
    const took = (to - from) / 1000;
    const words = `${what}: ${took.toFixed()} ms, the protocol says ${protocolMs} ms, the machine stood still for ${stalls.worst} ms`;
    t.diagnostic(words);
    assert.ok(took <= protocolMs + SLACK + stalls.worst, words);
  };
  const reaches = async (router: string): Promise<void> =>
    assert.ok(await client.answered({ by: router, timeoutMs: STARTING }), `the client should be answered by ${router}`);

  const started = now();
  rig.startDaemon('r2');
  const first = await rig.holder(address, 'r2', masterDownMs(e, 100) + SLACK + STARTING);
  assert.ok((first - started) / 1000 >= masterDownMs(e, 100) - 5, 'a backup waits the whole master-down time');

  rig.startDaemon('r1');
  await rig.holder(address, 'r1', masterDownMs(e, 150) + SLACK + STARTING);
  await reaches('r1');

  // Steady: adverts of the master alone, at its pace, and nothing moves.
  await sleep(Math.min(300, A));
  const from = now();
  await sleep(Math.max(5 * A, 1000));
  assert.deepEqual(rig.addresses.changesSince(from), [], 'nothing moves while both run');
  if (e.seenByClient !== false) {
    const steady = packets.adverts.filter((a) => a.at >= from);
    assert.deepEqual([...new Set(steady.map((a) => a.source))], [source(1)], 'the master alone sends adverts');
    const expected = ((now() - from) / 1000 / A) * 0.7 - 1;
    assert.ok(steady.length >= expected, `${steady.length} adverts, expected at least ${expected}`);
    for (const a of steady) {
      assert.equal(a.priority, 150);
      assert.equal(a.vrid, e.instance.vrid);
      assert.equal(a.badChecksum, false, a.line);
      assert.deepEqual(
        a.addresses,
        e.instance.addresses.map((x) => x.replace(/\/.*/, '')),
      );
    }
  }

  const cut = await rig.host('r1').powerCut();
  const taken = await rig.holder(address, 'r2', masterDownMs(e, 100) + STARTING);
  within(cut, since('r2'), masterDownMs(e, 100), 'the takeover');
  assert.ok((taken - cut) / 1000 >= masterDownMs(e, 100) - A - SLACK / 3, 'no takeover before the master-down time');
  await reaches('r2');

  await rig.powerOn('r1');
  rig.startDaemon('r1');
  await rig.holder(address, 'r1', masterDownMs(e, 150) + SLACK + STARTING);
  await reaches('r1');

  // A clean stop says so: an advert of priority 0, and the backup waits no more than its skew.
  const stopping = now();
  await rig.daemon('r1').kill('SIGTERM');
  await rig.holder(address, 'r2', skewMs(e, 100) + STARTING);
  const left = rig.addresses.history(address).findLast((h) => h.host === 'r1')?.to ?? Number.NaN;
  within(left, since('r2'), skewMs(e, 100), 'the hand-over');
  if (e.seenByClient !== false)
    await packets.until(
      () => packets.from(source(1), stopping).some((a) => a.priority === 0),
      'a router that stops sends priority 0',
    );
  await reaches('r2');
}
