/** The ipvs plane's table in the real module. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('ipvs: the table', (t) => runInside(t, 'ipvs.inside.ts', { modules: ['ip_vs'] }));
