/** The kernel's DRBD 8.4 as a peer that must not simply be joined: authentication, split brain. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('the kernel as a peer to be careful with', (t) => runBesideGuests(t, 'drbd-refusals.inside.ts'));
