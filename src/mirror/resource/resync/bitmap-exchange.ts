/** The bitmap as it travels: as runs where that is shorter than plain bits, each packet going on where the last one ended. */
import { err, ok, type Result } from '../../../base/index.ts';
import {
  type BitmapPacket,
  type CompressedBitmapPacket,
  type DrbdPacket,
  RunWriter,
  readRuns,
} from '../../../wire/index.ts';
import type { Bitmap } from '../../metadata/index.ts';

const PACKET = 4096;
const HEADER = 16;
/** 64-bit words of one plain packet. */
const WORDS = Math.floor((PACKET - HEADER) / 8);

/** All packets of it. The bitmap must not change until they are encoded. */
export function* bitmapPackets(volume: number, b: Bitmap): Generator<DrbdPacket> {
  let at = 0;
  let plain = false;
  while (at < b.bits) {
    const w = new RunWriter(b.has(at), PACKET - HEADER - 1);
    let end = at;
    while (end < b.bits) {
      const run = b.runLength(end);
      if (!w.push(run)) break;
      end += run;
    }
    // Plain bits begin at a word, and go as far in one packet as WORDS say.
    const aligned = at % 64 === 0;
    if (!aligned || w.bytes < (end - at) / 8) {
      yield { kind: 'P_COMPRESSED_BITMAP', volume, ...w.done() };
      at = end;
      plain = false;
      continue;
    }
    const words = Math.min(WORDS, Math.ceil((b.bits - at) / 64));
    yield { kind: 'P_BITMAP', volume, words: b.words(at, words).slice() };
    at += words * 64;
    plain = true;
  }
  if (plain) yield { kind: 'P_BITMAP', volume, words: new Uint8Array(0) };
}

/** Takes the peer's bitmap into the own one. */
export class BitmapReceipt {
  readonly #into: Bitmap;
  #at = 0;
  #done = false;

  constructor(into: Bitmap) {
    this.#into = into;
    this.#done = into.bits === 0;
  }
  get done(): boolean {
    return this.#done;
  }
  take(p: BitmapPacket | CompressedBitmapPacket): Result<void, string> {
    const { bits } = this.#into;
    if (p.kind === 'P_BITMAP') {
      // Whole words: from the one in which the last runs ended, and behind the last bit up to the end of its word.
      const first = Math.floor(this.#at / 64);
      const words = Math.min(WORDS, Math.ceil(bits / 64) - first);
      if (p.words.length !== words * 8) return err(`a bitmap packet of ${p.words.length} bytes, ${words * 8} were due`);
      if (words > 0) this.#into.merge(first * 64, p.words);
      else this.#done = true;
      this.#at = (first + words) * 64;
      return ok(undefined);
    }
    let at = this.#at;
    const got = readRuns(p.encoding, p.code, (length, set) => {
      if (set && at + length <= bits) this.#into.set({ from: at, to: at + length });
      at += length;
    });
    if (!got.ok || at > bits) return err('a bitmap that does not fit the device');
    this.#at = at;
    if (at === bits) this.#done = true;
    return ok(undefined);
  }
}
