/** Both disks of a simulated mirror grow while programs write: its metadata move, and what is new is copied and used. */
import { Broken } from '../outcome.ts';
import type { World } from '../world.ts';
import type { SimNode } from './node.ts';

const MIB = 1 << 20;
export type GrowingWorld = {
  readonly world: World;
  readonly nodes: readonly [SimNode, SimNode];
  /** Byte offsets that programs write to. */
  readonly places: number[];
  runUntil(what: string, wanted: () => boolean, limit: number): void;
};

/** Both are connected, equal, and `primary` is one of them; `by` asks. */
export function growAndUse(w: GrowingWorld, primary: SimNode, by: SimNode): void {
  const sectors = (n: SimNode): number => n.resource?.volumes[0]?.size ?? 0;
  const before = sectors(primary);
  for (const n of w.nodes) n.disk.bytes += MIB;
  w.world.note('world', 'both disks grow');
  let grown = false;
  const ask = (): void =>
    by.ask(
      { verb: 'resize', volume: undefined, size: undefined, assumeClean: false, assumePeerHasSpace: false },
      (a) => {
        grown = a.ok;
        if (a.ok && !a.changed) throw new Broken('a mirror grows with its disks', a.text.en);
        if (!a.ok) w.world.at(w.world.now + 100_000, ask);
      },
    );
  ask();
  const both = (): boolean => w.nodes.every((n) => sectors(n) > before && sectors(n) === sectors(primary));
  w.runUntil('both sides grow', () => grown && both(), 60);
  // What is new holds whatever the disks held, old metadata among it, until it is written.
  const [offset, length] = [before * 512, (sectors(primary) - before) * 512];
  let zeroed = false;
  primary.app({ op: 'zero', offset, length, unmap: false }, (result) => {
    if (result !== 0) throw new Broken('new blocks can be written', `${result}`);
    zeroed = true;
  });
  w.runUntil('the new blocks are written', () => zeroed, 60);
  // As if they had been flushed: no power cut brings the old metadata back.
  for (const n of w.nodes) n.disk.put(offset, new Uint8Array(length));
  for (let i = 0; i < 4; i++) {
    const first = Math.ceil(offset / 4096);
    w.places.push(w.world.random.between(first, first + Math.floor(length / 4096) - 17) * 4096);
  }
}
