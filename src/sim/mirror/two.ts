/**
 * Worlds of two primaries (allow-two-primaries, resource-and-stonith): programs on both hosts write the same few places at
 * once, the hosts call each other as the real driver does, and who loses the other has it fenced. Of writes to one place
 * only what ended before another began is older; whatever wins, both disks hold the same.
 */
import type { MirrorConfig } from '../../mirror/index.ts';
import { type Outcome, outcomeOf } from '../outcome.ts';
import { Calls } from './calls.ts';
import { FenceWorld, stonith } from './fence.ts';
import type { Rendezvous, SimNode } from './node.ts';

const MIB = 1 << 20;
const two = (c: MirrorConfig): MirrorConfig => {
  const m = stonith(c);
  return { ...m, net: { ...m.net, allowTwoPrimaries: true } };
};

class TwoWorld extends FenceWorld {
  constructor(seed: number) {
    super(seed, { protocol: 'C', settings: two });
  }
  protected override rendezvous(): Rendezvous {
    return new Calls(this.world, this.wire, () => this.nodes);
  }
  get #primaries(): SimNode[] {
    return this.nodes.filter((n) => n.resource?.primary);
  }
  protected override writer(): SimNode | undefined {
    const all = this.#primaries;
    return all.length > 1 ? this.world.random.pick(all) : all[0];
  }
  protected override together(n: SimNode): boolean {
    return n.resource?.volumes[0]?.connected === true;
  }
  /** Both, more often than not. */
  protected override manage(): void {
    const { random: r } = this.world;
    if (r.chance(0.3)) super.manage();
    else
      for (const n of this.nodes)
        if (n.alive && !n.resource?.primary) n.ask({ verb: 'primary', force: false }, () => {});
  }
  protected override settle(): void {
    super.settle();
    this.manage();
  }
  /** What both write while it is read is marked without need, as with DRBD. */
  protected override verify(): void {}
  /** All that was answered is flushed first; afterwards it is known what each place holds. */
  protected override compare(): void {
    for (const n of this.#primaries) {
      const done = this.ledger.flushing(n.name);
      let flushed = false;
      n.app({ op: 'flush' }, (result) => {
        if (result === 0) done();
        flushed = true;
      });
      this.runUntil('a flush', () => flushed, 30);
    }
    super.compare();
    for (const at of new Set(this.places.map((p) => Math.floor(p / 4096))))
      for (let page = at; page < at + 17; page++)
        this.ledger.settled(page * 4096, this.nodes[0].disk.look(page * 4096, 4096));
  }
}

export function runTwo(seed: number): Outcome {
  const w = new TwoWorld(seed);
  const { bytes, places } = w.options;
  return outcomeOf(seed, `two primaries, ${bytes / MIB} MiB, ${places} places`, w.world, () => w.run());
}
