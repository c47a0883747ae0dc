/** Netlink families other than the tables of `Network`: asked and answered at once, nothing to wait for. */
import type { Result, Text } from '../base/index.ts';
import type { NetlinkMessage, NetlinkWriter } from '../wire/index.ts';
import type { Cancel, HostError } from './ports.ts';

export type NetlinkFamily = 'generic' | 'netfilter' | 'route';
/** One message to be sent, without its header's bookkeeping. */
export type NetlinkRequest = {
  /** nlmsg_type */
  readonly type: number;
  /** NLM_F_* beyond REQUEST and ACK. */
  readonly flags: number;
  readonly write: (w: NetlinkWriter) => void;
};
/** 0, or a positive errno and what the kernel said about it. */
export type NetlinkOutcome = { readonly errno: number; readonly message?: string };

export interface NetlinkChannel {
  /** All in order, in as few system calls as the sizes allow; one outcome for each. A refused one does not stop those behind it. */
  transact(requests: readonly NetlinkRequest[]): readonly NetlinkOutcome[];
  /**
   * A transaction of nfnetlink: the messages between a BATCH_BEGIN and a BATCH_END are sent in one datagram, and take
   * effect together or not at all. One outcome for each; where any failed, none took effect.
   */
  batch(requests: readonly NetlinkRequest[], subsystem: number): readonly NetlinkOutcome[];
  /**
   * Reads a whole table. `begin` is called before each attempt: the reading starts afresh where the table changed
   * under it. `take` must copy what it keeps.
   */
  dump(
    r: Pick<NetlinkRequest, 'type' | 'write'>,
    doing: Text,
    begin: () => void,
    take: (m: NetlinkMessage) => void,
  ): Result<void, HostError>;
  /**
   * Reads a table of many entries a piece at a time, while it changes: some may be missed, or come twice. Each call takes one
   * piece; true: that was the last. Until then this channel reads no other table.
   */
  pieces(
    r: Pick<NetlinkRequest, 'type' | 'write'>,
    doing: Text,
    take: (m: NetlinkMessage) => void,
  ): () => Result<boolean, HostError>;
  /** One request that is answered by messages of its own and not by a dump. */
  ask(r: NetlinkRequest, doing: Text): Result<readonly NetlinkMessage[], HostError>;
  close(): void;
}
/** In the network namespace of the calling thread. */
export interface Netlink {
  open(family: NetlinkFamily): Result<NetlinkChannel, HostError>;
}
/** What the kernel tells of by itself. */
export interface NetlinkEvents {
  /**
   * `groups`: a mask of the family's multicast groups. `take` must copy what it keeps. `lost`: notifications came faster than
   * they were read, and some are missing.
   */
  listen(
    family: NetlinkFamily,
    groups: number,
    on: { readonly take: (m: NetlinkMessage) => void; readonly lost: () => void },
  ): Result<Cancel, HostError>;
}
