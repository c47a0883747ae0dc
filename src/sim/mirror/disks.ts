/**
 * Worlds of a mirror whose disks fail, one at a time: reads, writes, flushes or all of them, for a while. A disk that was
 * given up comes back (attach) until it is taken. What was acknowledged is never lost while one of the disks was good.
 */
import type { MirrorConfig } from '../../mirror/index.ts';
import { Broken, type Outcome, outcomeOf } from '../outcome.ts';
import { plainOptions } from './config.ts';
import type { SimNode } from './node.ts';
import { MirrorWorld } from './run.ts';

const MIB = 1 << 20;
const SECOND = 1_000_000;

class DiskWorld extends MirrorWorld {
  readonly #failing = new Set<SimNode>();

  constructor(seed: number) {
    super(seed, {
      ...plainOptions(seed),
      protocol: (['C', 'B', 'C'] as const)[seed % 3] as 'C',
      checksums: seed % 4 === 0,
      settings: (c: MirrorConfig) => ({ ...c, onNoDataAccessible: seed % 2 === 0 ? 'suspend-io' : 'io-error' }),
    });
    const again = (): void => {
      for (const n of this.nodes)
        if (n.resource?.volumes[0]?.disk === 'Diskless' && !this.#failing.has(n)) n.ask({ verb: 'up' }, () => {});
      this.world.at(this.world.now + SECOND, again);
    };
    this.world.at(SECOND, again);
  }
  #fail(n: SimNode): void {
    const { random: r } = this.world;
    const what = r.pick(['all', 'all', 'read', 'write', 'flush'] as const);
    this.#failing.add(n);
    this.world.note(n.name, `disk fails: ${what}`);
    n.disk.fails = (o) => what === 'all' || o.op === what;
    this.world.at(this.world.now + r.between(50_000, 4 * SECOND), () => this.#mend(n));
  }
  #mend(n: SimNode): void {
    n.disk.fails = () => false;
    this.#failing.delete(n);
  }
  get #whole(): boolean {
    return this.#failing.size === 0 && this.equalStates();
  }
  protected override mishap(): void {
    const { random: r } = this.world;
    if (r.chance(0.3) && this.#whole) this.#fail(r.pick(this.nodes));
    else if (r.chance(0.15) && this.#whole) {
      const n = r.pick(this.nodes);
      if (n.alive) n.ask({ verb: 'detach', volume: undefined, force: false }, () => {});
    } else super.mishap();
  }
  /** Power is cut only while nothing but a flush is between what was acknowledged and both disks. */
  protected override kill(n: SimNode, power: boolean): void {
    const v = n.resource?.volumes[0];
    // The only good disk's process dies, and its machine does not: what it had acknowledged is in the machine's memory.
    super.kill(n, power && this.#whole);
    if (v !== undefined && v.disk !== 'UpToDate') this.good.delete(n.index);
  }
  protected override acknowledged(n: SimNode): void {
    super.acknowledged(n);
    if (n.resource?.volumes[0]?.disk !== 'UpToDate') this.good.delete(n.index);
  }
  protected override promises(): void {
    if (this.nodes.filter((n) => n.resource?.primary).length > 1) throw new Broken('P1: one primary', 'both are');
    this.promotions();
    for (const n of this.nodes) {
      const v = n.resource?.volumes[0];
      if (v === undefined) continue;
      if (v.primary && !v.connected && this.good.has(n.index) && v.disk === 'UpToDate') this.good.delete(1 - n.index);
      if (v.disk !== 'UpToDate' && this.good.size > 1) this.good.delete(n.index);
    }
    this.learn();
  }
  /** Disks grow in the worlds of run.ts. */
  protected override works(): void {}
  protected override settle(): void {
    for (const n of this.nodes) this.#mend(n);
    super.settle();
  }
}

export function runDisks(seed: number): Outcome {
  const w = new DiskWorld(seed);
  const { protocol, bytes, places } = w.options;
  return outcomeOf(seed, `protocol ${protocol}, ${bytes / MIB} MiB, ${places} places`, w.world, () => w.run());
}
