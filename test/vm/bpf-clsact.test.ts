/** The bpf plane on a kernel without TCX links: its programs are filters of clsact. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('bpf by clsact', (t) => runInside(t, 'bpf-clsact.inside.ts', { modules: [], guestOnly: true }));
