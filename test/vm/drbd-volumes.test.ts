/** The kernel's DRBD 8.4 as the peer of a resource with two volumes. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('two volumes between the kernel and us', (t) => runBesideGuests(t, 'drbd-volumes.inside.ts'));
