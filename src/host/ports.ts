/**
 * All that touches the world, as interfaces. `linux/` is their real form; the simulator has its own. Whoever decides
 * or drives depends on these types alone, so that the same code runs in both.
 */
import type { Family, IpAddress, Microseconds, Milliseconds, Result, Text } from '../base/index.ts';
import type { Link, LinkAddress, LinkSettings, MacvlanSpec, Neighbour, Route, Rule } from '../wire/index.ts';

export type Cancel = () => void;

export interface Clock {
  /** Monotonic; the zero point means nothing. Does not jump when the wall clock is set. */
  now(): Microseconds;
  /** Since the Unix epoch. For what people read and for keepalived's HMAC trailer only, never for deadlines. */
  wall(): Milliseconds;
  /** Runs once, at `due` or as soon after as the process is given the processor; never before. */
  at(due: Microseconds, run: () => void): Cancel;
}

/** Non-cryptographic randomness: jitter, choice. The simulator seeds it. */
export interface Entropy {
  u32(): number;
}

export type LogLevel = 'debug' | 'info' | 'notice' | 'warning' | 'error';
export type LogEvent = {
  readonly level: LogLevel;
  /** Stable and greppable: `vrrp.state`, `vrrp.bad-packet`. */
  readonly code: string;
  /** One line for people, with the cause in it. */
  readonly text: Text;
  readonly fields?: Readonly<Record<string, string | number | boolean>>;
};
export interface Log {
  write(event: LogEvent): void;
}

/** What the kernel refused. `code` is the errno's name (`EPERM`, `ENODEV`, ...); `doing` says what was tried. */
export type HostError = { readonly code: string; readonly doing: Text };

// ---------------------------------------------------------------------------------------------------- packets

export type Datagram = {
  /** The payload behind the IP header (raw: behind it; UDP: behind the UDP header). Valid only during the callback: copy what is kept. */
  readonly bytes: Uint8Array;
  /** The IPv4 header as received, for what covers it (AH). Absent for IPv6 and UDP. Valid only during the callback. */
  readonly header: Uint8Array | undefined;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** UDP only. */
  readonly sourcePort: number | undefined;
  /** TTL or hop limit as received; undefined where the kernel did not say. */
  readonly ttl: number | undefined;
  readonly ifindex: number;
  /** When it reached the kernel, on the monotonic clock: a datagram that waited while this process slept has its true age. */
  readonly at: Microseconds;
};

export type RawSocketOptions = {
  readonly family: Family;
  /** IP protocol number: 112 VRRP, 51 AH, 58 ICMPv6. */
  readonly protocol: number;
  /** SO_BINDTODEVICE; undefined listens on all. */
  readonly ifindex: number | undefined;
  /** Groups to join on `ifindex`. Sending to a group never loops back. */
  readonly groups: readonly IpAddress[];
  /** The caller writes the whole IPv4 header itself (IP_HDRINCL): `send` is given header and payload. IPv4 only. */
  readonly ownHeader?: boolean;
  readonly source?: IpAddress;
  readonly ttl?: number;
  readonly receiveBuffer?: number;
  /** IPv6 raw: the kernel fills and verifies the checksum at this offset of the payload (IPV6_CHECKSUM). */
  readonly checksumOffset?: number;
};
export type UdpSocketOptions = {
  readonly family: Family;
  readonly ifindex?: number;
  readonly address?: IpAddress;
  /** 0 lets the kernel choose. */
  readonly port: number;
  readonly ttl?: number;
};
export interface IpSocket {
  send(bytes: Uint8Array, to: { readonly address: IpAddress; readonly port?: number }): Result<void, HostError>;
  /** Reads whatever is queued right now and delivers it before returning: to be called before a silence is judged. */
  drain(): void;
  readonly localPort: number;
  close(): void;
}
export interface FrameSocket {
  /** A whole Ethernet frame, without the frame check sequence. */
  send(frame: Uint8Array): Result<void, HostError>;
  close(): void;
}
export interface Sockets {
  raw(o: RawSocketOptions, receive: (d: Datagram) => void): Result<IpSocket, HostError>;
  udp(o: UdpSocketOptions, receive: (d: Datagram) => void): Result<IpSocket, HostError>;
  /** AF_PACKET on one interface. With `receive`, all frames of `etherType` (0x0003 = every one) are delivered. */
  frames(
    o: { readonly ifindex: number; readonly etherType: number },
    receive?: (frame: Uint8Array, at: Microseconds) => void,
  ): Result<FrameSocket, HostError>;
}

// ---------------------------------------------------------------------------------------------------- kernel tables

export type {
  AddressScope,
  Link,
  LinkAddress,
  LinkSettings,
  MacvlanMode,
  MacvlanSpec,
  Neighbour,
  NextHop,
  Route,
  RouteEncap,
  RouteMetrics,
  RouteType,
  Rule,
  RuleAction,
} from '../wire/index.ts';

