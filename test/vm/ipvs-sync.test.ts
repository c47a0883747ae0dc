/** IPVS's connection synchronisation between two directors of ours. */
import { test } from 'node:test';
import { runInside } from '../support/inside.ts';

test('ipvs: synchronised connections', (t) => runInside(t, 'ipvs-sync.inside.ts', { modules: ['ip_vs'] }));
