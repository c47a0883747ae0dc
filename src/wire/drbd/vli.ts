/**
 * RLE-VLI: a bitmap as lengths of runs of alternating value, each in a code of 2 to 64 bits, least significant bit of each
 * byte first. A code is a prefix that names the level, then `data` bits: the length less the level's smallest.
 */
import { err, ok, type Result } from '../../base/index.ts';

type Level = { readonly prefix: number; readonly prefixBits: number; readonly dataBits: number; readonly base: number };
const level = (prefixBits: number, prefix: number, dataBits: number, base: number): Level => ({
  prefix,
  prefixBits,
  dataBits,
  base,
});
const LEVELS: readonly Level[] = [
  level(1, 0x00, 1, 1),
  level(2, 0x01, 1, 3),
  level(3, 0x03, 2, 5),
  level(4, 0x07, 3, 9),
  level(5, 0x0f, 5, 17),
  level(6, 0x1f, 8, 49),
  level(8, 0x3f, 13, 305),
  level(8, 0x7f, 21, 8497),
  level(8, 0xbf, 34, 2105649),
  level(8, 0xff, 56, 17181974833),
];
const RLE_VLI_BITS = 2;
/** Behind it a run is longer than any bitmap: 2^53 bits of 4 KiB. */
const LONGEST_RUN = Number.MAX_SAFE_INTEGER;

export type RunsError =
  /** The low four bits of the encoding byte are not RLE_VLI_Bits. */
  | { readonly kind: 'encoding'; readonly have: number }
  /** The code ends inside a run, or names a run longer than 2^53 - 1; `bit` is where it begins. */
  | { readonly kind: 'run'; readonly bit: number };
export type Runs = { /** Value of the first run. */ readonly first: boolean; readonly lengths: readonly number[] };

/** Eight bits from `at` on, zeros behind the end: enough for any prefix. */
function peek8(code: Uint8Array, at: number): number {
  const i = at >>> 3;
  return (((code[i] ?? 0) | ((code[i + 1] ?? 0) << 8)) >>> (at & 7)) & 0xff;
}
function readBits(code: Uint8Array, start: number, bits: number): number {
  let value = 0;
  let scale = 1;
  let at = start;
  for (let left = bits; left > 0; ) {
    const take = Math.min(left, 8);
    value += (peek8(code, at) & ((1 << take) - 1)) * scale;
    scale *= 256;
    at += take;
    left -= take;
  }
  return value;
}
function levelOf(byte: number): Level {
  for (const l of LEVELS) if ((byte & ((1 << l.prefixBits) - 1)) === l.prefix) return l;
  throw new Error(`bug: no level for ${byte}`); // the prefixes cover every byte
}

/** Calls `run` for each run in turn. On an error the runs before it have been reported. */
export function readRuns(
  encoding: number,
  code: Uint8Array,
  run: (length: number, set: boolean) => void,
): Result<void, RunsError> {
  if ((encoding & 0x0f) !== RLE_VLI_BITS) return err({ kind: 'encoding', have: encoding });
  const end = code.length * 8 - ((encoding >>> 4) & 7);
  let set = (encoding & 0x80) !== 0;
  for (let at = 0; at < end; set = !set) {
    const l = levelOf(peek8(code, at));
    const next = at + l.prefixBits + l.dataBits;
    const length = l.base + readBits(code, at + l.prefixBits, l.dataBits);
    if (next > end || length > LONGEST_RUN) return err({ kind: 'run', bit: at });
    run(length, set);
    at = next;
  }
  return ok(undefined);
}

export function decodeRuns(encoding: number, code: Uint8Array): Result<Runs, RunsError> {
  const lengths: number[] = [];
  const got = readRuns(encoding, code, (n) => lengths.push(n));
  return got.ok ? ok({ first: (encoding & 0x80) !== 0, lengths }) : got;
}

/** Fills one packet with runs. `push` says no when the next code does not fit; that run goes into the next packet. */
export class RunWriter {
  readonly #out: Uint8Array;
  readonly #first: boolean;
  #bits = 0;

  /** `capacity` in bytes of code: 4096 less the header and the encoding byte. */
  constructor(first: boolean, capacity: number) {
    this.#first = first;
    this.#out = new Uint8Array(capacity);
  }
  /** `length` is 1 .. 2^53 - 1. */
  push(length: number): boolean {
    let l = LEVELS[0] as Level;
    for (const one of LEVELS) if (one.base <= length) l = one;
    if (this.#bits + l.prefixBits + l.dataBits > this.#out.length * 8) return false;
    this.#put(l.prefix, l.prefixBits);
    this.#put(length - l.base, l.dataBits);
    return true;
  }
  #put(value: number, bits: number): void {
    let rest = value;
    for (let left = bits; left > 0; ) {
      const shift = this.#bits & 7;
      const take = Math.min(left, 8 - shift);
      const part = rest % (1 << take);
      this.#out[this.#bits >>> 3] = (this.#out[this.#bits >>> 3] as number) | (part << shift);
      rest = (rest - part) / (1 << take);
      this.#bits += take;
      left -= take;
    }
  }
  get bytes(): number {
    return Math.ceil(this.#bits / 8);
  }
  done(): { readonly encoding: number; readonly code: Uint8Array } {
    const unused = this.bytes * 8 - this.#bits;
    return {
      encoding: RLE_VLI_BITS | (unused << 4) | (this.#first ? 0x80 : 0),
      code: this.#out.slice(0, this.bytes),
    };
  }
}

/** All runs in one code, however long: for tests and for people. */
export function encodeRuns(r: Runs): { readonly encoding: number; readonly code: Uint8Array } {
  const w = new RunWriter(r.first, r.lengths.length * 8);
  for (const n of r.lengths) w.push(n);
  return w.done();
}
