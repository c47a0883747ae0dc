/** The kernel's DRBD 8.4 as the peer of a volume that grows. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('growth between the kernel and us', (t) => runBesideGuests(t, 'drbd-growth.inside.ts'));
