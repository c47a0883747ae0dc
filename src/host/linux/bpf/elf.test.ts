import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { packageRoot } from '../native.ts';
import { readElf, relocate } from './elf.ts';

/** Compiled where there is clang; without it the tests that need one say so. */
function object(name: string): Uint8Array | undefined {
  for (const folder of ['build/native/bpf', 'native/prebuilt/bpf'])
    try {
      return new Uint8Array(readFileSync(join(packageRoot(), folder, `${name}.o`)));
    } catch {}
  return undefined;
}
const director = object('director');
const skip = director === undefined && 'no compiled BPF object: clang is not installed';

test('the director’s object: its programs, its maps with their sizes, and where each is loaded', { skip }, () => {
  const elf = readElf(director as Uint8Array);
  assert.ok(elf.ok);
  assert.equal(elf.value.license, 'Dual MIT/GPL');
  assert.deepEqual(
    elf.value.programs.map((p) => `${p.section} ${p.name}`),
    ['tc/director tc_director', 'xdp/director xdp_director'],
  );
  const sizes = Object.fromEntries(elf.value.maps.map((m) => [m.name, [m.keyBytes, m.valueBytes]]));
  assert.deepEqual(sizes.services, [20, 40]);
  assert.deepEqual(sizes.servers, [4, 72]);
  const [tc] = elf.value.programs;
  assert.ok(tc && tc.mapLoads.length > 10);
  const numbers = new Map(elf.value.maps.map((m, i) => [m.name, 100 + i]));
  const code = relocate(tc, (map) => numbers.get(map) as number);
  const v = new DataView(code.buffer);
  for (const l of tc.mapLoads) {
    assert.equal((code[l.at + 1] as number) >> 4, 1, 'BPF_PSEUDO_MAP_FD');
    assert.equal(v.getUint32(l.at + 4, true), numbers.get(l.map));
  }
});

test('no bytes make the reader throw', () =>
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (b) => typeof readElf(b).ok === 'boolean')));

test('an object with any of its bytes changed is read or refused, never a throw', { skip }, () => {
  const good = director as Uint8Array;
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, value, cut) => {
      const b = good.slice(0, cut < 64 ? good.length : cut);
      b[at % b.length] = value;
      return typeof readElf(b).ok === 'boolean';
    }),
    { numRuns: 500 },
  );
});
