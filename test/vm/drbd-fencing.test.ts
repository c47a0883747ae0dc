/** The kernel's DRBD 8.4 as a peer under fencing resource-only. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('fencing between the kernel and us: resource-only', (t) => runBesideGuests(t, 'drbd-fencing.inside.ts'));
