/** What nf_tables holds, without the numbers of its wire form. Bytes of keys and values are as the packet has them: network order, marks in the machine's own. */
import type { Family } from '../../base/index.ts';
import type { NftFamily } from './numbers.ts';

/** One of sixteen words of 32 bits. A value of more words begins at its register and takes those behind it. */
export type NftRegister = number;

export type NftVerdict =
  | { readonly code: 'accept' | 'drop' | 'continue' | 'return' }
  | { readonly code: 'jump' | 'goto'; readonly chain: string };

export type MetaKey = 'protocol' | 'mark' | 'iif' | 'oif' | 'iifname' | 'oifname' | 'nfproto' | 'l4proto' | 'pkttype';
export type CtKey = 'state' | 'direction' | 'status' | 'mark';
export type CmpOp = 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte';
export type NftCounter = { readonly packets: bigint; readonly bytes: bigint };

/** One step of a rule. */
export type NftExpression =
  | { readonly is: 'meta'; readonly key: MetaKey; readonly to: NftRegister }
  | { readonly is: 'meta-set'; readonly key: MetaKey; readonly from: NftRegister }
  | {
      readonly is: 'payload';
      readonly base: 'link' | 'network' | 'transport';
      /** In bytes, as `length`. */
      readonly offset: number;
      readonly length: number;
      readonly to: NftRegister;
    }
  | { readonly is: 'ct'; readonly key: CtKey; readonly to: NftRegister }
  | { readonly is: 'ct-set'; readonly key: CtKey; readonly from: NftRegister }
  | { readonly is: 'cmp'; readonly op: CmpOp; readonly from: NftRegister; readonly value: Uint8Array }
  | {
      readonly is: 'range';
      readonly op: 'eq' | 'neq';
      readonly from: NftRegister;
      readonly low: Uint8Array;
      readonly high: Uint8Array;
    }
  | {
      readonly is: 'bitwise';
      readonly from: NftRegister;
      readonly to: NftRegister;
      /** (value & mask) ^ xor, all of one length. */
      readonly mask: Uint8Array;
      readonly xor: Uint8Array;
    }
  | { readonly is: 'immediate'; readonly to: NftRegister; readonly value: Uint8Array }
  | { readonly is: 'verdict'; readonly verdict: NftVerdict }
  | {
      readonly is: 'lookup';
      readonly set: string;
      readonly from: NftRegister;
      /** A map's value goes to a register, or is a verdict that is followed; undefined: the set is only asked. */
      readonly to?: NftRegister | 'verdict';
      readonly invert?: true;
    }
  | {
      readonly is: 'dynset';
      readonly op: 'add' | 'update' | 'delete';
      readonly set: string;
      readonly key: NftRegister;
      readonly data?: NftRegister;
      readonly timeoutMs?: number;
    }
  | {
      readonly is: 'numgen';
      readonly to: NftRegister;
      readonly random: boolean;
      readonly modulus: number;
      /** Added to what was counted. */
      readonly offset: number;
    }
  | {
      readonly is: 'jhash';
      readonly from: NftRegister;
      /** In bytes. */
      readonly length: number;
      readonly to: NftRegister;
      readonly modulus: number;
      readonly seed: number;
      readonly offset: number;
    }
  | ({ readonly is: 'counter' } & NftCounter)
  /** A named object: itself, or found in an object map by the key. `type` 1 = counter. */
  | { readonly is: 'object'; readonly type: number; readonly name: string }
  | { readonly is: 'object-map'; readonly set: string; readonly from: NftRegister }
  | {
      readonly is: 'nat';
      readonly type: 'snat' | 'dnat';
      readonly family: Family;
      readonly address: NftRegister;
      readonly port?: NftRegister;
    }
  | { readonly is: 'masquerade' }
  /** Out of the device whose number is in a register; with an address, to that neighbour. */
  | {
      readonly is: 'fwd';
      readonly device: NftRegister;
      readonly neighbour?: { readonly family: Family; readonly address: NftRegister };
    }
  /** Not spoken here: kept as it came, so that somebody else's rule can be told apart from ours. */
  | { readonly is: 'other'; readonly name: string; readonly data: Uint8Array };

export type NftTable = { readonly family: NftFamily; readonly name: string; readonly flags: number };

export type NftChainHook = {
  readonly type: 'filter' | 'nat' | 'route';
  /** NF_INET_* or 0 for netdev's ingress. */
  readonly number: number;
  /** Signed; lower comes first. */
  readonly priority: number;
  /** netdev only. */
  readonly devices: readonly string[];
  readonly policy: 'accept' | 'drop';
};
export type NftChain = {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  readonly hook?: NftChainHook;
  readonly comment?: string;
};
export type NftRule = {
  readonly family: NftFamily;
  readonly table: string;
  readonly chain: string;
  /** Given by the kernel. */
  readonly handle?: bigint;
  readonly expressions: readonly NftExpression[];
};
export type NftSet = {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  /** NFT_SET_FLAG. */
  readonly flags: number;
  readonly keyType: number;
  readonly keyLength: number;
  readonly dataType?: number;
  readonly dataLength?: number;
  /** NFT_OBJECT_*: elements name objects. */
  readonly objectType?: number;
  readonly timeoutMs?: number;
  /** Most elements. */
  readonly size?: number;
  /** Lengths in bytes of the parts of a concatenated key. */
  readonly fields?: readonly number[];
  /** Each element counts the packets that found it. */
  readonly counter?: boolean;
};
export type NftElement = {
  readonly key: Uint8Array;
  readonly data?: Uint8Array;
  readonly verdict?: NftVerdict;
  readonly object?: string;
  /** NFT_SET_ELEM_*: 1 interval end. */
  readonly flags?: number;
  readonly timeoutMs?: number;
  readonly expiresMs?: number;
  readonly counter?: NftCounter;
};
export type NftElements = {
  readonly family: NftFamily;
  readonly table: string;
  readonly set: string;
  readonly elements: readonly NftElement[];
};
/** A named counter. */
export type NftObject = {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  readonly counter: NftCounter;
};
