/** The kernel's DRBD 8.4 as the peer of a resync and of a verify; a disk that goes from it to us and back. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('what is copied between the kernel and us', (t) => runBesideGuests(t, 'drbd-resync.inside.ts'));
