/** Volumes that come and go beside the kernel's DRBD 8.4, on either side. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('adjust beside the kernel', (t) => runBesideGuests(t, 'drbd-adjust.inside.ts'));
