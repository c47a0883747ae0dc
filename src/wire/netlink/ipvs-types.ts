/** What the IPVS family of generic netlink tells and is told. linux/ip_vs.h. */
import type { Family, IpAddress } from '../../base/index.ts';

/** What a service is known by. */
export type IpvsIdentity =
  | {
      readonly by: 'address';
      /** 6 TCP, 17 UDP, 132 SCTP. */
      readonly protocol: number;
      readonly address: IpAddress;
      /** 0: every port. */
      readonly port: number;
    }
  | { readonly by: 'fwmark'; readonly mark: number; readonly family: Family };

/** Since the counters were zeroed; the rates are the kernel's estimates, per second. */
export type IpvsStats = {
  readonly connections: bigint;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
  readonly bytesIn: bigint;
  readonly bytesOut: bigint;
  readonly connectionRate: bigint;
  readonly packetRateIn: bigint;
  readonly packetRateOut: bigint;
  readonly byteRateIn: bigint;
  readonly byteRateOut: bigint;
};

export type IpvsService = {
  readonly identity: IpvsIdentity;
  /** The module is `ip_vs_` and this. */
  readonly scheduler: string;
  /** IPVS_FLAG. */
  readonly flags: number;
  /** Of persistence, in seconds. */
  readonly timeout: number;
  /** Of clients that count as one. IPv4: the mask as a number, 0xffffff00; IPv6: the prefix length. */
  readonly netmask: number;
  /** Persistence engine: `sip`. */
  readonly engine?: string;
  /** The kernel's alone. */
  readonly stats?: IpvsStats;
};

export type IpvsForward = 'nat' | 'local' | 'tunnel' | 'direct-routing' | 'bypass';
export type IpvsDestination = {
  readonly address: IpAddress;
  /** 0: the port that the client asked for. */
  readonly port: number;
  readonly forward: IpvsForward;
  readonly weight: number;
  /** 0: no limit. */
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
  readonly tunnel: {
    readonly type: 'ipip' | 'gue' | 'gre';
    readonly port: number;
    /** 1 checksum, 2 remote checksum. */
    readonly flags: number;
  };
  /** The kernel's alone. */
  readonly counts?: {
    readonly active: number;
    readonly inactive: number;
    readonly persistent: number;
  };
  readonly stats?: IpvsStats;
};

export type IpvsDaemon = {
  readonly role: 'master' | 'backup';
  readonly interface: string;
  readonly id: number;
  /** Bytes of a datagram; 0 lets the kernel choose by the interface's MTU. */
  readonly maxLength: number;
  readonly group?: IpAddress;
  /** 0: 8848. */
  readonly port: number;
  /** 0: 1. */
  readonly ttl: number;
};
/** Seconds; 0 in a request leaves it as it is. */
export type IpvsTimeouts = { readonly tcp: number; readonly tcpfin: number; readonly udp: number };
export type IpvsInfo = {
  /** 0x010201 is 1.2.1. */
  readonly version: number;
  readonly connectionTableSize: number;
};
