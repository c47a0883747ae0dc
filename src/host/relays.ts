/**
 * TCP connections whose bytes go from a client to a server and back without being looked at: what a proxy needs of the
 * world. They are accepted, connected and moved elsewhere; this thread says who takes them.
 */
import type { IpAddress, Microseconds, Result } from '../base/index.ts';
import type { HostError } from './ports.ts';

export type RelayEnd = { readonly address: IpAddress; readonly port: number };
export type RelayTally = {
  /** Connections that stood, since the server was added. */
  readonly opened: number;
  /** Bytes from clients and to them. */
  readonly in: number;
  readonly out: number;
  /** Connections now, and those that are being opened. */
  readonly active: number;
  readonly opening: number;
};
export interface RelayServer {
  readonly at: RelayEnd;
  tally(): RelayTally;
  /** Its connections are cut when this returns. It has no turn any more, and takes nothing that is asked about. */
  drop(): void;
}
/** A connection that waits to know who takes it. */
export type RelayQuestion = {
  readonly client: RelayEnd;
  readonly local: RelayEnd;
  /** They refused it, or did not answer in time. */
  readonly tried: ReadonlySet<RelayServer>;
};
/** `header`: what the server is told before the first byte of the client. */
export type RelayAnswer = { readonly server: RelayServer; readonly header?: Uint8Array };

/** One port on one or more addresses, and the servers behind it. */
export interface RelayFront {
  /** The address need not be on this host yet (IP_FREEBIND). */
  listen(address: IpAddress): Result<void, HostError>;
  /** `source`: the address that the server sees; undefined: as the route to it has it. */
  server(at: RelayEnd, source: IpAddress | undefined): Result<RelayServer, HostError>;
  /**
   * In a circle, one connection to each; none: what comes is reset. `ask`: each connection is a question; so is, in any
   * case, one that a server refused.
   */
  turns(order: readonly RelayServer[] | 'ask'): void;
  /** Nothing listens any more, and all its connections are cut, when this returns. */
  close(): void;
}
/**
 * What a side does not take at once (64 KiB) is left with the sender; the end of sending is passed on behind the last
 * byte; when one side is cut the other is too.
 */
export interface RelayHub {
  /** `who`: undefined: nobody takes it, and it is reset. */
  front(
    o: { readonly port: number; readonly backlog: number },
    who: (q: RelayQuestion) => RelayAnswer | undefined,
  ): Result<RelayFront, HostError>;
  /** All fronts with it. */
  close(): void;
}
export type RelayLimits = {
  /** Connections at the same time; what comes beyond is reset. */
  readonly most: number;
  /** For a server to take a connection. */
  readonly connectTimeout: Microseconds;
  /** A connection on which nothing moved for so long is cut. */
  readonly idleTimeout: Microseconds;
};
export interface Relays {
  open(limits: RelayLimits): Result<RelayHub, HostError>;
}
