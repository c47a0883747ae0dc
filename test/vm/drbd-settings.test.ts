/** The kernel's DRBD 8.4 as a peer that changes settings, and that discards and zeroes. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('settings, discards and zeroes between the kernel and us', (t) => runBesideGuests(t, 'drbd-settings.inside.ts'));
