/** What the maps hold, one service at a time, without its bytes. Numbers (ids, blocks, serials) are places in the maps. */
import type { IpAddress } from '../../../base/index.ts';
import type { Protocol } from '../../config.ts';

/** A block of addresses and one port; 0 is every port. A single address has the length of its family. */
export type Entry = {
  readonly address: IpAddress;
  readonly length: number;
  readonly protocol: Protocol;
  readonly port: number;
};

/** How packets get to a server. */
export type Way =
  /** This host is the real server. */
  | { readonly send: 'here' }
  | { readonly send: 'direct'; readonly ifindex: number }
  | {
      readonly send: 'ipip' | 'gue' | 'gre';
      readonly ifindex: number;
      /** Of the outer header. */
      readonly source: IpAddress;
      /** Of the device: what the packet and its new headers must fit into. */
      readonly mtu: number;
      /** UDP port of GUE; 0 for the others. */
      readonly guePort: number;
    };

export type ServerRow = {
  readonly id: number;
  /** Differs from that of whatever had the id before: a flow of that one is no flow of this. */
  readonly serial: number;
  readonly address: IpAddress;
  readonly port: number;
  /** For people and for the next process; the ring decides. */
  readonly weight: number;
  readonly way: Way;
};

export type Hashing = {
  readonly source: boolean;
  readonly sourcePort: boolean;
  readonly destination: boolean;
  readonly destinationPort: boolean;
  /** Of the client's address: how many bits of it count. */
  readonly sourceBits: number;
};
export type ServiceTable = {
  readonly id: number;
  readonly entries: readonly Entry[];
  readonly hashing: Hashing;
  /** One-packet: no flow is remembered. */
  readonly stateless: boolean;
  /** Slots in turn instead of by hash. */
  readonly inTurn: boolean;
  readonly block: number;
  /** Server ids; empty where nobody serves. */
  readonly ring: Uint32Array;
  readonly servers: readonly ServerRow[];
};

export const BLOCK_SLOTS = 1024;
/** How many blocks a ring takes. */
export const blocksFor = (slots: number): number => Math.ceil(slots / BLOCK_SLOTS);

export const entryText = (e: Entry): string => {
  const whole = e.length === (e.address.includes(':') ? 128 : 32);
  const address = whole ? e.address : `${e.address}/${e.length}`;
  const bracketed = e.address.includes(':') ? `[${address}]` : address;
  return `${e.protocol} ${bracketed}:${e.port === 0 ? '*' : e.port}`;
};
