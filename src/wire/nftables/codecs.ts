import {
  decodeNftChain,
  decodeNftGeneration,
  decodeNftObject,
  decodeNftRule,
  decodeNftTable,
  encodeNftChain,
  encodeNftGeneration,
  encodeNftObject,
  encodeNftRule,
  encodeNftTable,
} from './messages.ts';
import { decodeNftElements, decodeNftSet, encodeNftElements, encodeNftSet } from './sets.ts';

/** For the registry that the round-trip and hostile-bytes tests walk. What is decoded is a payload, behind the message's header. */
export const nftablesCodecs = [
  { name: 'nftables table', decode: decodeNftTable, encode: encodeNftTable },
  { name: 'nftables chain', decode: decodeNftChain, encode: encodeNftChain },
  { name: 'nftables rule', decode: decodeNftRule, encode: encodeNftRule },
  { name: 'nftables set', decode: decodeNftSet, encode: encodeNftSet },
  { name: 'nftables elements', decode: decodeNftElements, encode: encodeNftElements },
  { name: 'nftables object', decode: decodeNftObject, encode: encodeNftObject },
  { name: 'nftables generation', decode: decodeNftGeneration, encode: encodeNftGeneration },
] as const;
