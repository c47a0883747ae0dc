/** Metadata as text, as `drbdmeta dump-md` prints it and `drbdmeta restore-md` reads it. Pure. */
import type { Bitmap } from './bitmap.ts';
import { alGeometryOf, type Superblock } from './superblock.ts';

const WORD_BYTES = 8;
/** A line of words, or one for as many whole lines of equal ones. */
const LINE_WORDS = 4;
/** Where a line begins at a multiple of it, the place on the disk is told. A word stands for 64 blocks of 4 KiB. */
const PLACE_EVERY = 256;
const WORD_KB = 256;
const hex = (n: bigint | number, digits: number): string => `0x${n.toString(16).toUpperCase().padStart(digits, '0')}`;

function ones(word: bigint): number {
  let n = 0;
  for (let w = word; w > 0n; w &= w - 1n) n++;
  return n;
}

/** `heading`: comment lines without their `#`. */
export function dumpMetadata(s: Superblock, bitmap: Bitmap, mdOffset: bigint, heading: readonly string[]): string {
  const { current, bitmap: base, history } = s.uuids;
  const al = alGeometryOf(s);
  const at = (sectors: number): bigint => mdOffset + BigInt(sectors) * 512n;
  const words = bitmapWords(s, bitmap);
  return [
    '# DRBD meta data dump',
    ...heading.map((l) => `# ${l}`),
    '#',
    '',
    'version "v08";',
    '',
    `# md_size_sect ${s.size}`,
    `# md_offset ${mdOffset}`,
    `# al_offset ${at(s.alOffset)}`,
    `# bm_offset ${at(s.bmOffset)}`,
    '',
    'uuid {',
    `    ${[current, base, ...history].map((u) => `${hex(u, 16)};`).join(' ')}`,
    `    flags ${hex(s.flags, 8)};`,
    '}',
    `# al-extents ${s.alExtents};`,
    `la-size-sect ${s.laSize};`,
    'bm-byte-per-bit 4096;',
    `device-uuid ${hex(s.deviceUuid, 16)};`,
    `la-peer-max-bio-size ${s.peerMaxBioSize};`,
    `al-stripes ${al.stripes};`,
    `al-stripe-size-4k ${al.stripeSize4k};`,
    `# bm-bytes ${words.length * WORD_BYTES};`,
    'bm {',
    ...bitmapLines(words),
    '}',
    `# bits-set ${words.reduce((n, w) => n + ones(w), 0)};`,
    '',
  ].join('\n');
}
/** Whole blocks, with the bits behind the end. */
function bitmapWords(s: Superblock, bitmap: Bitmap): BigUint64Array {
  if (s.laSize === 0) return new BigUint64Array(0);
  const out = new BigUint64Array(bitmap.pages * (4096 / WORD_BYTES));
  for (let p = 0; p < bitmap.pages; p++) {
    const page = bitmap.page(p);
    const v = new DataView(page.buffer, page.byteOffset, page.byteLength);
    for (let i = 0; i < 4096; i += WORD_BYTES) out[(p * 4096 + i) / WORD_BYTES] = v.getBigUint64(i, true);
  }
  return out;
}
function bitmapLines(words: BigUint64Array): readonly string[] {
  const out: string[] = [];
  for (let i = 0; i < words.length; ) {
    if (i % PLACE_EVERY === 0) out.push(`   # at ${i * WORD_KB}kB`);
    let same = i;
    while (same < words.length && words[same] === words[i]) same++;
    const whole = same - i - ((same - i) % LINE_WORDS);
    if (whole > LINE_WORDS) {
      out.push(`    ${whole} times ${hex(words[i] as bigint, 16)};`);
      i += whole;
      continue;
    }
    const end = Math.min(words.length, i + LINE_WORDS);
    out.push(`    ${Array.from(words.subarray(i, end), (w) => `${hex(w, 16)};`).join(' ')}`);
    i = end;
  }
  return out;
}
