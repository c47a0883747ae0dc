/**
 * Online verify in a simulated mirror: while programs write, blocks of the secondary's disk are changed beneath it; verify
 * must mark each that still differs and no other, on both sides, and a new connection must mend them.
 */
import { bytes } from '../../base/index.ts';
import { Broken } from '../outcome.ts';
import type { World } from '../world.ts';
import type { SimNode } from './node.ts';

export type VerifyingWorld = {
  readonly world: World;
  readonly nodes: readonly [SimNode, SimNode];
  readonly places: readonly number[];
  runUntil(what: string, wanted: () => boolean, limit: number): void;
};

/** Both are connected, equal, and `primary` is one of them. */
export function plantAndVerify(w: VerifyingWorld, primary: SimNode): void {
  const { random: r } = w.world;
  const secondary = w.nodes[(1 - primary.index) as 0 | 1];
  const planted = new Map<number, Uint8Array>();
  for (let i = r.between(0, 4); i > 0; i--) {
    const page = r.pick(w.places) / 4096;
    const altered = secondary.disk.look(page * 4096, 4096);
    const at = r.between(0, 4095);
    altered[at] = (altered[at] as number) ^ r.between(1, 255);
    secondary.disk.put(page * 4096, altered);
    planted.set(page, altered);
  }
  w.world.note(secondary.name, `${planted.size} blocks are altered beneath it`);
  verify(w, r.pick(w.nodes));
  for (const n of w.nodes) {
    const bitmap = n.resource?.volumes[0]?.bitmap;
    if (bitmap === undefined) throw new Error('bug: no disk');
    let marked = 0;
    for (const [page, altered] of planted) {
      if (bitmap.has(page)) marked++;
      // What was written since is equal again.
      else if (Buffer.compare(secondary.disk.look(page * 4096, 4096), altered) === 0)
        throw new Broken('verify finds what differs', `page ${page} on ${n.name}`);
    }
    if (marked !== bitmap.count)
      throw new Broken('verify finds only what differs', `${bitmap.count} bits on ${n.name}, ${marked} were altered`);
  }
  if (planted.size === 0) return;
  primary.ask({ verb: 'disconnect', force: false }, () => {});
  w.runUntil('the disconnect', () => primary.resource?.connection === 'StandAlone', 10);
  primary.ask({ verb: 'connect', discardMyData: false }, () => {});
  w.runUntil(
    'the differences are mended',
    () => !w.nodes.some((n) => [...planted.keys()].some((p) => !mended(n, p))),
    120,
  );
}
function verify(w: VerifyingWorld, by: SimNode): void {
  let begun = false;
  const ask = (): void =>
    by.ask({ verb: 'verify', volume: undefined, start: bytes(0), stop: undefined }, (a) => {
      begun = a.ok;
      // Another change of state may be on its way.
      if (!a.ok) w.world.at(w.world.now + 100_000, ask);
    });
  ask();
  w.runUntil('a verify begins', () => begun, 30);
  w.runUntil('the verify ends', () => w.nodes.every((n) => n.resource?.volumes[0]?.connection === 'Connected'), 120);
}
const mended = (n: SimNode, page: number): boolean => {
  const v = n.resource?.volumes[0];
  return v?.connection === 'Connected' && v.bits === 0 && !v.bitmap.has(page);
};
