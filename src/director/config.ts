/**
 * What the director is told: virtual servers, the real servers behind them, and how these are checked. Every default is
 * filled in and every inheritance resolved (virtual server, real server, checker), so that each checker stands alone.
 * The readers of the formats (keepalived.conf now) make it. Times are whole microseconds.
 */
import type { Family, IpAddress, Microseconds } from '../base/index.ts';

export { patternProblem } from './checkers/regex.ts';

/** A program to run: words already split, the user resolved by name when it runs. */
export type DirectorScript = {
  readonly argv: readonly [string, ...string[]];
  readonly user?: string;
  readonly group?: string;
};

/** In the order in which people are told of them. */
export const SCHEDULERS = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'lblc',
  'lblcr',
  'sh',
  'mh',
  'dh',
  'fo',
  'ovf',
  'sed',
  'nq',
  'twos',
] as const;
export type Scheduler = (typeof SCHEDULERS)[number];
export type SchedulerFlag = 'flag-1' | 'flag-2' | 'flag-3' | 'sh-port' | 'sh-fallback' | 'mh-port' | 'mh-fallback';

/** How packets reach a real server. */
export type Forwarding =
  | { readonly method: 'nat' | 'direct-routing' }
  | {
      readonly method: 'tunnel';
      readonly type: 'ipip' | 'gue' | 'gre';
      /** GUE only. */
      readonly port?: number;
      readonly checksum: 'none' | 'full' | 'remote';
    };

// ------------------------------------------------------------------------------------------ checkers

export type CheckTiming = {
  /** From the end of one check to the start of the next (MISC_CHECK: from start to start). */
  readonly interval: Microseconds;
  /** Further attempts after a failure while up: `retry` + 1 failures in all bring the checker down. */
  readonly retry: number;
  readonly retryDelay: Microseconds;
  /** The first check waits a random time up to this. */
  readonly warmup: Microseconds;
  /** Down until the first success. */
  readonly alpha: boolean;
  readonly logAllFailures: boolean;
};
/** Where a connection goes and whence it comes. */
export type CheckConnection = {
  readonly address: IpAddress;
  /** Undefined only where neither the checker nor its server names one (fwmark services). */
  readonly port: number | undefined;
  readonly bindAddress?: IpAddress;
  readonly bindInterface?: string;
  readonly bindPort?: number;
  readonly timeout: Microseconds;
  readonly fwmark?: number;
};
/** What must not be seen. Read when it is needed; never in a program's arguments, a log or a status. */
export type Secret =
  /** The first line of this file. */
  | { readonly file: string }
  /** It stands in a configuration file of an old format. */
  | { readonly literal: string };
export type UrlCheck = {
  readonly path: string;
  /** Absent: GET. HEAD has no body: neither digest nor regex. */
  readonly method?: 'HEAD';
  readonly virtualHost?: string;
  /** Inclusive ranges. */
  readonly statusCodes: readonly { readonly from: number; readonly to: number }[];
  /** MD5 of the body, 32 lower-case hexadecimal digits. */
  readonly digest?: string;
  readonly regex?: {
    readonly pattern: string;
    /** The check fails where it matches. */
    readonly mustNotMatch: boolean;
    /** PCRE2's names of options. */
    readonly options: readonly string[];
    readonly minOffset?: number;
    readonly maxOffset?: number;
    readonly stack?: { readonly start: number; readonly max: number };
  };
  /** SSL_GET: a close without close_notify is an error. */
  readonly tlsCompliant: boolean;
};
export type DnsType = 'A' | 'NS' | 'CNAME' | 'SOA' | 'MX' | 'TXT' | 'AAAA' | 'PTR';

