/** The ipvs plane on the real module; the tests themselves are in ipvs.inside.ts. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('ipvs on the kernel', (t) => runInside(t, 'ipvs.inside.ts', { modules: ['ip_vs'] }));
