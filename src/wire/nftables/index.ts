export { nftablesCodecs } from './codecs.ts';
export {
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
  type NftGeneration,
  writeNftChain,
  writeNftChainKey,
  writeNftRule,
  writeNftRulesKey,
  writeNftTable,
} from './messages.ts';
export {
  NFNL_SUBSYSTEM,
  NFT_DATA_VERDICT,
  NFT_HOOK,
  NFT_MSG,
  NFT_SET_FLAG,
  NFT_TYPE,
  NFT_TYPE_BITS,
  type NftFamily,
} from './numbers.ts';
export {
  decodeNftElements,
  decodeNftSet,
  type ElementForm,
  encodeNftElements,
  encodeNftSet,
  writeNftElementsOf,
  writeNftSet,
  writeNftSetKey,
} from './sets.ts';
export type * from './types.ts';
