/** The bpf plane on a kernel without TCX links: tc filters by clsact, and XDP in its generic form. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('bpf: kernels before 6.6', (t) => runInside(t, 'bpf.inside.ts', { modules: [], guestOnly: true }));
