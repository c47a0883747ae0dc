/** The kernel's DRBD 8.4 as the peer of a volume of which one side has grown alone. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('growth of one side, and sizes that differ', (t) => runBesideGuests(t, 'drbd-growth-apart.inside.ts'));
