/** The kernel's DRBD 8.4 as a peer behind a line that is slow, or spoils data. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('a bad line between the kernel and us', (t) => runBesideGuests(t, 'drbd-line.inside.ts'));
