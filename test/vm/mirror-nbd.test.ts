/** A mirror's volume through the kernel's nbd module. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('a mirror and the nbd module', (t) => runBesideGuests(t, 'mirror-nbd.inside.ts'));
