/** What a new configuration means for each instance. Pure. */
import type { Instance, VrrpConfig } from './config.ts';

export type ReloadPlan = {
  readonly kept: readonly string[];
  /** Another priority, address, script: it goes on in its state. */
  readonly changed: readonly string[];
  /** Another virtual router under the same name: the old one resigns, the new one begins. */
  readonly replaced: readonly string[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
};

const plain = (_: string, v: unknown): unknown =>
  typeof v === 'bigint' ? String(v) : v instanceof Uint8Array ? [...v] : v;
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a, plain) === JSON.stringify(b, plain);

/** What makes it this router to its peers and its sockets. */
const identity = (i: Instance): unknown => [
  i.interface,
  i.vrf,
  i.virtualRouterId,
  i.version,
  i.family,
  i.authentication.type,
  i.unicastPeers === undefined,
  i.multicastGroup,
  i.vmac,
  i.vmacXmitBase,
];
const groupOf = (c: VrrpConfig, name: string): string | undefined =>
  c.groups.find((g) => g.members.includes(name))?.name;

export function planReload(before: VrrpConfig, after: VrrpConfig): ReloadPlan {
  const old = new Map(before.instances.map((i) => [i.name, i]));
  const names = new Set(after.instances.map((i) => i.name));
  const kept: string[] = [];
  const changed: string[] = [];
  const replaced: string[] = [];
  const added: string[] = [];
  for (const i of after.instances) {
    const was = old.get(i.name);
    if (!was) added.push(i.name);
    else if (!same(identity(was), identity(i))) replaced.push(i.name);
    else if (!same(was, i) || !same(groupOf(before, i.name), groupOf(after, i.name))) changed.push(i.name);
    else kept.push(i.name);
  }
  return { kept, changed, replaced, added, removed: before.instances.map((i) => i.name).filter((n) => !names.has(n)) };
}
