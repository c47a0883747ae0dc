/** The kernel's DRBD 8.4 as the peer: what one side discarded or zeroed while the other was away. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('discards and zeroes that one side missed', (t) => runBesideGuests(t, 'drbd-zeroes.inside.ts'));
