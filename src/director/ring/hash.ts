/**
 * 32 bits of a string: FNV-1a over its UTF-16 units, then the finaliser of MurmurHash3, whose avalanche makes two seeds
 * independent enough for Maglev. Both directors of a pair must compute the same, so this is not to be changed lightly.
 */
export function hash32(s: string, seed: number): number {
  let h = (0x811c9dc5 ^ seed) | 0;
  for (let i = 0; i < s.length; i++) h = Math.imul(h ^ s.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
