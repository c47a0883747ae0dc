/** What the real module does with packets as the ipvs plane tells it. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('ipvs: packets', (t) => runInside(t, 'ipvs-traffic.inside.ts', { modules: ['ip_vs', 'ipip', 'ip_gre', 'fou'] }));
