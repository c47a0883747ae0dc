/** Two instances of one host that would hear each other's adverts as a rival's. Pure. */
import type { Instance } from './config.ts';
import type { Fault } from './types.ts';

function clash(a: Instance, b: Instance): boolean {
  if (a.interface !== b.interface || a.family !== b.family || a.virtualRouterId !== b.virtualRouterId) return false;
  if (a.unicastPeers === undefined && b.unicastPeers === undefined) return a.multicastGroup === b.multicastGroup;
  if (a.unicastPeers === undefined || b.unicastPeers === undefined) return false;
  const peers = new Set(a.unicastPeers.map((p) => p.address));
  return b.unicastPeers.some((p) => peers.has(p.address));
}

/** The first of each kind works; the others have a fault. */
export function duplicateFaults(instances: readonly Instance[]): ReadonlyMap<string, Fault> {
  const out = new Map<string, Fault>();
  const working = new Map<string, Instance[]>();
  for (const i of instances) {
    const key = `${i.interface} ${i.virtualRouterId}`;
    const same = working.get(key) ?? [];
    const first = same.find((j) => clash(i, j));
    if (first) out.set(i.name, { kind: 'duplicate-vrid', with: first.name, interface: i.interface ?? '*' });
    else working.set(key, [...same, i]);
  }
  return out;
}
