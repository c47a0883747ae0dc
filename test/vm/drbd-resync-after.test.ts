/** The kernel's DRBD 8.4 as a peer that resyncs its volumes one after the other. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('resync-after between the kernel and us', (t) => runBesideGuests(t, 'drbd-resync-after.inside.ts'));
