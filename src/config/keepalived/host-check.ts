import { type Diagnostic, type Place, text } from '../../base/index.ts';
import type { KeepalivedConfig } from './config.ts';

/** What only the host can say. */
export type HostFacts = {
  /** Names of the interfaces that exist. */
  readonly links: ReadonlySet<string>;
};

/**
 * The interfaces that a configuration names and this host lacks: errors, as for keepalived, unless `dynamic_interfaces`
 * is set; those that we make ourselves are not asked for. (Programs are checked by the daemon, which runs them.)
 */
export function checkAgainstHost(
  { vrrp: v }: KeepalivedConfig,
  host: HostFacts,
  places: ReadonlyMap<string, Place> = new Map(),
): Diagnostic[] {
  const ours = new Set(v.instances.flatMap((i) => (i.vmac ? [i.vmac.name] : [])));
  const wanted = new Set<string>();
  for (const i of v.instances) {
    if (i.interface !== undefined) wanted.add(i.interface);
    for (const t of i.tracks.interfaces) wanted.add(t.name);
    for (const l of i.links) wanted.add(l.interface);
    for (const a of [...i.addresses, ...i.excluded]) wanted.add(a.interface);
    for (const h of i.routes.flatMap((r) => r.hops)) if (h.interface !== undefined) wanted.add(h.interface);
  }
  for (const t of v.groups.flatMap((g) => g.tracks.interfaces)) wanted.add(t.name);
  for (const a of v.statics.addresses) wanted.add(a.interface);
  for (const h of v.statics.routes.flatMap((r) => r.hops)) if (h.interface !== undefined) wanted.add(h.interface);
  const known = [...host.links].filter((l) => l !== 'lo');
  return [...wanted]
    .filter((name) => !host.links.has(name) && !ours.has(name))
    .map((name) => ({
      severity: v.dynamicInterfaces === 'no' ? ('error' as const) : ('warning' as const),
      code: 'interface-missing',
      place: places.get(name),
      message: text(`this host has no interface ${name}`, `本机没有接口 ${name}`),
      hint: text(
        `it has ${known.join(', ') || 'none'}; dynamic_interfaces lets one come later`,
        `本机有 ${known.join('、') || '(无)'};dynamic_interfaces 允许接口以后出现`,
      ),
    }));
}
