import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeRuns, RunWriter } from '../../wire/index.ts';
import { Bitmap, bitsFor, PAGE_BITS } from './index.ts';

const range = (max: number) =>
  fc.tuple(fc.nat(max), fc.nat(max)).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));
const size = fc.constantFrom(1, 31, 32, 33, 64, 246, 1024, 4099, PAGE_BITS, PAGE_BITS + 1, 2 * PAGE_BITS + 77);

/** Every bit by itself. */
class Model {
  readonly bits: Uint8Array;
  constructor(n: number) {
    this.bits = new Uint8Array(n);
  }
  count = (): number => this.bits.reduce((n, b) => n + b, 0);
  ranges(): [number, number][] {
    const out: [number, number][] = [];
    for (let i = 0; i < this.bits.length; i++) {
      if (this.bits[i] === 0) continue;
      const from = i;
      while (i < this.bits.length && this.bits[i] === 1) i++;
      out.push([from, i]);
    }
    return out;
  }
}

test('a bitmap does with words what single bits would do, and its counts are always right', () =>
  fc.assert(
    fc.property(
      size.chain((n) => fc.tuple(fc.constant(n), fc.array(fc.tuple(fc.boolean(), range(n + 40)), { maxLength: 12 }))),
      ([n, changes]) => {
        const [b, m] = [new Bitmap(n), new Model(n)];
        for (const [set, r] of changes) {
          const before = m.count();
          m.bits.fill(set ? 1 : 0, r.from, r.to);
          assert.equal(set ? b.set(r) : b.clear(r), Math.abs(m.count() - before));
          assert.equal(b.count, m.count());
          assert.deepEqual(
            [...b.ranges()].map((x) => [x.from, x.to]),
            m.ranges(),
          );
          assert.equal(
            b.countIn(r),
            m.bits.subarray(r.from, r.to).reduce((k, x) => k + x, 0),
          );
        }
      },
    ),
    { numRuns: 150 },
  ));

test('a bitmap survives both forms in which it travels', () =>
  fc.assert(
    fc.property(
      size.chain((n) => fc.tuple(fc.constant(n), fc.array(range(n), { maxLength: 12 }))),
      fc.integer({ min: 12, max: 100 }),
      ([n, sets], capacity) => {
        const b = new Bitmap(n);
        for (const r of sets) b.set(r);
        const compressed = new Bitmap(n);
        for (let at = 0; at < n; ) {
          const w = new RunWriter(b.has(at), capacity);
          for (; at < n && w.push(b.runLength(at)); at += b.runLength(at));
          const { encoding, code } = w.done();
          const runs = decodeRuns(encoding, code);
          assert.ok(runs.ok);
          let from = at - runs.value.lengths.reduce((k, x) => k + x, 0);
          let set = runs.value.first;
          for (const length of runs.value.lengths) {
            if (set) compressed.set({ from, to: from + length });
            from += length;
            set = !set;
          }
        }
        assert.deepEqual([...compressed.ranges()], [...b.ranges()]);
        const plain = new Bitmap(n);
        const words = Math.ceil(n / 64);
        for (let at = 0; at < words; at += 510)
          plain.merge(at * 64, b.words(at * 64, Math.min(510, words - at)).slice());
        assert.deepEqual([...plain.ranges()], [...b.ranges()]);
        assert.equal(plain.count, b.count);
      },
    ),
    { numRuns: 150 },
  ));

test('pages that changed are dirty until they are marked, and only those', () => {
  const b = new Bitmap(3 * PAGE_BITS);
  assert.deepEqual([...b.dirtyPages()], []);
  b.set({ from: PAGE_BITS + 5, to: 2 * PAGE_BITS + 1 });
  assert.deepEqual([...b.dirtyPages()], [1, 2]);
  b.markWritten(1);
  b.set({ from: PAGE_BITS + 5, to: PAGE_BITS + 6 });
  assert.deepEqual([...b.dirtyPages()], [2], 'a bit that was set already changes nothing');
  b.clear({ from: PAGE_BITS + 5, to: PAGE_BITS + 6 });
  assert.deepEqual([...b.dirtyPages()], [1, 2]);
});
test('what is loaded from disk counts, the bits behind the end of the device do not', () => {
  const b = new Bitmap(70);
  const page = new Uint8Array(4096).fill(0xff);
  b.load(0, page);
  assert.equal(b.count, 70);
  assert.deepEqual([...b.dirtyPages()], []);
  b.load(0, new Uint8Array(4096));
  assert.equal(b.count, 0);
  assert.equal(b.nextSet(0), undefined);
  assert.equal(b.page(0)[8], 0b1100_0000, 'on disk they stay set, up to the end of the extent');
  assert.equal(b.page(0)[127], 0xff);
  assert.equal(b.page(0)[128], 0);
});
test('a hot extent sets the bits of 4 MiB, fewer at the end of the device', () => {
  const b = new Bitmap(bitsFor(8192 + 16));
  assert.equal(b.setExtent(0), 1024);
  assert.equal(b.setExtent(1), 2);
});
test('a device that grows keeps its bits; the new ones are out of sync unless said otherwise', () => {
  const b = new Bitmap(100);
  b.set({ from: 10, to: 20 });
  assert.deepEqual(
    [...b.resized(200).ranges()],
    [
      { from: 10, to: 20 },
      { from: 100, to: 200 },
    ],
  );
  assert.deepEqual([...b.resized(200, true).ranges()], [{ from: 10, to: 20 }]);
});
test('a bitmap of 1 TiB takes a 32768th of it, and its last bit works', () => {
  const bits = 2 ** 40 / 4096;
  const b = new Bitmap(bits);
  assert.equal(b.pages * 4096, 2 ** 40 / 32768);
  b.set({ from: bits - 1, to: bits });
  assert.equal(b.nextSet(0), bits - 1);
  assert.equal(b.runLength(0), bits - 1);
});
