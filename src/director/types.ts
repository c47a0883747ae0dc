/**
 * What the pool decides and a plane carries out: virtual services with the servers that are to take packets now.
 * Between `config.ts` (what the operator wrote) and `planes/` (what the kernel is told) stands `pool/`, which turns
 * one into the other with the results of the checkers.
 */
import type { Family, IpAddress, Result, Text } from '../base/index.ts';
import type { HostError } from '../host/index.ts';
import type { Forwarding, Protocol, Scheduler, SchedulerFlag } from './config.ts';

/** `tcp 192.168.1.99:80`, `udp [2001:db8::1]:53`, `fwmark 3 ipv4`: as people read it, and unique in a configuration. */
export type ServiceKey = string;
/** `192.168.1.61:80`: unique in its service. */
export type ServerKey = string;

/** Which packets a service takes. A group of ranges with the same servers is one service for a plane that can, else several. */
export type ServiceMatch =
  | {
      readonly by: 'address';
      readonly protocol: Protocol;
      /** Inclusive; one address has `from` equal to `to`. All of one family. */
      readonly ranges: readonly { readonly from: IpAddress; readonly to: IpAddress }[];
      /** 0: every port. */
      readonly port: number;
    }
  | { readonly by: 'fwmark'; readonly mark: number; readonly family: Family };

export type WantedServer = {
  readonly key: ServerKey;
  readonly address: IpAddress;
  /** 0: the port that the client asked for. */
  readonly port: number;
  /** 0: no new connections; those that are established go on (drain, quiescence). */
  readonly weight: number;
  readonly forwarding: Forwarding;
  readonly upperThreshold?: number;
  readonly lowerThreshold?: number;
};

/** A server that is not in `servers` gets no packet any more: its connections are cut. */
export type WantedService = {
  readonly key: ServiceKey;
  readonly match: ServiceMatch;
  readonly scheduler: Scheduler;
  readonly flags: readonly SchedulerFlag[];
  readonly onePacket: boolean;
  readonly persistence?: {
    readonly seconds: number;
    /** Prefix length of the client's address that counts as one client; undefined = the whole address. */
    readonly granularity?: number;
    readonly engine?: string;
  };
  /** In the order of the configuration. Where the sorry server serves, beside it are only servers of weight 0: drained, or inhibited. */
  readonly servers: readonly WantedServer[];
  /** Configured servers that take no new connections now, with the weights that they would have: a ring gives their slots to others and moves no other. */
  readonly away?: readonly { readonly key: ServerKey; readonly address: IpAddress; readonly weight: number }[];
};

/** The IPVS connection-synchronisation daemons that shall run here. */
export type WantedSync = {
  readonly role: 'master' | 'backup';
  readonly interface: string;
  readonly id: number;
  readonly maxLength?: number;
  readonly port: number;
  readonly ttl?: number;
  readonly group: IpAddress;
};

export type Wanted = {
  readonly services: readonly WantedService[];
  /** Seconds; what is absent stays as the kernel has it. */
  readonly timeouts: { readonly tcp?: number; readonly tcpfin?: number; readonly udp?: number };
  readonly sync: readonly WantedSync[];
};

export type PlaneName = 'ipvs' | 'nft' | 'bpf' | 'proxy';

/** Since the plane took the server on. A plane that sees one direction only (DR, TUN) leaves the other at 0. */
export type ServerCounters = {
  readonly key: ServerKey;
  readonly connections: number;
  readonly packetsIn: number;
  readonly bytesIn: number;
  readonly packetsOut: number;
  readonly bytesOut: number;
  /** Established now, as exactly as the plane can know. */
  readonly active: number;
  readonly inactive: number;
};
export type ServiceCounters = { readonly key: ServiceKey; readonly servers: readonly ServerCounters[] };

/** What came of one service: `kept` = it was as it should be and nothing was sent to the kernel for it. */
export type ServiceOutcome = {
  readonly key: ServiceKey;
  readonly result: Result<'kept' | 'changed', HostError>;
};
/** A service that a plane cannot carry: why, and what would help. */
export type Refusal = { readonly code: string; readonly text: Text };

/** An established flow that is kept at its server by a memory of flows alone: the ring would send it to another. */
export type FlowException = {
  readonly service: ServiceKey;
  readonly server: ServerKey;
  readonly client: IpAddress;
  readonly clientPort: number;
  /** The service's, as the client knows it. */
  readonly address: IpAddress;
  readonly port: number;
};

export type ExceptionChanges = { readonly set: readonly FlowException[]; readonly gone: readonly FlowException[] };

/**
 * A way for packets from clients to servers. Everything is synchronous: kernel planes are told by netlink and bpf(2),
 * which answer while they are asked.
 */
export interface Plane {
  readonly name: PlaneName;
  /** Undefined: this plane can carry the service on this kernel. Asked before the service is ever given to `apply`. */
  refuses(service: WantedService): Refusal | undefined;
  /**
   * Makes the kernel hold exactly `wanted`: what is already so is adopted without being touched, also what an earlier
   * process left; what differs is changed in place; only objects with our own names, or of services that we put there,
   * are ever removed. One outcome for each wanted service; a failed one does not stop the others.
   */
  apply(wanted: Wanted): readonly ServiceOutcome[];
  counters(): Result<readonly ServiceCounters[], HostError>;
  /**
   * All the exceptions that carry packets here, at most one more than `most`; `more`: it has looked through a piece of its
   * flows and wants to be asked again. Costs nothing while there can be none.
   */
  exceptions?(most: number): Result<readonly FlowException[] | 'more', HostError>;
  /**
   * Calls back when exceptions that the plane follows by itself have come or gone, until they are taken; the rest is looked for.
   * Asked once, before all else of another director.
   */
  follow?(news: () => void): void;
  /** Why another director hears of them later than it should; undefined: it does not. */
  late?(): Text | undefined;
  /** What came and went since it was last asked. */
  takeChanges?(): ExceptionChanges;
  /** Another director's exceptions, to be kept at their servers should they come by. What is not wanted here is ignored; repeating does no harm. */
  adopt?(flows: readonly FlowException[]): void;
  /** Adopted ones that are over on the other director; those that came by meanwhile stay. */
  abandon?(flows: readonly FlowException[]): void;
  /** Called about once a second: emulated schedulers look at their counters, expired state is swept. */
  tick?(): void;
  /** `keep`: packets go on flowing without this process, to be adopted by the next one. */
  close(o: { readonly keep: boolean }): void;
}
