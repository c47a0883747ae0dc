/** disk-timeout with a disk that really hangs: a loop device behind which nobody answers. */
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

const fuse = existsSync('/dev/fuse') && existsSync('/dev/loop-control') && process.getuid?.() === 0;

test(
  'a disk that hangs beneath a mirror',
  { skip: fuse ? false : 'needs root, /dev/fuse and /dev/loop-control' },
  (t) => runInside(t, 'mirror-hanging-disk.inside.ts', { modules: [] }),
);
