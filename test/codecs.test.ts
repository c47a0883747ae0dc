/** What every codec of the registry must hold. HOLDFAST_FUZZ sets the packets tried on each in hostile-N.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allSupport as codecSupport, allCodecs as codecs } from './support/codecs.ts';

test('every codec in the registry has values to be tried with, and the names are unique', () => {
  assert.deepEqual(codecs.map((c) => c.name).sort(), Object.keys(codecSupport).sort());
});

for (const codec of codecs) {
  test(`${codec.name}: every value survives encode then decode`, () => {
    const value = codecSupport[codec.name]?.value ?? assert.fail('no arbitrary');
    fc.assert(
      fc.property(value, (v) => assert.deepEqual(codec.decode(codec.encode(v)), { ok: true, value: v })),
      { numRuns: 300 },
    );
  });
  test(`${codec.name}: a packet cut anywhere decodes to a result, and never to a longer one`, () => {
    const value = codecSupport[codec.name]?.value ?? assert.fail('no arbitrary');
    fc.assert(
      fc.property(value, fc.nat(), (v, cut) => {
        const whole = codec.encode(v);
        const got = codec.decode(whole.subarray(0, cut % (whole.length + 1)));
        if (got.ok) assert.ok(codec.encode(got.value).length <= whole.length);
        else assert.equal(typeof got.error.kind, 'string');
      }),
      { numRuns: 300 },
    );
  });
}
