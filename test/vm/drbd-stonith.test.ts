/** The kernel's DRBD 8.4 as a peer under fencing resource-and-stonith. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('fencing between the kernel and us: resource-and-stonith', (t) => runBesideGuests(t, 'drbd-stonith.inside.ts'));
