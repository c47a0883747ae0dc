/** Which server the next connection goes to. Pure but for the memory that a scheduler has of its turns. */
import { type IpAddress, unreachable } from '../../../base/index.ts';
import type { Scheduler, SchedulerFlag } from '../../config.ts';
import { hash32 } from '../../ring/index.ts';
import type { ServerKey } from '../../types.ts';

export type Candidate = {
  readonly key: ServerKey;
  /** 0: takes no new connections. */
  readonly weight: number;
  /** Connections now, those that are being opened too. */
  readonly active: number;
  readonly upperThreshold?: number;
  readonly lowerThreshold?: number;
};
export type Arrival = {
  readonly client: IpAddress;
  readonly clientPort: number;
  readonly destination: IpAddress;
  /** Was tried for this connection and did not answer. */
  readonly tried: ReadonlySet<ServerKey>;
  /** Uniform, 32 bits: `twos` draws with it. */
  readonly random: number;
};

export class Chooser {
  #last: ServerKey | undefined;
  /** Smooth weighted round robin: what each has saved up. */
  readonly #credit = new Map<ServerKey, number>();
  readonly #overloaded = new Set<ServerKey>();

  /** Undefined: none may take it. */
  choose(
    scheduler: Scheduler,
    flags: readonly SchedulerFlag[],
    all: readonly Candidate[],
    a: Arrival,
  ): ServerKey | undefined {
    const open = all.filter((c) => !this.#full(c) && c.weight > 0 && !a.tried.has(c.key));
    const [first] = open;
    if (first === undefined) return undefined;
    switch (scheduler) {
      case 'rr':
        return this.#next(all, open);
      case 'wrr':
        return this.#smooth(open);
      case 'lc':
        return least(open, (c) => c.active).key;
      case 'wlc':
        return least(open, (c) => c.active / c.weight).key;
      case 'sed':
        return least(open, (c) => (c.active + 1) / c.weight).key;
      case 'nq':
        return (open.find((c) => c.active === 0) ?? least(open, (c) => (c.active + 1) / c.weight)).key;
      case 'sh':
      case 'mh':
        return byHash(open, withPort(flags) ? `${a.client} ${a.clientPort}` : a.client);
      case 'dh':
        return byHash(open, a.destination);
      case 'fo':
        return least(open, (c) => -c.weight).key;
      case 'ovf':
        return least(
          open.some((c) => c.active < c.weight) ? open.filter((c) => c.active < c.weight) : open,
          (c) => -c.weight,
        ).key;
      case 'twos': {
        const at = (n: number): Candidate => drawn(open, n) ?? first;
        return least([at(a.random), at(hash32(String(a.random), 0))], (c) => c.active / c.weight).key;
      }
      case 'lblc':
      case 'lblcr':
        return undefined; // refused before: see refuses()
      default:
        return unreachable(scheduler);
    }
  }
  /** Servers that are gone leave no memory. */
  forget(kept: ReadonlySet<ServerKey>): void {
    for (const key of this.#credit.keys()) if (!kept.has(key)) this.#credit.delete(key);
    for (const key of this.#overloaded) if (!kept.has(key)) this.#overloaded.delete(key);
  }

  /** ipvsadm(8), --u-threshold and --l-threshold: without a lower one, below three quarters of the upper. */
  #full(c: Candidate): boolean {
    if (c.upperThreshold === undefined) return false;
    const lower = c.lowerThreshold ?? (c.upperThreshold * 3) / 4;
    if (c.active >= c.upperThreshold) this.#overloaded.add(c.key);
    else if (c.active < lower) this.#overloaded.delete(c.key);
    return this.#overloaded.has(c.key);
  }
  #next(all: readonly Candidate[], open: readonly Candidate[]): ServerKey | undefined {
    const from = all.findIndex((c) => c.key === this.#last) + 1;
    const turn = [...all.slice(from), ...all.slice(0, from)].find((c) => open.includes(c));
    this.#last = turn?.key;
    return turn?.key;
  }
  #smooth(open: readonly Candidate[]): ServerKey {
    let sum = 0;
    for (const c of open) {
      sum += c.weight;
      this.#credit.set(c.key, (this.#credit.get(c.key) ?? 0) + c.weight);
    }
    const { key } = least(open, (c) => -(this.#credit.get(c.key) ?? 0));
    this.#credit.set(key, (this.#credit.get(key) ?? 0) - sum);
    return key;
  }
}

/** A circle of more turns than this is no circle worth keeping: each connection is chosen for then. */
const MOST_TURNS = 4096;
/** Who takes the next connections, in a circle, where nothing but the servers decides it; undefined: the moment decides. */
export function turnsOf(
  scheduler: Scheduler,
  servers: readonly Omit<Candidate, 'active'>[],
): readonly ServerKey[] | undefined {
  const open = servers.filter((s) => s.weight > 0);
  if (open.some((s) => s.upperThreshold !== undefined)) return undefined;
  const common = open.reduce((d, s) => divisor(d, s.weight), 0) || 1;
  const length = {
    rr: open.length,
    wrr: open.reduce((n, s) => n + s.weight, 0) / common,
    fo: Math.min(1, open.length),
  };
  if (!(scheduler in length)) return open.length === 0 ? [] : undefined;
  const turns = length[scheduler as keyof typeof length];
  if (turns > MOST_TURNS) return undefined;
  const chooser = new Chooser();
  const arrival: Arrival = {
    client: '0.0.0.0' as IpAddress,
    clientPort: 0,
    destination: '0.0.0.0' as IpAddress,
    tried: new Set(),
    random: 0,
  };
  const idle = open.map((s): Candidate => ({ ...s, active: 0 }));
  return Array.from({ length: turns }, () => chooser.choose(scheduler, [], idle, arrival)).filter(
    (k) => k !== undefined,
  );
}
const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

const withPort = (flags: readonly SchedulerFlag[]): boolean => flags.includes('sh-port') || flags.includes('mh-port');

/** The first of the smallest. */
function least(of: readonly Candidate[], measure: (c: Candidate) => number): Candidate {
  return of.reduce((best, c) => (measure(c) < measure(best) ? c : best));
}

/** Weighted rendezvous hashing: a server that comes or goes moves its own share of the clients and no other's. */
function byHash(open: readonly Candidate[], what: string): ServerKey {
  return least(open, (c) => {
    const uniform = (hash32(`${c.key} ${what}`, 0) + 1) / 0x1_0000_0001;
    return -Math.log(uniform) / c.weight;
  }).key;
}

/** With a chance in proportion to the weight. */
function drawn(open: readonly Candidate[], random: number): Candidate | undefined {
  let left = random % open.reduce((n, c) => n + c.weight, 0);
  return open.find((c) => {
    left -= c.weight;
    return left < 0;
  });
}
