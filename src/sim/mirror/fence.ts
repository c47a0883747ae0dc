/**
 * Worlds of a mirror under resource-and-stonith, with a cluster manager that promotes whom it likes whenever it likes: only
 * fence-peer stands between it and a split brain. The handler works as a good one does: who was fenced stays so until
 * unfence-peer, may not fence in turn, and is outdated where that is possible, else shot. Sometimes it fails or hangs.
 */
import type { MirrorConfig } from '../../mirror/index.ts';
import { Broken, type Outcome, outcomeOf } from '../outcome.ts';
import { type MirrorWorldOptions, plainOptions } from './config.ts';
import type { SimNode } from './node.ts';
import { MirrorWorld } from './run.ts';

const MIB = 1 << 20;
export const stonith = (c: MirrorConfig): MirrorConfig => ({
  ...c,
  volumes: c.volumes.map((v) => ({ ...v, options: { ...v.options, fencing: 'resource-and-stonith' } })),
  handlers: { 'fence-peer': 'fence', 'unfence-peer': 'unfence' },
});

export class FenceWorld extends MirrorWorld {
  /** What the cluster remembers: whose data is not to be used. */
  readonly #fenced = new Set<number>();
  #working = true;
  /** In A it may be stable on the own disk alone, and whoever takes over lacks it. */
  protected override readonly throughCounts = this.options.protocol !== 'A';

  constructor(seed: number, more: Partial<MirrorWorldOptions> = {}) {
    super(seed, {
      ...plainOptions(seed),
      protocol: (['A', 'B', 'C', 'C', 'C'] as const)[seed % 5] as 'C',
      checksums: false,
      settings: stonith,
      ...more,
    });
    for (const n of this.nodes)
      n.onHandler = (name, ended) => {
        if (name === 'unfence-peer') {
          this.#fenced.delete(1 - n.index);
          ended(0);
          return;
        }
        const { random: r } = this.world;
        // Often so slow that the line is whole again before.
        const time = r.chance(0.4) ? r.between(2_000_000, 12_000_000) : r.between(1_000, 2_000_000);
        this.world.at(this.world.now + time, () => this.#fence(n, ended));
      };
  }
  #fence(n: SimNode, ended: (status: number) => void): void {
    const { random: r } = this.world;
    if (!n.alive) return;
    if (this.#fenced.has(n.index)) {
      ended(r.pick([1, 6] as const));
      return;
    }
    if (!this.#working || r.chance(0.1)) {
      if (r.chance(0.7)) ended(r.pick([0, 1, 127] as const));
      return;
    }
    const other = this.nodes[(1 - n.index) as 0 | 1];
    this.#fenced.add(other.index);
    const shoot = (): void => {
      this.kill(other, true);
      ended(7);
    };
    if (!other.alive) {
      ended(r.pick([5, 7] as const));
      return;
    }
    if (r.chance(0.5) || other.pausedUntil > this.world.now) {
      shoot();
      return;
    }
    const { resource } = other;
    other.ask({ verb: 'outdate', volume: undefined }, (a) => {
      if (a.ok) ended(4);
      else if (other.resource === resource) shoot();
    });
  }

  /** In A what was answered may still be on its way, however the primary dies. */
  protected override kill(n: SimNode, power: boolean): void {
    if (!power && !this.throughCounts && n.resource?.primary) this.ledger.powerCut();
    super.kill(n, power);
  }
  protected override mishap(): void {
    const { random: r } = this.world;
    if (r.chance(0.35)) this.manage();
    else super.mishap();
  }
  /** It asks, and lets the mirror refuse. */
  protected override manage(): void {
    const { random: r } = this.world;
    const n = r.pick(this.nodes);
    if (n.resource?.primary && r.chance(0.4)) n.ask({ verb: 'secondary' }, () => {});
    else if (n.alive) n.ask({ verb: 'primary', force: false }, () => {});
  }
  /** Whether both may write. */
  protected together(_: SimNode): boolean {
    return false;
  }
  protected override acknowledged(n: SimNode): void {
    const other = this.nodes[(1 - n.index) as 0 | 1];
    const v = n.resource?.volumes[0];
    if (other.resource?.primary && !this.together(n))
      throw new Broken('P1: one writer', `${n.name} acknowledges while ${other.name} is primary`);
    if (v !== undefined && !v.connected && v.peerDisk !== 'Outdated' && v.peerDisk !== 'Inconsistent')
      throw new Broken('nothing is acknowledged before the peer is fenced', `${n.name}: the peer is ${v.peerDisk}`);
  }
  /** One writer: checked at each answer. */
  protected override promises(): void {
    this.promotions();
  }
  /** Disks grow in the worlds of run.ts. */
  protected override works(): void {}
  protected override settle(): void {
    this.#working = false;
    super.settle();
    this.#working = true;
  }
}

export function runFence(seed: number): Outcome {
  const w = new FenceWorld(seed);
  const { protocol, bytes, places } = w.options;
  return outcomeOf(seed, `protocol ${protocol}, ${bytes / MIB} MiB, ${places} places`, w.world, () => w.run());
}
