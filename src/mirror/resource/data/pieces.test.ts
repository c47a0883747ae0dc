import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DRBD_FEATURE } from '../../../wire/index.ts';
import { Rig } from '../rig.fixture.ts';
import { LONGEST_PIECE, Pieces } from './pieces.ts';

const MIB = 1 << 20;
test('a discard that is larger than the activity log is carried out, and answered once', () => {
  const rig = new Rig(undefined, 288 * MIB);
  rig.ask({ verb: 'up' });
  rig.ask({ verb: 'primary', force: true });
  rig.disk.fill(0xff, 0, 287 * MIB);
  rig.app({ op: 'zero', tag: 7, offset: 4096, length: 286 * MIB, unmap: true });
  rig.app({ op: 'flush', tag: 8 });
  assert.deepEqual(
    [...rig.done],
    [
      [7, 0],
      [8, 0],
    ],
  );
  const left = [0, 4095, 4096, 143 * MIB, 286 * MIB + 4095, 286 * MIB + 4096].map((at) => rig.disk[at]);
  assert.deepEqual(left, [0xff, 0xff, 0, 0, 0, 0xff]);
});

const sectors = fc.nat({ max: 1 << 20 });
test('pieces cover the whole without a gap, none touches more than four extents, one failure is the result', () =>
  fc.assert(
    fc.property(sectors, sectors, fc.boolean(), (from, count, fails) => {
      const p = new Pieces();
      const r = { op: 'zero', tag: 3, offset: from * 512, length: (count + 1) * 512, unmap: true } as const;
      const cut = p.cut(r);
      let at = r.offset;
      for (const c of cut) {
        assert.equal(c.offset, at);
        assert.ok(c.length > 0 && c.length <= LONGEST_PIECE);
        at += c.length;
      }
      assert.equal(at, r.offset + r.length);
      const told = cut.flatMap((c, i) => p.done(c.tag, fails && i === 0 ? -5 : 0) ?? []);
      assert.deepEqual(told, [{ tag: 3, result: fails ? -5 : 0 }]);
    }),
  ));

test('a peer without WSAME is told no discard of more than a mebibyte', () => {
  for (const [features, kind] of [
    [DRBD_FEATURE.trim, 'P_TRIM'],
    [0, 'P_DATA'],
  ] as const) {
    const r = new Rig(undefined, 8 * MIB);
    r.connect('Secondary', features);
    r.promote();
    r.app({ op: 'zero', tag: 5, offset: 512, length: 3 * MIB, unmap: true });
    const sizes = r.packets().flatMap((p) => (p.kind !== kind ? [] : 'data' in p ? p.data.length : p.size));
    assert.deepEqual(sizes, [MIB - 512, MIB, MIB, 512]);
  }
});
