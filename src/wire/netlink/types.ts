/** What rtnetlink tells of links, addresses, routes, rules and neighbours, without the numbers of its wire form. */
import type { Family, IpAddress, IpPrefix } from '../../base/index.ts';

export type Link = {
  readonly ifindex: number;
  readonly name: string;
  /** `00:11:22:33:44:55`; empty where the link has none. */
  readonly mac: string;
  readonly mtu: number;
  /** IFF_UP and IFF_RUNNING and operational state up or unknown: what keepalived calls up. */
  readonly up: boolean;
  readonly adminUp: boolean;
  readonly loopback: boolean;
  readonly pointToPoint: boolean;
  readonly multicast: boolean;
  /** ARPHRD_*: 1 Ethernet, 32 Infiniband, 772 loopback. */
  readonly hardware: number;
  /** IFLA_INFO_KIND: `macvlan`, `veth`, `vlan`, ... ; empty for real devices. */
  readonly kind: string;
  /** IFLA_LINK: the device below a macvlan or VLAN; 0 where there is none, or where it is in another namespace. */
  readonly lower: number;
  /** IFLA_MASTER: bridge, bond or VRF; 0 where there is none. */
  readonly master: number;
};

export type AddressScope = 'global' | 'site' | 'link' | 'host' | number;
/** One address on one link. Key: (ifindex, address, length); with a peer: (ifindex, address, peer). */
export type LinkAddress = {
  readonly ifindex: number;
  /** With `peer` the length is not used (the peer's is what the kernel keeps), and is read back as 32 or 128. */
  readonly prefix: IpPrefix;
  readonly peer?: IpPrefix;
  readonly broadcast?: IpAddress;
  readonly scope: AddressScope;
  readonly label?: string;
  /** Seconds left, as the kernel counts them; undefined = for ever. */
  readonly validSeconds?: number;
  readonly preferredSeconds?: number;
  readonly noDad?: boolean;
  readonly home?: boolean;
  readonly manageTempAddr?: boolean;
  readonly noPrefixRoute?: boolean;
  readonly autoJoin?: boolean;
  /** IPv6: the kernel is still asking, or was answered: not usable as a source yet, or never. */
  readonly tentative?: boolean;
  readonly dadFailed?: boolean;
  /** IPv4, read only: behind another address of its subnet, with which the kernel takes it away unless promote_secondaries is set. */
  readonly secondary?: boolean;
  /** IFA_PROTO, kernel 5.18 and later: who put it there. */
  readonly protocol?: number;
};

export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw'
  | 'nat';
export type NextHop = {
  readonly via?: IpAddress;
  readonly ifindex?: number;
  /** 2 to 256; undefined = 1. Lost where it is the route's only hop: the kernel keeps no weight there. */
  readonly weight?: number;
  readonly onlink?: boolean;
  readonly encap?: RouteEncap;
  readonly realms?: number;
};
/** Encapsulation in its textual parts, as keepalived's grammar and iproute2 write it. The option names are in encap.ts. */
export type RouteEncap = {
  readonly kind: 'ip' | 'ip6' | 'mpls' | 'ila';
  readonly options: Readonly<Record<string, string>>;
};
/** In the kernel's own units: rtt in 1/8 ms, rttvar in 1/4 ms, rto_min in ms, the rest bytes, packets or flags. */
export type RouteMetrics = Partial<
  Record<
    | 'mtu'
    | 'hoplimit'
    | 'advmss'
    | 'rtt'
    | 'rttvar'
    | 'reordering'
    | 'window'
    | 'cwnd'
    | 'ssthresh'
    | 'rto_min'
    | 'initcwnd'
    | 'initrwnd'
    | 'quickack'
    | 'features'
    | 'fastopen_no_cookie',
    number
  >
> & {
  readonly congctl?: string;
  /** Names from the list whose value may not be changed by path discovery. */
  readonly locked?: readonly string[];
};
/** Key: (family, table, destination, from, tos, metric). */
export type Route = {
  readonly family: Family;
  /** Undefined: default route. */
  readonly destination?: IpPrefix;
  readonly from?: IpPrefix;
  readonly type: RouteType;
  readonly table: number;
  readonly protocol: number;
  readonly scope: AddressScope | 'nowhere';
  readonly tos?: number;
  readonly metric?: number;
  readonly source?: IpAddress;
  readonly hops: readonly NextHop[];
  readonly metrics?: RouteMetrics;
  readonly expiresSeconds?: number;
  readonly preference?: 'low' | 'medium' | 'high';
  readonly ttlPropagate?: boolean;
};

export type RuleAction =
  | { readonly do: 'table'; readonly table: number }
  | { readonly do: 'goto'; readonly priority: number }
  | { readonly do: 'nop' | 'blackhole' | 'unreachable' | 'prohibit' };
/** Policy rule. Key: everything, since the kernel accepts duplicates that differ in any part. */
export type Rule = {
  readonly family: Family;
  readonly priority: number;
  readonly action: RuleAction;
  readonly invert?: boolean;
  readonly from?: IpPrefix;
  readonly to?: IpPrefix;
  readonly tos?: number;
  readonly fwmark?: number;
  /** Undefined beside a fwmark: all bits. */
  readonly fwmask?: number;
  readonly iif?: string;
  readonly oif?: string;
  readonly realms?: number;
  readonly suppressPrefixLength?: number;
  readonly suppressGroup?: number;
  readonly tunnelId?: bigint | number;
  readonly uidRange?: { readonly from: number; readonly to: number };
  /** The table is that of the VRF which iif or oif belongs to; the action is table 0. */
  readonly l3mdev?: boolean;
  readonly ipProtocol?: number;
  readonly sourcePorts?: { readonly from: number; readonly to: number };
  readonly destinationPorts?: { readonly from: number; readonly to: number };
  readonly protocol?: number;
};

export type Neighbour = {
  readonly ifindex: number;
  readonly address: IpAddress;
  readonly mac: string;
  readonly state: number;
};

export type MacvlanMode = 'private' | 'vepa' | 'bridge' | 'passthru';
/** A new macvlan; `group` is the device group (`ip link ... group N`). */
export type MacvlanSpec = {
  readonly name: string;
  readonly lower: number;
  readonly mac: string;
  readonly mode: MacvlanMode;
  readonly group?: number;
};
/** What may be changed of a link; what is undefined stays. `master: 0` takes it out of its bridge, bond or VRF. */
export type LinkSettings = {
  readonly ifindex: number;
  readonly up?: boolean;
  readonly mac?: string;
  readonly name?: string;
  readonly noAddressGeneration?: boolean;
  readonly master?: number;
};
