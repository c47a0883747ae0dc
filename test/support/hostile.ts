/**
 * Hostile bytes: every codec of the registry is fed random packets and damaged valid ones. Decoding must return, and
 * what it takes for valid must encode to a form that decodes to the same bytes again.
 *
 * HOLDFAST_FUZZ sets the number of packets for each codec (`npm test`: a million); HOLDFAST_SEED replays a run.
 *
 * A million packets for each of all codecs take minutes: `test/hostile-N.test.ts` have a share each, so that none is near
 * the time that the runner gives a file, also on a machine that is much slower.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Random } from '../../src/base/index.ts';
import { allSupport as codecSupport, allCodecs as codecs } from './codecs.ts';

const runs = Number(process.env['HOLDFAST_FUZZ'] ?? 5_000);
const seed = Number(process.env['HOLDFAST_SEED'] ?? Math.floor(Math.random() * 0x1_0000_0000));
const LONGEST = 4096 + 512;

const hexOf = (b: Uint8Array): string => Buffer.from(b).toString('hex');

/** Values that lengths and counts trip over. */
const EDGES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 20, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff];

/** Damages the first `length` bytes of `b` in one to four places, and returns the new length. */
function damage(b: Uint8Array, length: number, random: Random): number {
  let n = length;
  for (let times = (random.u32() & 3) + 1; times > 0; times--) {
    const r = random.u32();
    const at = n === 0 ? 0 : (r >>> 8) % n;
    switch (r & 7) {
      case 0:
      case 1:
        b[at] = (b[at] as number) ^ (1 << ((r >>> 3) & 7));
        break;
      case 2:
      case 3:
        b[at] = random.u32() & 0xff;
        break;
      case 4:
        b[at] = EDGES[(r >>> 3) & 15] as number;
        break;
      case 5:
        n = at;
        break;
      case 6: // a part stands twice
        n = Math.min(LONGEST, n + (r >>> 28));
        b.copyWithin(at, 0, n);
        break;
      default: // longer, with whatever the buffer held
        n = Math.min(LONGEST, n + ((r >>> 3) & 31));
    }
  }
  return n;
}

/** How many files share the codecs. */
const SHARES = 4;

/** Declares the tests of every fourth codec: `share` 1 to 4. */
export function hostile(share: number): void {
  for (const codec of codecs.filter((_, i) => i % SHARES === share - 1)) {
    test(`${codec.name}: ${runs} hostile packets (HOLDFAST_SEED=${seed})`, (t) => {
      const support = codecSupport[codec.name] ?? assert.fail('no arbitrary');
      const random = new Random(seed);
      const sample = fc.sample(support.value, { numRuns: 200, seed }).map((v) => codec.encode(v));
      const valid = sample.filter((b) => b.length <= LONGEST);
      const noise = Uint8Array.from({ length: 1 << 16 }, () => random.u32());
      const scratch = new Uint8Array(LONGEST);
      let accepted = 0;
      for (let i = 0; i < runs; i++) {
        let packet: Uint8Array;
        if ((i & 3) === 0) {
          const r = random.u32();
          const from = r & 0xff7f;
          packet = noise.subarray(from, from + (r >>> 25));
        } else {
          const original = valid[random.u32() % valid.length] as Uint8Array;
          scratch.set(original);
          packet = scratch.subarray(0, damage(scratch, original.length, random));
          if ((i & 1) === 0) support.repair?.(packet);
        }
        const got = codec.decode(packet); // a throw fails the test, which names the seed
        if (!got.ok) continue;
        accepted++;
        if ((accepted & 15) !== 0) continue;
        const once = codec.encode(got.value);
        const again = codec.decode(once);
        if (!again.ok) assert.fail(`packet ${i} ${hexOf(packet)}: encodes to what is refused: ${again.error.kind}`);
        const twice = codec.encode(again.value);
        assert.ok(Buffer.compare(once, twice) === 0, `packet ${i} ${hexOf(packet)}: ${hexOf(once)} != ${hexOf(twice)}`);
      }
      // If nothing damaged were ever accepted, only the first check would have been tried.
      assert.ok(accepted > runs / 1000, `only ${accepted} of ${runs} packets passed for valid`);
      t.diagnostic(`${accepted} of ${runs} passed for valid`);
    });
  }
}
