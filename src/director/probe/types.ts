/** What a probe of a service sends, sees, and finds. */
import type { IpAddress, Text } from '../../base/index.ts';
import type { MacAddress } from '../../wire/index.ts';
import type { ServerKey, ServiceKey } from '../types.ts';

export type ProbeServer = {
  readonly key: ServerKey;
  readonly address: IpAddress;
  /** As the service asks it; 0 is the service's. */
  readonly port: number;
  readonly method: 'nat' | 'direct-routing' | 'tunnel';
  /** Of `tunnel`. `port`: GUE's. */
  readonly tunnel: ProbeTunnel;
};
export type ProbeTunnel = { readonly type: 'ipip' | 'gue' | 'gre'; readonly port: number };
/** One address of a service. */
export type ProbeTarget = {
  readonly service: ServiceKey;
  /** A UDP service is asked by TCP, which a host without such a program refuses and so shows that the packet came to it. */
  readonly protocol: 'tcp' | 'udp';
  readonly vip: IpAddress;
  readonly port: number;
  readonly servers: readonly ProbeServer[];
};

/** What came back for a SYN. */
export type Reply =
  /** `mss`: what the server says it can receive; undefined: nothing said. */
  | { readonly is: 'syn-ack'; readonly mss: number | undefined }
  | { readonly is: 'reset' }
  /** ICMP destination unreachable; the code as IPv4 has it. */
  | { readonly is: 'unreachable'; readonly code: number }
  /** The packet itself came back: whoever got it sent it on, since it is not for that host. */
  | { readonly is: 'bounced' }
  | { readonly is: 'silence' }
  /** This host has no address that the packet could come from. */
  | { readonly is: 'unsent' };

export type ServerEvidence = {
  /** Its address is one of this host. */
  readonly local: boolean;
  /** The way to it; undefined: none. */
  readonly way: { readonly mtu: number; readonly gateway: IpAddress | undefined } | undefined;
  /** Who answered for the next hop. */
  readonly mac: MacAddress | undefined;
  /** To its own address and port, from this host's address. */
  readonly direct: Reply;
  /** As clients' packets come to it in the service's mode. */
  readonly path: Reply;
  /** Of UDP: an empty datagram on the same way was refused, since nobody listens. */
  readonly refusesDatagrams: boolean;
  /** It asked for a neighbour with the virtual address as its own. */
  readonly announcesVip: boolean;
};
export type Evidence = {
  /** The virtual address is on an interface of this host that is no loopback. */
  readonly vipHere: boolean;
  /** It is on a loopback of this host. */
  readonly vipOnLoopback: boolean;
  /** The virtual address and the servers are in one subnet of this host. */
  readonly sameSubnet: boolean;
  /** Who answered an ARP request for the virtual address; never this host. */
  readonly holders: readonly MacAddress[];
  readonly servers: ReadonlyMap<ServerKey, ServerEvidence>;
};

export type FindingCode =
  | 'path-good'
  | 'vip-missing'
  | 'vip-not-listened'
  | 'not-listening'
  | 'arp-ignore'
  | 'arp-announce'
  | 'other-holder'
  | 'vip-nowhere'
  | 'no-arp'
  | 'no-answer'
  | 'filtered'
  | 'not-on-link'
  | 'port-change'
  | 'default-route'
  | 'nat-same-subnet'
  | 'no-decapsulation'
  | 'tunnel-silent'
  | 'tunnel-mtu'
  | 'local-server'
  | 'not-probed'
  | 'lo-prefix'
  | 'vip-on-link'
  | 'rp-filter'
  | 'tunnel-down'
  | 'nat-forwarding'
  | 'nat-redirects'
  | 'nat-loose'
  | 'sync-news';
/** `hint`: the way out. */
export type ProbeFinding = {
  readonly severity: 'good' | 'warning' | 'error';
  readonly code: FindingCode;
  readonly server: ServerKey | undefined;
  readonly text: Text;
  readonly hint?: Text;
};
