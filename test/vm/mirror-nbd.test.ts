/** A mirror's device through the kernel's nbd module. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('a mirror and the nbd module', (t) => runInside(t, 'mirror-nbd.inside.ts', { modules: ['nbd'] }));
