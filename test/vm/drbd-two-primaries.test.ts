/** The kernel's DRBD 8.4 as a primary beside ours. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('two primaries, the kernel and ours', (t) => runBesideGuests(t, 'drbd-two-primaries.inside.ts'));
