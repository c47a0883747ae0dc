/** Tunnels of the bpf plane on a kernel without TCX links. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('bpf by clsact: tunnels', (t) => runInside(t, 'bpf-clsact-tunnels.inside.ts', { modules: [], guestOnly: true }));
