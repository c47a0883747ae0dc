/** disk-timeout with a disk that really hangs: the device mapper's, in a guest. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('a disk that hangs beneath a mirror', (t) =>
  runInside(t, 'mirror-hanging-disk.inside.ts', { modules: ['dm_mod', 'loop'], guestOnly: true }));
