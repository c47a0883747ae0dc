/** The kernel's DRBD 8.4 as a peer behind a line that spoils data. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('digests between the kernel and us', (t) => runBesideGuests(t, 'drbd-line.inside.ts'));
