/** The kernel's DRBD 8.4 as the peer of a mirror: resync, writes, roles. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('the kernel as the peer', (t) => runBesideGuests(t, 'drbd.inside.ts'));
