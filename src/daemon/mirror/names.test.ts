/** Names of exports and devices while volumes come and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VolumeConfig } from '../../mirror/index.ts';
import { ExportNames } from './names.ts';

const mirror = (...numbers: number[]) => ({
  name: 'data',
  volumes: numbers.map((number) => ({ number }) as VolumeConfig),
});
const none = (): boolean => false;

test('the only volume has the name of the mirror, several have their numbers', () => {
  assert.deepEqual(new ExportNames(mirror(3), none).all, ['data']);
  assert.deepEqual(new ExportNames(mirror(1, 0), none).all, ['data.0', 'data.1']);
});
test('a volume keeps its name when another comes or goes', () => {
  const names = new ExportNames(mirror(0), none);
  names.use(mirror(0, 1));
  assert.deepEqual([names.of(0), names.of(1)], ['data', 'data.1']);
  names.use(mirror(1));
  assert.deepEqual([names.all, names.volumesOf(['data', 'data.1'])], [['data.1'], [1]]);
});
test('behind a restart a device that was left has the name that it had', () => {
  const left = (name: string) => (one: string) => one === name;
  assert.deepEqual(new ExportNames(mirror(0, 1), left('data')).all, ['data', 'data.1']);
  assert.deepEqual(new ExportNames(mirror(1), left('data.1')).all, ['data.1']);
  assert.deepEqual(new ExportNames(mirror(0, 1), left('data.1')).all, ['data.0', 'data.1']);
});
