/**
 * What a real server of DR or TUN needs: the virtual addresses on lo, where nobody is told of them, and settings that
 * keep it from answering ARP for them. Sources: Linux Documentation/networking/ip-sysctl.rst (arp_ignore, arp_announce,
 * rp_filter), the LVS HOWTO on "the ARP problem".
 */
import { type Family, familyOf, formatPrefix, hostLength, type IpAddress, unreachable } from '../../base/index.ts';

export type RealServerWanted = {
  readonly vips: readonly IpAddress[];
  /** Addresses of this host that tunnels end at; none for DR. */
  readonly endpoints: readonly IpAddress[];
  /** Names of the devices that tunnels come in by: what is inside has its way back elsewhere. */
  readonly devices?: readonly string[];
};
export type RealServerFound = {
  /** On lo now. */
  readonly addresses: readonly IpAddress[];
  /** Those of them that this agent put there before. */
  readonly ours: readonly IpAddress[];
  /** By name, as they are; undefined: this kernel does not have it. */
  readonly sysctls: Readonly<Record<string, string | undefined>>;
};
export type RealServerStep =
  | { readonly do: 'sysctl'; readonly name: string; readonly value: string; readonly was: string }
  | { readonly do: 'address-add' | 'address-remove'; readonly address: IpAddress };

/** `all` counts together with each device's own: for arp_ignore and arp_announce the larger of both holds. */
const IP4_SETTINGS: Readonly<Record<string, string>> = {
  'net/ipv4/conf/all/arp_ignore': '1',
  'net/ipv4/conf/all/arp_announce': '2',
};
const REAL_SERVER_SYSCTLS: readonly string[] = Object.keys(IP4_SETTINGS);

const rpFilter = (device: string): string => `net/ipv4/conf/${device}/rp_filter`;
/** What `realServerPlan` wants to know of. */
export const realServerSysctls = (w: RealServerWanted): readonly string[] => [
  ...REAL_SERVER_SYSCTLS,
  ...['all', ...(w.devices ?? [])].map(rpFilter),
];
/** The reverse path filter: 1 drops what would not be answered by the same device, 2 what would be answered by none. */
const [STRICT, LOOSE] = [1, 2];

/** Settings first: an address must not be on lo for a moment in which ARP is answered for it. */
export function realServerPlan(w: RealServerWanted, f: RealServerFound): readonly RealServerStep[] {
  const out: RealServerStep[] = [];
  const raise = (name: string, value: string): void => {
    const was = f.sysctls[name];
    if (was !== undefined && Number(was) < Number(value)) out.push({ do: 'sysctl', name, value, was });
  };
  if (w.vips.some((v) => familyOf(v) === 4)) {
    for (const [name, value] of Object.entries(IP4_SETTINGS)) raise(name, value);
    // The larger of `all` and the device's own holds.
    const strict = (d: string): boolean =>
      ['all', d].reduce((n, x) => Math.max(n, Number(f.sysctls[rpFilter(x)] ?? 0)), 0) === STRICT;
    for (const d of w.devices ?? []) if (strict(d)) raise(rpFilter(d), String(LOOSE));
  }
  for (const address of w.vips) if (!f.addresses.includes(address)) out.push({ do: 'address-add', address });
  for (const address of f.ours)
    if (f.addresses.includes(address) && !w.vips.includes(address)) out.push({ do: 'address-remove', address });
  return out;
}

/** What was put there, by this process or earlier ones. `sysctls`: as they were before. */
export type RealServerLedger = {
  readonly addresses: readonly IpAddress[];
  readonly sysctls: Readonly<Record<string, { readonly was: string; readonly set: string }>>;
};
export const EMPTY_LEDGER: RealServerLedger = { addresses: [], sysctls: {} };

