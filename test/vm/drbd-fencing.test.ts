/** The kernel's DRBD 8.4 as a peer that fences us, and that we fence. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('fencing between the kernel and us', (t) => runBesideGuests(t, 'drbd-fencing.inside.ts'));
