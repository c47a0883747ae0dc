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
export const REAL_SERVER_SYSCTLS: readonly string[] = Object.keys(IP4_SETTINGS);

/** Settings first: an address must not be on lo for a moment in which ARP is answered for it. */
export function realServerPlan(w: RealServerWanted, f: RealServerFound): readonly RealServerStep[] {
  const out: RealServerStep[] = [];
  if (w.vips.some((v) => familyOf(v) === 4))
    for (const [name, value] of Object.entries(IP4_SETTINGS)) {
      const was = f.sysctls[name];
      if (was !== undefined && Number(was) < Number(value)) out.push({ do: 'sysctl', name, value, was });
    }
  for (const address of w.vips) if (!f.addresses.includes(address)) out.push({ do: 'address-add', address });
  for (const address of f.ours)
    if (f.addresses.includes(address) && !w.vips.includes(address)) out.push({ do: 'address-remove', address });
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

/**
 * The same for a real server that does not run the agent: a shell script that may run at every start. Tunnels end in the
 * kernel's own ipip and ip6_tunnel devices, which take IPv4 in IPv4 and IPv6 in IPv6.
 */
export function realServerScript(w: RealServerWanted): string {
  const lines = ['#!/bin/sh', '# Real server of a Holdfast director; may be run again at any time.', 'set -eu'];
  if (w.vips.some((v) => familyOf(v) === 4))
    for (const [name, value] of Object.entries(IP4_SETTINGS))
      lines.push(`[ "$(cat /proc/sys/${name})" -ge ${value} ] || echo ${value} >/proc/sys/${name}`);
  for (const v of w.vips)
    lines.push(`${ip(familyOf(v))} address replace ${host(v)} dev lo${familyOf(v) === 6 ? ' nodad' : ''}`);
  const families = new Set(w.endpoints.map(familyOf));
  if (families.has(4))
    lines.push(
      'modprobe ipip',
      'ip link set tunl0 up',
      '# What comes out of the tunnel has its way back elsewhere.',
      'for dev in all tunl0; do echo 0 >/proc/sys/net/ipv4/conf/$dev/rp_filter; done',
    );
  if (families.has(6)) lines.push('modprobe ip6_tunnel', 'ip link set ip6tnl0 up');
  return `${lines.join('\n')}\n`;
}
