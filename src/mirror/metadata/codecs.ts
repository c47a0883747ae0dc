import { decodeAlBlock, encodeAlBlock } from './al-block.ts';
import { decodeSuperblock, encodeSuperblock } from './superblock.ts';

/** For the tests that every codec must pass: round trip, cut, hostile bytes. */
export const metadataCodecs = [
  { name: 'drbd superblock', decode: decodeSuperblock, encode: encodeSuperblock },
  { name: 'drbd activity log block', decode: decodeAlBlock, encode: encodeAlBlock },
] as const;
