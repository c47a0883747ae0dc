/** The kernel's DRBD 8.4 as the peer of a volume that grows, and that is discarded and zeroed. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('growth, discards and zeroes between the kernel and us', (t) => runBesideGuests(t, 'drbd-growth.inside.ts'));
