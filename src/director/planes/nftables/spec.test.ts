import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type IpAddress, ipFromBytes } from '../../../base/index.ts';
import { decodeNftElements, type MacAddress, macFromBytes, NetlinkWriter } from '../../../wire/index.ts';
import { requestsOf } from './command.ts';
import { type ElementSpec, type Field, readElement, type SetSpec, type Value } from './spec.ts';

const value: Record<Field, fc.Arbitrary<Value>> = {
  ipv4_addr: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((b): IpAddress => ipFromBytes(b)),
  ipv6_addr: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b): IpAddress => ipFromBytes(b)),
  ether_addr: fc.uint8Array({ minLength: 6, maxLength: 6 }).map((b): MacAddress => macFromBytes(b)),
  inet_proto: fc.integer({ min: 0, max: 0xff }),
  inet_service: fc.integer({ min: 0, max: 0xffff }),
  mark: fc.integer({ min: 0, max: 0xffff_ffff }),
  iface_index: fc.integer({ min: 0, max: 0xffff_ffff }),
};
const fields = fc.array(fc.constantFrom(...(Object.keys(value) as Field[])), { minLength: 1, maxLength: 3 });
const valuesOf = (f: readonly Field[]): fc.Arbitrary<Value[]> => fc.tuple(...f.map((x) => value[x]));
const data = fc.oneof(fc.constant(undefined), fc.constant('verdict' as const), fields);
const filled = fc.tuple(fields, data).chain(([key, d]) => {
  const set: SetSpec = { name: 's', key, ...(d !== undefined && { data: d }) };
  const element = fc
    .tuple(valuesOf(key), Array.isArray(d) ? valuesOf(d) : fc.constant(undefined), fc.constantFrom('one', 'another'))
    .map(([k, v, chain]): ElementSpec => {
      if (v !== undefined) return { key: k, data: v };
      return d === 'verdict' ? { key: k, goto: chain } : { key: k };
    });
  return fc.array(element, { minLength: 1, maxLength: 700 }).map((elements) => ({ set, elements }));
});
const table = { family: 'inet', name: 't' } as const;

for (const remove of [false, true])
  test(`elements are read back as they were ${remove ? 'named to be removed: by their keys' : 'put'}, however many messages they take`, () =>
    fc.assert(
      fc.property(filled, ({ set, elements }) => {
        const command = { do: remove ? ('elements-remove' as const) : ('elements-add' as const), set, elements };
        const read = requestsOf(table, command, 1).flatMap((r) => {
          const w = new NetlinkWriter();
          r.write(w);
          const got = decodeNftElements(w.done());
          assert.ok(got.ok);
          return got.value.elements.map((e) => readElement(remove ? { name: set.name, key: set.key } : set, e));
        });
        assert.deepEqual(read, remove ? elements.map(({ key }) => ({ key })) : elements);
      }),
      { numRuns: 50 },
    ));