/** The ledger when the steps are done. */
export function enter(l: RealServerLedger, steps: readonly RealServerStep[]): RealServerLedger {
  const addresses = new Set(l.addresses);
  const sysctls = { ...l.sysctls };
  for (const s of steps) {
    if (s.do === 'address-add') addresses.add(s.address);
    if (s.do === 'address-remove') addresses.delete(s.address);
    if (s.do === 'sysctl') sysctls[s.name] = { was: sysctls[s.name]?.was ?? s.was, set: s.value };
  }
  return { addresses: [...addresses], sysctls };
}
/** Everything back: addresses first. A setting that somebody has changed since is theirs. */
export function realServerUndo(l: RealServerLedger, f: RealServerFound): readonly RealServerStep[] {
  const out: RealServerStep[] = [];
  for (const address of l.addresses) if (f.addresses.includes(address)) out.push({ do: 'address-remove', address });
  for (const [name, { was, set }] of Object.entries(l.sysctls))
    if (f.sysctls[name] === set) out.push({ do: 'sysctl', name, value: was, was: set });
  return out;
}

const host = (address: IpAddress): string => formatPrefix({ address, length: hostLength(familyOf(address)) });
const ip = (family: Family): string => (family === 4 ? 'ip' : 'ip -6');

export function describeRealServerStep(s: RealServerStep): string {
  switch (s.do) {
    case 'sysctl':
      return `sysctl ${s.name} = ${s.value} (was ${s.was})`;
    case 'address-add':
      return `${ip(familyOf(s.address))} address add ${host(s.address)} dev lo`;
    case 'address-remove':
      return `${ip(familyOf(s.address))} address del ${host(s.address)} dev lo`;
    default:
      return unreachable(s);
  }
}

export type Tunnel = 'ipip' | 'gue' | 'gre';
/** Modules and devices in which the kernel ends tunnels by itself, whatever comes inside. */
const ENDS: Readonly<Record<Tunnel, Readonly<Record<Family, readonly string[]>>>> = {
  ipip: { 4: ['ipip', 'tunl0'], 6: ['ip6_tunnel', 'ip6tnl0'] },
  gue: { 4: ['ipip', 'tunl0'], 6: ['ip6_tunnel', 'ip6tnl0'] },
  gre: { 4: ['ip_gre', 'gre0'], 6: ['ip6_gre', 'ip6gre0'] },
};

/**
 * The same for a real server that does not run the agent: a shell script that may run at every start. Tunnels end in the
 * kernel's own devices, which take IPv4 in IPv4 and IPv6 in IPv6. `guePort`: of GUE.
 */
export function realServerScript(w: RealServerWanted, tunnel: Tunnel = 'ipip', guePort = 6080): string {
  const lines = ['#!/bin/sh', '# Real server of a Holdfast director; may be run again at any time.', 'set -eu'];
  if (w.vips.some((v) => familyOf(v) === 4))
    for (const [name, value] of Object.entries(IP4_SETTINGS))
      lines.push(`[ "$(cat /proc/sys/${name})" -ge ${value} ] || echo ${value} >/proc/sys/${name}`);
  for (const v of w.vips)
    lines.push(`${ip(familyOf(v))} address replace ${host(v)} dev lo${familyOf(v) === 6 ? ' nodad' : ''}`);
  const families = new Set(w.endpoints.map(familyOf));
  for (const family of [4, 6] as const) {
    if (!families.has(family)) continue;
    const [module, device] = ENDS[tunnel][family];
    lines.push(`modprobe ${module}`, `ip link set ${device} up`);
    if (tunnel === 'gue') {
      const fou = `${ip(family)} fou`;
      lines.push('modprobe fou', `${fou} show | grep -q 'port ${guePort} gue' || ${fou} add port ${guePort} gue`);
    }
    if (family === 4)
      lines.push(
        '# What comes out of the tunnel has its way back elsewhere.',
        `for dev in all ${device}; do echo 0 >/proc/sys/net/ipv4/conf/$dev/rp_filter; done`,
      );
  }
  return `${lines.join('\n')}\n`;
}
