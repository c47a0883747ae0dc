/** The kernel's DRBD 8.4 as a peer that freezes and loses its power, and that sees us do so. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('faults between the kernel and us', (t) => runBesideGuests(t, 'drbd-faults.inside.ts'));