export type Checker =
  | {
      readonly kind: 'http';
      readonly tls: boolean;
      readonly timing: CheckTiming;
      readonly connection: CheckConnection;
      readonly protocol: '1.0' | '1.0C' | '1.1' | '2';
      readonly urls: readonly UrlCheck[];
      /** All urls at once after a failure instead of one in each interval. */
      readonly fastRecovery: boolean;
      readonly sni?: { readonly name?: string };
    }
  | { readonly kind: 'tcp'; readonly timing: CheckTiming; readonly connection: CheckConnection }
  | {
      readonly kind: 'smtp';
      readonly timing: CheckTiming;
      /** All must answer. More than one only by the old `host` blocks. */
      readonly hosts: readonly CheckConnection[];
      readonly helo: string;
    }
  | {
      readonly kind: 'dns';
      readonly timing: CheckTiming;
      readonly connection: CheckConnection;
      readonly type: DnsType;
      readonly name: string;
      /** An address or name that must be among the answers; absent: any answer without an error code. */
      readonly expect?: string;
    }
  | {
      readonly kind: 'udp';
      readonly timing: CheckTiming;
      readonly connection: CheckConnection;
      /** Hexadecimal, two digits a byte; undefined: random bytes. */
      readonly payload?: string;
      /** Undefined: silence is good. `pattern`: hexadecimal with `x` for a nibble that does not matter. */
      readonly reply?: { readonly pattern?: string; readonly minLength: number; readonly maxLength: number };
    }
  | { readonly kind: 'ping'; readonly timing: CheckTiming; readonly connection: CheckConnection }
  | {
      readonly kind: 'misc';
      readonly timing: CheckTiming;
      readonly script: DirectorScript;
      readonly timeout: Microseconds;
      /** Exit status 2..255 means up with weight status - 2. */
      readonly dynamic: boolean;
    }
  | { readonly kind: 'bfd'; readonly session: string; readonly alpha: boolean }
  | {
      readonly kind: 'file';
      /** The name of the tracked file, and where it is. */
      readonly file: string;
      readonly path: string;
      /** The number in the file is multiplied by it and added to the server's weight. */
      readonly weight: { readonly value: number; readonly reverse: boolean };
    }
  | ProtocolChecker
  /** No check at all: always up, or always down. */
  | { readonly kind: 'fixed'; readonly up: boolean }
  /** Each time `connects` attempts that connect and no more, then one of the other kind. */
  | {
      readonly kind: 'alternating';
      readonly timing: CheckTiming;
      readonly connection: CheckConnection;
      readonly connects: number;
      readonly full: ProtocolChecker | Extract<Checker, { readonly kind: 'http' | 'smtp' | 'dns' }>;
    };

type Spoken<K extends string> = {
  readonly kind: K;
  readonly timing: CheckTiming;
  readonly connection: CheckConnection;
};
type Account = { readonly login?: string; readonly password?: Secret };
/** What ldirectord negotiates with, and gRPC. Patterns are regular expressions (`checkers/regex.ts` says which). */
export type ProtocolChecker =
  /** Without a login the server's greeting (PostgreSQL: its answer to SSLRequest) suffices. The query must give a row. */
  | (Spoken<'mysql' | 'postgres'> & Account & { readonly database?: string; readonly query?: string })
  /** Bind, and with `base` a search of that entry, which must be there and match. */
  | (Spoken<'ldap'> & Account & { readonly tls: boolean; readonly base?: string; readonly pattern?: string })
  /** Login, and with `file` whether that file is there. */
  | (Spoken<'ftp'> & Account & { readonly file?: string })
  | (Spoken<'imap' | 'pop'> & Account & { readonly tls: boolean })
  | (Spoken<'nntp'> & { readonly request?: string; readonly pattern?: string })
  /** OPTIONS, answered with 200. `user`: `name@host`. */
  | (Spoken<'sip'> & { readonly transport: 'tcp' | 'udp'; readonly user: string; readonly pattern?: string })
  /** Access-Request. With a password it must be accepted; without, any authentic answer will do. */
  | (Spoken<'radius'> & { readonly login: string; readonly password?: Secret; readonly secret: Secret })
  /** Sends `request` as it is, and reads until `pattern` matches; without it, until anything comes. */
  | (Spoken<'simple'> & { readonly tls: boolean; readonly request: string; readonly pattern?: string })
  /** grpc.health.v1.Health/Check; `service` may be empty: the server as a whole. */
  | (Spoken<'grpc'> & { readonly tls: boolean; readonly service: string; readonly authority?: string });

// ------------------------------------------------------------------------------------------ servers

export type RealServer = {
  readonly address: IpAddress;
  /** Undefined: the virtual server's (fwmark and port 0 services). */
  readonly port: number | undefined;
  /** 0..65535. */
  readonly weight: number;
  readonly forwarding: Forwarding;
  /** Connections; undefined = no limit. */
  readonly upperThreshold?: number;
  readonly lowerThreshold?: number;
  /** Weight 0 instead of removal on failure. */
  readonly inhibitOnFailure: boolean;
  readonly alpha: boolean;
  readonly notifyUp?: DirectorScript;
  readonly notifyDown?: DirectorScript;
  readonly smtpAlert: boolean;
  readonly snmpName?: string;
  /** All must pass. */
  readonly checkers: readonly Checker[];
};
export type SorryServer = {
  readonly address: IpAddress;
  readonly port: number | undefined;
  readonly forwarding: Forwarding;
  readonly inhibitOnFailure: boolean;
};