/** One change of a kernel table. `replace` overwrites what has the same key; removing what is absent counts as done. */
export type NetCommand =
  | { readonly do: 'address-replace'; readonly address: LinkAddress }
  | { readonly do: 'address-remove'; readonly address: LinkAddress }
  | { readonly do: 'route-replace'; readonly route: Route; readonly append?: boolean; readonly prepend?: boolean }
  | { readonly do: 'route-remove'; readonly route: Route }
  | { readonly do: 'rule-add'; readonly rule: Rule }
  | { readonly do: 'rule-remove'; readonly rule: Rule }
  | { readonly do: 'neighbour-remove'; readonly neighbour: { readonly ifindex: number; readonly address: IpAddress } }
  | ({ readonly do: 'macvlan-add' } & MacvlanSpec)
  | ({ readonly do: 'link-set' } & LinkSettings)
  | { readonly do: 'link-remove'; readonly ifindex: number };

/**
 * `own`: it went because this Network was told to remove exactly it; a late notice of that is never mistaken for
 * somebody else's doing. What the kernel takes along (secondaries of a removed primary) is not own.
 * IPv4 routes that vanish with their link or source address are not told of: look again after `link` and `address-gone`.
 */
export type NetChange =
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'link-gone'; readonly link: Link; readonly own?: true }
  | { readonly kind: 'address'; readonly address: LinkAddress }
  | { readonly kind: 'address-gone'; readonly address: LinkAddress; readonly own?: true }
  /** It was set: by a VRRP daemon or by hand. Routes of routing daemons are not told of, there may be a million. */
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'rule'; readonly rule: Rule }
  | { readonly kind: 'route-gone'; readonly route: Route; readonly own?: true }
  | { readonly kind: 'rule-gone'; readonly rule: Rule; readonly own?: true }
  /** Notifications were lost: look at everything again. */
  | { readonly kind: 'resync' };

/** Links, addresses, routes and rules of one network namespace, read once and then followed. */
export interface Network {
  links(): readonly Link[];
  linkByName(name: string): Link | undefined;
  linkByIndex(ifindex: number): Link | undefined;
  addresses(): readonly LinkAddress[];
  /** Read from the kernel at the call: never mirrored, since a full table may hold a million. `table` undefined = all. */
  routes(o: {
    readonly family: Family;
    readonly table?: number;
    readonly protocol?: number;
  }): Result<readonly Route[], HostError>;
  rules(family: Family): Result<readonly Rule[], HostError>;
  neighbours(ifindex: number): Result<readonly Neighbour[], HostError>;
  /**
   * Applied in order, in one system call for each batch, before this returns: rtnetlink answers while the request is
   * being sent. One result for each command; a failed one does not stop those behind it.
   */
  apply(commands: readonly NetCommand[]): readonly Result<void, HostError>[];
  watch(changed: (c: NetChange) => void): Cancel;
  /** Works through the notifications that are queued right now. */
  drain(): void;
}

// ---------------------------------------------------------------------------------------------------- programs, files

export type Credentials = { readonly uid: number; readonly gid: number; readonly groups?: readonly number[] };
export type Command = {
  readonly argv: readonly [string, ...string[]];
  readonly credentials?: Credentials;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
};
export type Exit = { readonly code: number } | { readonly signal: string } | { readonly failed: HostError };
export interface Running {
  readonly pid: number | undefined;
  /** To the whole process group: a script's children are ended with it. */
  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGHUP'): void;
}
export interface Processes {
  /** Starts in a process group of its own, standard input from /dev/null, with default signal handling and ordinary scheduling. */
  run(command: Command, exited: (e: Exit) => void): Running;
  /** Processes that run now: `name` is comm (15 characters), `argv` the whole command line. With `only`, at most that one. */
  list(only?: number): readonly { readonly pid: number; readonly name: string; readonly argv: readonly string[] }[];
  /** Starts, ends and renames of any process (netlink proc connector); `lost` when events were dropped. */
  watch(
    changed: (
      c: { readonly kind: 'started' | 'ended' | 'changed'; readonly pid: number } | { readonly kind: 'lost' },
    ) => void,
  ): Result<Cancel, HostError>;
}

export interface Files {
  /** At most `limit` bytes; undefined where there is no such file or it may not be read. */
  read(path: string, limit: number): Uint8Array | undefined;
  write(path: string, bytes: Uint8Array, o?: { readonly mode?: number }): Result<void, HostError>;
  /** Tells of creation, change, replacement and removal, also of a file that does not exist yet; the directory must. */
  watch(path: string, changed: () => void): Result<Cancel, HostError>;
}

/** One value under /proc/sys, by its dotted or slashed name without the prefix: `net/ipv4/conf/eth0/rp_filter`. */
export interface Sysctl {
  get(name: string): string | undefined;
  set(name: string, value: string): Result<void, HostError>;
}
