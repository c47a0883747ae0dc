/** The bpf plane as filters of clsact, on Debian's kernel 6.1, which has no TCX links. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BpfPlane } from '../../src/director/index.ts';
import {
  ask,
  both,
  CHANGED,
  direct,
  FOLDER,
  filters,
  isUp,
  KEPT,
  known,
  must,
  names,
  newPlane,
  programOf,
  results,
  setUp,
  sh,
  start,
  tearDown,
  web,
} from './clsact-rig.ts';
import { service } from './ipvs-rig.ts';

/** Behind ours: whatever of a frame that is not for a service must come to it. */
const FOREIGN = 'protocol ip pref 49152 flower ip_proto udp dst_ip 10.8.0.1 dst_port 9999 action ok';
const seenByForeign = (): number =>
  Number(/Sent \d+ bytes (\d+) pkt/.exec(sh('tc -s filter show dev d0 ingress pref 49152'))?.[1] ?? 0);

let plane: BpfPlane;
before(async () => {
  await setUp();
  sh(`tc qdisc add dev d0 clsact; tc filter add dev d0 ingress ${FOREIGN}`);
  plane = newPlane();
});
after(tearDown);

test('the programs are loaded and are filters of clsact, beside one that was there before', () => {
  assert.deepEqual(results(plane.apply(web())), [CHANGED]);
  assert.match(filters('d0'), /pref 20300 bpf .*handle 0x1 holdfast-tc_director direct-action/);
  assert.equal(sh('tc qdisc show dev d0 clsact').trim().split('\n').length, 1);
});

test('direct routing: both servers answer, and every connection is counted', () => {
  assert.deepEqual(names(ask('10.8.0.99', 16)), ['s1', 's2']);
  const [http] = must(plane.counters());
  assert.equal(
    http?.servers.reduce((n, s) => n + s.connections, 0),
    16,
  );
});

test("what is for no service comes to another's filter behind ours", () => {
  for (let i = 0; i < 3; i++) sh("ip netns exec c bash -c 'echo x > /dev/udp/10.8.0.1/9999'");
  assert.equal(seenByForeign(), 3);
});

test('a plane that has gone forwards on; the next one takes its filter over without a gap, and so do larger maps', async () => {
  const asking = start([
    ...['ip', 'netns', 'exec', 'c', 'sh', '-c'],
    'while :; do curl -s -m 20 http://10.8.0.99/ || echo none; done',
  ]);
  let answers = '';
  asking.stdout?.on('data', (b: Buffer) => {
    answers += b.toString();
  });
  // More connections than an emulated processor can carry would be needed to meet a gap by chance: the kernel tells of each removal.
  const told = start(['tc', 'monitor']);
  let events = '';
  told.stdout?.on('data', (b: Buffer) => {
    events += b.toString();
  });
  await sleep(1000);
  plane.close({ keep: true });
  const before = programOf('d0');
  assert.ok(before);
  await sleep(1000);
  plane = newPlane();
  assert.deepEqual(results(plane.apply(web())), [KEPT]);
  const after = programOf('d0');
  assert.ok(after !== undefined && after !== before, 'its own program is in the same filter');
  assert.equal(filters('d0').match(/holdfast-/g)?.length, 1);
  const more = Array.from({ length: 80 }, (_, i) =>
    service('10.8.0.98', 1000 + i, { servers: both(direct, 1000 + i) }),
  );
  assert.ok(results(plane.apply({ ...web(), services: [...web().services, ...more] })).every((r) => r.ok));
  assert.notEqual(programOf('d0'), after);
  await sleep(1000);
  asking.kill('SIGKILL');
  const lines = answers.trim().split('\n');
  assert.ok(lines.length > 3 && lines.every((l) => /^s[12]$/.test(l)), lines.join(' '));
  assert.match(events, /holdfast-tc_director/);
  assert.doesNotMatch(events, /deleted filter/);
  told.kill('SIGKILL');
});

test('the place of another: its filter is left alone, the services say so, and ours comes when the place is free', async () => {
  sh('ip link add x0 type veth peer name x1; ip link set x0 up; tc qdisc add dev x0 clsact');
  sh("tc filter add dev x0 ingress pref 20300 handle 1 bpf bytecode '1,6 0 0 0'");
  await known(() => isUp('x0'));
  const theirs = filters('x0');
  plane.close({ keep: true });
  plane = newPlane(['d0', 'x0']);
  for (const r of results(plane.apply(web()))) {
    assert.ok(!r.ok);
    assert.equal(r.error.code, 'EBUSY');
    assert.match(r.error.doing.en, /another program's filter \(bpf\) has priority 20300/);
  }
  assert.equal(filters('x0'), theirs);
  assert.ok(programOf('d0'), 'the device without a fault has its program');
  sh('tc filter del dev x0 ingress pref 20300');
  plane.tick();
  assert.ok(programOf('x0'));
});

test('at the end nothing of ours is left, and all of theirs', () => {
  plane.close({ keep: false });
  assert.doesNotMatch(filters('d0') + filters('x0'), /holdfast/);
  assert.match(filters('d0'), /pref 49152 flower/);
  assert.deepEqual(
    readdirSync(FOLDER).filter((f) => !f.endsWith('.debug')),
    [],
  );
});
