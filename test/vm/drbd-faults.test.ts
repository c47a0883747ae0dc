/** The kernel's DRBD 8.4 as a peer that freezes, and as one that loses its power; a disk that goes from it to us and back. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('faults between the kernel and us', (t) => runBesideGuests(t, 'drbd-faults.inside.ts'));
