/** The kernel's DRBD 8.4 and ours, which have both gone on as primary without the other. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('two histories, of the kernel and of ours', (t) => runBesideGuests(t, 'drbd-two-histories.inside.ts'));
