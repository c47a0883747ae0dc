/** Tunnels from the bpf plane, and their end on a server, as filters of clsact on a kernel without TCX links. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { IpAddress } from '../../src/base/index.ts';
import type { Forwarding } from '../../src/director/index.ts';
import { Decapsulator } from '../../src/director/realserver/index.ts';
import {
  ask,
  both,
  bpf,
  CHANGED,
  filters,
  must,
  names,
  network,
  newPlane,
  programOf,
  results,
  serve,
  setUp,
  sh,
  start,
  tearDown,
  web,
} from './clsact-rig.ts';

const plane = newPlane();
before(async () => {
  await setUp();
  const decap = { vips: ['10.8.0.99'], endpoints: ['10.8.0.11'], guePort: 6080 };
  const end = start([
    ...['ip', 'netns', 'exec', 's1', process.execPath, '--no-warnings'],
    join(import.meta.dirname, '../lb/decap-main.ts'),
    JSON.stringify(decap),
  ]);
  assert.ok(end.stdout);
  const [said] = (await once(end.stdout, 'data')) as [Buffer];
  assert.match(said.toString(), /ready/);
});
after(tearDown);

for (const [type, more] of [
  ['ipip', {}],
  ['gue', { port: 6080 }],
  ['gre', {}],
] as const)
  test(`a tunnel (${type}): the server ends it by a filter of its own`, () => {
    const forwarding: Forwarding = { method: 'tunnel', type, checksum: 'none', ...more };
    assert.deepEqual(results(plane.apply(web(both(forwarding).slice(0, 1)))), [CHANGED]);
    assert.deepEqual(ask('10.8.0.99', 3), ['s1', 's1', 's1']);
  });

test('a director that is a server behind a tunnel has both filters on one device, and neither hinders the other', () => {
  const ifindex = network.linkByName('d0')?.ifindex ?? 0;
  const decap = new Decapsulator(bpf, '/run/holdfast-decap-d');
  const [vip, endpoint] = ['10.8.0.97', '10.8.0.1'] as [IpAddress, IpAddress];
  must(decap.set({ vips: [vip], endpoints: [endpoint], guePort: 0, ifindexes: [ifindex] }));
  assert.match(filters('d0'), /pref 20300 .*holdfast-tc_director[\s\S]*pref 20301 .*holdfast-tc_decap/);
  serve(undefined, 'd');
  sh(`ip address add ${vip}/32 dev lo`);
  sh(
    `ip -n c link add t0 type ipip local 10.8.0.50 remote ${endpoint}; ip -n c link set t0 up; ip -n c route add ${vip} dev t0`,
  );
  assert.deepEqual(ask(vip, 2), ['d', 'd']);
  assert.deepEqual(results(plane.apply(web())), [CHANGED]);
  assert.deepEqual(names(ask('10.8.0.99', 16)), ['s1', 's2']);
  decap.close({ keep: false });
  assert.doesNotMatch(filters('d0'), /tc_decap/);
  assert.ok(programOf('d0'), 'the end of one leaves the other');
  plane.close({ keep: false });
  assert.doesNotMatch(filters('d0'), /holdfast/);
});
