/** The bpf plane on a kernel without TCX links: tc filters by clsact, and XDP in its generic form. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('bpf: this kernel, as if it had no TCX links', (t) => runInside(t, 'bpf.inside.ts', { modules: [] }));
test("bpf: the guests' kernel, which has none", (t) => runInside(t, 'bpf.inside.ts', { modules: [], guestOnly: true }));
