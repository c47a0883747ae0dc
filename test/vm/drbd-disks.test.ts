/** The kernel's DRBD 8.4 as a peer whose disk fails, and that sees ours fail. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('disks that come and go between the kernel and us', (t) => runBesideGuests(t, 'drbd-disks.inside.ts'));
