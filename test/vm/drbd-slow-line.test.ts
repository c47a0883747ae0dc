/** The kernel's DRBD 8.4 as a peer behind a line that holds data back. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('a slow line between the kernel and us', (t) => runBesideGuests(t, 'drbd-slow-line.inside.ts'));
