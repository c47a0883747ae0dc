/** A master, a backup and a client that asks the virtual address all the time: what faults happen to. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Microseconds } from '../../src/base/index.ts';
import { now, type Probe } from '../../src/lab/index.ts';
import { renderConf } from './conf.ts';
import { LINK, Rig, type Software } from './rig.ts';

export const VIP = '10.9.0.50';
export const MASTER = 'r1';
export const BACKUP = 'r2';

const conf = (advertInt: number, priority: number): string =>
  renderConf({
    instances: [{ name: 'VI_1', vrid: 51, interface: LINK, version: 3, priority, advertInt, addresses: [`${VIP}/16`] }],
  });

/** How often the client asks: well below the shortest outage of that interval. Milliseconds. */
const probeInterval = (advertInt: number): number => (advertInt >= 1 ? 5 : advertInt >= 0.1 ? 2 : 1);

export class Pair {
  readonly rig: Rig;
  readonly probe: Probe;
  /** Seconds. */
  readonly advertInt: number;

  private constructor(rig: Rig, probe: Probe, advertInt: number) {
    this.rig = rig;
    this.probe = probe;
    this.advertInt = advertInt;
  }

  /** Both daemons run and everything is steady. */
  static async start(software: Software, advertInt: number): Promise<Pair> {
    const rig = await Rig.start({
      responders: true,
      routers: {
        [MASTER]: { software, conf: conf(advertInt, 150) },
        [BACKUP]: { software, conf: conf(advertInt, 100) },
      },
    });
    try {
      const probe = await rig.ask(VIP, probeInterval(advertInt));
      const pair = new Pair(rig, probe, advertInt);
      // The backup first: that it was master once shows that it can be.
      rig.startDaemon(BACKUP);
      await rig.holder(VIP, BACKUP, pair.takeoverMs);
      rig.startDaemon(MASTER);
      await pair.steady();
      return pair;
    } catch (e) {
      await rig.stop();
      throw e;
    }
  }

  stop(): Promise<void> {
    return this.rig.stop();
  }

  /** Milliseconds. */
  get interval(): number {
    return this.advertInt * 1000;
  }
  /** Longer than any takeover may last, start of the program on a busy machine included. Milliseconds. */
  get takeoverMs(): number {
    return 5 * this.interval + 60_000;
  }

  /** The master alone holds the address, both programs run, and the client has been answered by the master for a while. */
  async steady(): Promise<void> {
    await this.rig.holder(VIP, MASTER, this.takeoverMs);
    for (const name of [MASTER, BACKUP])
      if (!this.rig.daemon(name).running) throw new Error(`the daemon of ${name} has ended`);
    const quiet = Math.max(100, 1.5 * this.interval);
    const deadline = now() + (this.takeoverMs + 10_000) * 1000;
    for (;;) {
      await sleep(quiet / 2);
      const since = now() - quiet * 1000;
      const recent = this.probe.answers.filter((a) => a.askedAt >= since);
      const good = recent.filter((a) => a.error === undefined && a.by === MASTER);
      if (good.length === recent.length && good.length * probeInterval(this.advertInt) > quiet / 2) break;
      if (now() > deadline) throw new Error(`the client is not answered by ${MASTER} alone`);
    }
    if (this.rig.addresses.holders(VIP).join() !== MASTER) throw new Error(`${VIP} has moved while it was quiet`);
  }

  /**
   * Resolves when the master has held the address for so long that the announcements of its takeover are over (the
   * second burst comes after 5 s): one of them inside a partition would bring the client to the winner by chance.
   */
  async announced(): Promise<void> {
    const from = this.rig.addresses.history(VIP).findLast((h) => h.host === MASTER)?.from ?? now();
    await sleep(Math.max(0, 5500 - (now() - from) / 1000));
  }

  /** Resolves when the backup's kernel has received the master's next advertisement: what it counts of multicast is nothing else. */
  async advertised(): Promise<void> {
    const before = this.#multicast();
    const deadline = now() + this.takeoverMs * 1000;
    while (this.#multicast() === before) {
      if (now() > deadline) throw new Error(`${MASTER} does not advertise`);
      await sleep(1);
    }
  }
  /** IPv4 multicast packets that the backup has received. */
  #multicast(): string | undefined {
    const lines = readFileSync(`/proc/${this.rig.host(BACKUP).pid}/net/netstat`, 'utf8').split('\n');
    const [names, values] = lines.filter((l) => l.startsWith('IpExt:')).map((l) => l.split(' '));
    return values?.[names?.indexOf('InMcastPkts') ?? -1];
  }

  /** Resolves when the client was answered by a router that it asked after this call. */
  async answeredBy(name: string): Promise<void> {
    const answer = await this.probe.answered({ by: name, timeoutMs: this.takeoverMs });
    if (!answer) throw new Error(`${name} did not answer the client within ${this.takeoverMs} ms`);
  }

  /** The longest silence that the client saw and that ended since then. Milliseconds. */
  outage(since: Microseconds): number {
    return (this.probe.outage(since)?.length ?? 0) / 1000;
  }

  /** Milliseconds from `since` to the first question that the master answered and behind which no other was lost or answered by another. */
  reached(since: Microseconds): number {
    const asked = this.probe.answers.filter((a) => a.askedAt >= since).sort((a, b) => a.askedAt - b.askedAt);
    const lastWrong = asked.findLastIndex((a) => a.error !== undefined || a.by !== MASTER);
    if (lastWrong < 0) return 0;
    const first = asked[lastWrong + 1];
    if (first === undefined) throw new Error(`the client never reached ${MASTER}`);
    return (first.askedAt - since) / 1000;
  }

  /** How long both held the address since then. Milliseconds. */
  overlap(since: Microseconds): number {
    return this.rig.addresses.overlap(VIP, since) / 1000;
  }

  /** Power and daemon of the master, with an address that nobody took away gone. */
  async restartMaster(): Promise<Microseconds> {
    await this.rig.host(MASTER).powerCut();
    await this.rig.powerOn(MASTER);
    const since = now();
    this.rig.startDaemon(MASTER);
    return since;
  }
}
