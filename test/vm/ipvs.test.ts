/** The ipvs plane on the real module; the tests themselves are in the `.inside.ts` files. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('ipvs on the kernel', (t) =>
  runInside(t, ['ipvs.inside.ts', 'ipvs-traffic.inside.ts'], { modules: ['ip_vs', 'ipip', 'ip_gre', 'fou'] }));
