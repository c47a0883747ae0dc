/** Devices of a host that is not primary any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Text } from '../../base/index.ts';
import type { MirrorConfig } from '../../mirror/index.ts';
import { Stranded } from './stranded.ts';

const config = { name: 'data', host: 'ha1' } as MirrorConfig;
function watched(attached: string[]): { readonly s: Stranded; readonly said: Text[] } {
  const said: Text[] = [];
  const s = new Stranded(config, { attached }, (t) => said.push(t));
  return { s, said };
}

test('a primary that was demoted by itself says which device is left, once, and names it for as long as it is there', () => {
  const attached = ['data'];
  const { s, said } = watched(attached);
  s.look(true);
  assert.deepEqual([s.names, said], [[], []]);
  s.look(false);
  s.look(false);
  assert.deepEqual([s.names, said.length], [['data'], 1]);
  assert.match(said[0]?.en ?? '', /ha1 is no longer primary, and \/dev\/holdfast\/data is still there/);
  s.look(true);
  assert.deepEqual(s.names, []);
});
test('a demotion that took the device away first, and the end of the process, say nothing', () => {
  const gone = watched([]);
  gone.s.look(true);
  gone.s.look(false);
  assert.deepEqual([gone.s.names, gone.said], [[], []]);
  const ending = watched(['data']);
  ending.s.look(true);
  ending.s.end();
  ending.s.look(false);
  assert.deepEqual(ending.said, []);
});
test('a process that finds a device of one before it names it, until it is primary', () => {
  const { s } = watched(['data.0', 'data.1']);
  assert.deepEqual(s.names, ['data.0', 'data.1']);
  s.look(true);
  assert.deepEqual(s.names, []);
});
test('a mirror without devices has none', () => {
  const s = new Stranded(config, undefined, () => assert.fail('said'));
  s.look(true);
  s.look(false);
  assert.deepEqual(s.names, []);
});