export type Protocol = 'tcp' | 'udp' | 'sctp';
export type VirtualService =
  | { readonly by: 'address'; readonly address: IpAddress; readonly port: number; readonly protocol: Protocol }
  | { readonly by: 'fwmark'; readonly mark: number; readonly family: Family }
  | { readonly by: 'group'; readonly group: string; readonly protocol: Protocol };

/** What keepalived.conf has no words for. All is off where it is absent. */
export type PoolOptions = {
  /** Undefined: the best that the kernel offers. `proxy` is never chosen by itself. */
  readonly plane?: 'ipvs' | 'nft' | 'bpf' | 'proxy';
  /** A server that comes back is given its weight in tenths over this time. Not with `fo` and `ovf`, whose weights are no shares. */
  readonly slowStart?: Microseconds;
  /**
   * A server that fails more than `after` times, with less than `forget` between two failures, stays out after its
   * recovery: `first`, then twice as long each time, at most `most`, from the failure on.
   */
  readonly damping?: {
    readonly after: number;
    readonly first: Microseconds;
    readonly most: Microseconds;
    readonly forget: Microseconds;
  };
  /** Checks alone never leave fewer servers than this: those that were good last are kept. */
  readonly floor?: number;
};

export type VirtualServer = {
  readonly service: VirtualService;
  readonly scheduler: Scheduler;
  readonly flags: readonly SchedulerFlag[];
  readonly hashed: boolean;
  /** One-packet scheduling (UDP). */
  readonly onePacket: boolean;
  readonly forwarding: Forwarding;
  /** Undefined: off. */
  readonly persistence?: {
    readonly seconds: number;
    /** IPv4: prefix length 1..32, IPv6: 1..128; undefined = the whole address. */
    readonly granularity?: number;
    readonly engine?: string;
  };
  readonly alpha: boolean;
  /** Run the down scripts at stop. */
  readonly omega: boolean;
  /** Check only while the virtual address is on this host. */
  readonly haSuspend: boolean;
  readonly quorum: number;
  readonly hysteresis: number;
  readonly quorumUp?: DirectorScript;
  readonly quorumDown?: DirectorScript;
  readonly smtpAlert: boolean;
  readonly snmpName?: string;
  readonly options?: PoolOptions;
  readonly sorryServer?: SorryServer;
  readonly realServers: readonly RealServer[];
};

export type GroupMember =
  | { readonly by: 'range'; readonly from: IpAddress; readonly to: IpAddress; readonly port: number }
  | { readonly by: 'fwmark'; readonly mark: number; readonly family: Family | undefined };
export type VirtualServerGroup = { readonly name: string; readonly members: readonly GroupMember[] };

export type SyncDaemon = {
  readonly interface: string;
  /** The VRRP instance whose state it follows; undefined: master and backup both always run. */
  readonly instance?: string;
  /** Undefined: the instance's VRID, or 0. */
  readonly id?: number;
  readonly maxLength?: number;
  readonly port: number;
  readonly ttl?: number;
  readonly group: IpAddress;
};

export type DirectorConfig = {
  readonly virtualServers: readonly VirtualServer[];
  readonly groups: readonly VirtualServerGroup[];
  /** Client certificate and authority for SSL_GET. */
  readonly tls?: {
    readonly password?: string;
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
  };
  readonly syncDaemon?: SyncDaemon;
  /** Seconds; what is absent stays as the kernel has it. */
  readonly timeouts: { readonly tcp?: number; readonly tcpfin?: number; readonly udp?: number };
  readonly flushAtStart: boolean;
  readonly flushAtStop: 'no' | 'all' | 'virtual-servers';
  /** Name of the nftables table that marks the members of server groups; undefined: one service for each member. */
  readonly nftables?: { readonly table: string; readonly priority: number; readonly firstMark: number };
  readonly notifyAtStart: boolean;
  /** Mail only when a server is added or removed. */
  readonly noCheckerMails: boolean;
  /** The checkers' own, and the one that is common with VRRP. */
  readonly fifos: readonly {
    readonly path: string;
    readonly user?: string;
    readonly group?: string;
    readonly script?: DirectorScript;
  }[];
};
