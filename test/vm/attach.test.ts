/** Attach in both ways: through the kernel's nbd module, and through nbdfuse and a loop device. */
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

const fuse = existsSync('/dev/fuse') && existsSync('/dev/loop-control') && process.getuid?.() === 0;

test('attach: the nbd module', (t) => runInside(t, 'attach.inside.ts', { modules: ['nbd'] }));
// A loop device belongs to the whole machine: what is left of one whose processes were killed, the kernel takes away.
test('attach: nbdfuse and a loop device', { skip: fuse ? false : 'needs root, /dev/fuse and /dev/loop-control' }, (t) =>
  runInside(t, 'attach-fuse.inside.ts', { modules: [] }),
);
