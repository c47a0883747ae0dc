/** What is told to `ip` and `nft`, as text from data: nothing here touches the machine. */
import type { HostDefinition, LabDefinition, LinkDefinition, Slowness, SwitchDefinition } from './types.ts';

/** The switch's end of a host's cable. */
export type Port = {
  /** In the fabric: `p1`. Free of the host's and the link's name, which may be too long together. */
  readonly name: string;
  readonly host: string;
  readonly link: string;
  readonly definition: LinkDefinition;
  readonly mac: string;
};
/** What has been done to a port. */
export type PortState = {
  /** Frames from and to the host vanish without a sign. */
  readonly cut: { readonly in: boolean; readonly out: boolean };
  /** The cable is pulled: both ends see it. */
  readonly unplugged: boolean;
  /** Which part of a partitioned switch it is on; 0 where it is whole. */
  readonly segment: number;
  /** Where any is there, a relay stands between the cable and the switch. */
  readonly slow: { readonly in?: Slowness; readonly out?: Slowness };
};
export const untouched: PortState = { cut: { in: false, out: false }, unplugged: false, segment: 0, slow: {} };
export const isSlow = (s: PortState): boolean => s.slow.in !== undefined || s.slow.out !== undefined;

const hex = (n: number): string => n.toString(16).padStart(2, '0');

/** All ports of a lab, numbered in the order of its definition, so that names and MAC addresses are the same in every run. */
export function portsOf(definition: LabDefinition): readonly Port[] {
  let number = 0;
  return Object.entries(definition.hosts).flatMap(([host, h], i) =>
    Object.entries(h.links ?? {}).map(([link, l], j) => ({
      name: `p${++number}`,
      host,
      link,
      definition: l,
      mac: l.mac?.toLowerCase() ?? `02:4c:00:${hex(((i + 1) >> 8) & 255)}:${hex((i + 1) & 255)}:${hex((j + 1) & 255)}`,
    })),
  );
}

export const switchesOf = (definition: LabDefinition): readonly SwitchDefinition[] =>
  definition.switches.map((s) => (typeof s === 'string' ? { name: s } : s));

/** The bridge of one part of a switch. Bridges are named by number: a switch's name may be longer than an interface's. */
export const bridgeName = (index: number, segment: number): string =>
  segment === 0 ? `b${index}` : `b${index}s${segment}`;

/** No spanning tree and no forwarding delay: a port forwards at once. */
export function bridgeLines(index: number, segment: number, s: SwitchDefinition): readonly string[] {
  const name = bridgeName(index, segment);
  const snooping = s.multicastSnooping === true ? 1 : 0;
  return [`link add ${name} type bridge stp_state 0 forward_delay 0 mcast_snooping ${snooping}`, `link set ${name} up`];
}

/** Plugs the cable: one end in the fabric, the other in the host, whose init has process id `pid` in the fabric's view. */
export function plugLines(port: Port, bridge: string, pid: number): readonly string[] {
  const mtu = port.definition.mtu ?? 1500;
  return [
    `link add dev ${port.name} mtu ${mtu} type veth peer name ${port.link} address ${port.mac} mtu ${mtu} netns ${pid}`,
    `link set ${port.name} master ${bridge}`,
    `link set ${port.name} up`,
  ];
}

/** Run inside the host. Duplicate address detection would hold every IPv6 address back for a second: `nodad`. */
export function hostLines(h: HostDefinition): readonly string[] {
  const links = Object.entries(h.links ?? {});
  return [
    'link set lo up',
    ...links.map(([name]) => `link set ${name} up`),
    ...links.flatMap(([name, l]) =>
      (l.addresses ?? []).map((a) => `address add ${a} ${a.includes(':') ? 'nodad' : 'broadcast +'} dev ${name}`),
    ),
    ...(h.routes ?? []).map((r) => (r.startsWith('-6 ') ? `-6 route add ${r.slice(3)}` : `route add ${r}`)),
  ];
}

/** Every host by its name and first address of each family; planted as /etc/hosts where the definition has none. */
export function hostsFile(definition: LabDefinition, self: string): string {
  const lines = Object.entries(definition.hosts).flatMap(([name, h]) => {
    const all = Object.values(h.links ?? {}).flatMap((l) => l.addresses ?? []);
    const first = [all.find((a) => !a.includes(':')), all.find((a) => a.includes(':'))];
    const names = h.hostname === undefined || h.hostname === name ? name : `${name} ${h.hostname}`;
    return first.flatMap((a) => (a === undefined ? [] : [`${a.split('/')[0]} ${names}`]));
  });
  const own = definition.hosts[self]?.hostname ?? self;
  return `${['127.0.0.1 localhost', '::1 localhost', ...lines, `127.0.1.1 ${own}`].join('\n')}\n`;
}

/** Behind a relay, the cable's end is off the bridge; the relay carries frames between it and `relayEnd`, whose other end is on. */
export const relayPort = (port: Port): string => `${port.name}r`;
export const relayEnd = (port: Port): string => `${port.name}s`;
/** The interface that is on the bridge for a port. */
export const bridgedName = (port: Port, state: PortState): string => (isSlow(state) ? relayPort(port) : port.name);

export function relayLines(port: Port): readonly string[] {
  const mtu = port.definition.mtu ?? 1500;
  const [there, here] = [relayPort(port), relayEnd(port)];
  return [
    `link add dev ${there} mtu ${mtu} type veth peer name ${here} mtu ${mtu}`,
    `link set ${there} up`,
    `link set ${here} up`,
  ];
}

/**
 * The whole rule set for the present cuts, loaded in one transaction. What a host sends is dropped before the bridge
 * learns its address from it, as with a broken wire: otherwise a cut host that still announces a shared virtual MAC
 * would draw the traffic of all others to itself.
 */
export function cutRules(ports: readonly { readonly port: Port; readonly state: PortState }[]): string {
  const named = (way: 'in' | 'out'): string =>
    ports
      .filter((p) => p.state.cut[way])
      .map((p) => `"${bridgedName(p.port, p.state)}"`)
      .join(', ');
  const drop = (match: string, names: string): string =>
    names === '' ? '' : `\n    ${match} { ${names} } counter drop`;
  return `table bridge lab
delete table bridge lab
table bridge lab {
  chain out { type filter hook prerouting priority -300; policy accept;${drop('iifname', named('out'))}
  }
  chain in { type filter hook forward priority -300; policy accept;${drop('oifname', named('in'))}
  }
}
`;
}

/** Who is on which part of a switch: group i on part i, and all that were not named together on a part of their own. */
export function segmentsOf(
  ports: readonly Port[],
  groups: readonly (readonly string[])[],
): { readonly segments: ReadonlyMap<Port, number>; readonly unknown: readonly string[] } {
  const part = new Map<string, number>();
  groups.forEach((members, i) => {
    for (const m of members) part.set(m, i);
  });
  const known = new Set(ports.flatMap((p) => [p.host, `${p.host}:${p.link}`]));
  const segments = new Map(
    ports.map((p) => [p, part.get(`${p.host}:${p.link}`) ?? part.get(p.host) ?? groups.length] as const),
  );
  return { segments, unknown: [...part.keys()].filter((m) => !known.has(m)) };
}
