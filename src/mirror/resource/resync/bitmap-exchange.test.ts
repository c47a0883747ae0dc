/** The bitmap as it travels, to a peer of ours and from the kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RunWriter } from '../../../wire/index.ts';
import { Bitmap } from '../../metadata/index.ts';
import { BitmapReceipt, bitmapPackets } from './bitmap-exchange.ts';

/** From one number; `run`: how many bits are alike on the average. */
function drawn(bits: number, seed: number, run: number): Bitmap {
  const b = new Bitmap(bits);
  let x = seed;
  for (let at = 0; at < bits; ) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    const length = 1 + ((x >>> 8) % (2 * run));
    if ((x & 0x80) !== 0) b.set({ from: at, to: Math.min(bits, at + length) });
    at += length;
  }
  return b;
}
const ranges = (b: Bitmap): unknown => [...b.ranges()];

test('every bitmap arrives as it was sent, however long the device and whatever of it travels as plain bits', () => {
  let plain = 0;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 90_000 }), fc.nat(), fc.integer({ min: 1, max: 40 }), (bits, seed, run) => {
      const sent = drawn(bits, seed, run);
      const into = new Bitmap(bits);
      const receipt = new BitmapReceipt(into);
      for (const p of bitmapPackets(0, sent)) {
        assert.ok(!receipt.done, 'a packet behind the last');
        if (p.kind === 'P_BITMAP') plain++;
        else assert.equal(p.kind, 'P_COMPRESSED_BITMAP');
        const got = receipt.take(p as Parameters<BitmapReceipt['take']>[0]);
        assert.ok(got.ok, got.ok ? '' : got.error);
      }
      assert.ok(receipt.done);
      assert.deepEqual(ranges(into), ranges(sent));
    }),
    { numRuns: 300 },
  );
  assert.ok(plain > 0);
});

test('plain bits behind runs that ended amid a word begin with that word, as the kernel sends them', () => {
  const BITS = 200;
  const sent = drawn(BITS, 7, 2);
  const runs = new RunWriter(sent.has(0), 4000);
  let at = 0;
  while (at < 70) {
    const run = sent.runLength(at);
    assert.ok(runs.push(run));
    at += run;
  }
  assert.ok(at % 64 !== 0 && at > 64 && at < 128);
  const into = new Bitmap(BITS);
  const receipt = new BitmapReceipt(into);
  for (const p of [
    { kind: 'P_COMPRESSED_BITMAP', volume: 0, ...runs.done() },
    { kind: 'P_BITMAP', volume: 0, words: sent.words(64, 3).slice() },
    { kind: 'P_BITMAP', volume: 0, words: new Uint8Array(0) },
  ] as const) {
    assert.ok(!receipt.done);
    const got = receipt.take(p);
    assert.ok(got.ok, got.ok ? '' : got.error);
  }
  assert.ok(receipt.done);
  assert.deepEqual(ranges(into), ranges(sent));
});

test('plain bits that are more or fewer than the device has are refused, and a second end', () => {
  const receipt = (): BitmapReceipt => new BitmapReceipt(new Bitmap(100));
  const plain = (bytes: number) => ({ kind: 'P_BITMAP', volume: 0, words: new Uint8Array(bytes) }) as const;
  for (const wrong of [0, 8, 24]) assert.ok(!receipt().take(plain(wrong)).ok, `${wrong}`);
  const r = receipt();
  assert.ok(r.take(plain(16)).ok);
  assert.ok(!r.done && !r.take(plain(8)).ok);
});
