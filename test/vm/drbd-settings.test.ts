/** The kernel's DRBD 8.4 as a peer that changes settings, and as one whose peer does. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('settings that change between the kernel and us', (t) => runBesideGuests(t, 'drbd-settings.inside.ts'));
