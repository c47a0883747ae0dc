/** The kernel's DRBD 8.4 as a peer of a resource with two volumes, and of volumes that grow. */
import { test } from 'node:test';
import { runBesideGuests } from '../support/inside.ts';

test('two volumes, growth and thin resyncs between the kernel and us', (t) =>
  runBesideGuests(t, 'drbd-volumes.inside.ts'));
