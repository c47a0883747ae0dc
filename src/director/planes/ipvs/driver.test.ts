/** The driver on a fake that understands its bytes; the real module is met in test/vm/ipvs.inside.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { err, type IpAddress, ok, type Result, text } from '../../../base/index.ts';
import type { HostError } from '../../../host/index.ts';
import { IPVS_CMD } from '../../../wire/index.ts';
import type { Wanted, WantedServer, WantedService } from '../../types.ts';
import { IpvsPlane } from './driver.ts';
import { FakeIpvs } from './fake.fixture.ts';
import { fileLedger, type Ledger } from './ledger.ts';
import type { Owned } from './plan.ts';

const ip = (s: string): IpAddress => s as IpAddress;
const server = (address: string, weight = 1): WantedServer => ({
  key: `${address}:80`,
  address: ip(address),
  port: 80,
  weight,
  forwarding: { method: 'direct-routing' },
});
const service = (last: number, servers: readonly WantedServer[] = [server('10.0.0.1')]): WantedService => ({
  key: `tcp 192.0.2.${last}:80`,
  match: {
    by: 'address',
    protocol: 'tcp',
    ranges: [{ from: ip(`192.0.2.${last}`), to: ip(`192.0.2.${last}`) }],
    port: 80,
  },
  scheduler: 'wlc',
  flags: [],
  onePacket: false,
  servers,
});
const wanted = (...services: WantedService[]): Wanted => ({ services, timeouts: {}, sync: [] });
const ENOMEM = 12;

function rig(o: { readonly kernel?: FakeIpvs; readonly keys?: string[] } = {}) {
  const kernel = o.kernel ?? new FakeIpvs();
  const written: string[][] = [];
  let kept: Owned = new Set(o.keys);
  let answer: Result<void, HostError> = ok(undefined);
  const ledger: Ledger = {
    read: () => kept,
    write: (keys) => {
      kept = new Set(keys);
      written.push([...keys]);
      return answer;
    },
  };
  const said: string[] = [];
  const plane = new IpvsPlane({ netlink: kernel, ledger, log: { write: (e) => void said.push(e.text.en) } });
  const fail = (e: HostError): void => {
    answer = err(e);
  };
  return { kernel, plane, written, said, keys: () => [...kept], fail };
}

test('a daemon that cannot start yet is told of once, tried again, and runs when its interface has come', () => {
  const { kernel, plane, said } = rig();
  const ENODEV = 19;
  kernel.deny = (command) => (command === IPVS_CMD.newDaemon ? ENODEV : 0);
  const sync = [{ role: 'backup', interface: 'eth7', id: 7, port: 8848, group: ip('224.0.0.81') }] as const;
  const outcomes = plane.apply({ ...wanted(service(1)), sync });
  assert.ok(outcomes[0]?.result.ok, 'its failure is not that of a service');
  plane.tick();
  plane.tick();
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /there is no interface eth7: ENODEV$/);
  kernel.deny = () => 0;
  plane.tick();
  assert.deepEqual(
    kernel.daemons.map((d) => `${d.role} ${d.interface}`),
    ['backup eth7'],
  );
  kernel.changes.length = 0;
  plane.tick();
  assert.deepEqual(kernel.changes, []);
});

test('a kernel without the module refuses in one line, and takes the service once the module has come', () => {
  const { kernel, plane, said } = rig();
  kernel.module = false;
  const refusal = plane.refuses(service(1));
  assert.equal(refusal?.code, 'ipvs-no-module');
  assert.match(refusal.text.en, /^this kernel has no IPVS.*modprobe ip_vs$/);
  const [outcome] = plane.apply(wanted(service(1)));
  assert.ok(outcome && !outcome.result.ok && outcome.result.error.code === 'ENOENT');
  plane.apply(wanted(service(1)));
  assert.equal(said.length, 1, 'said once');
  kernel.module = true;
  assert.equal(plane.refuses(service(1))?.code, 'ipvs-no-module', 'asked again at the next tick, not each time');
  plane.tick();
  assert.equal(plane.refuses(service(1)), undefined);
  assert.deepEqual(plane.apply(wanted(service(1))), [{ key: 'tcp 192.0.2.1:80', result: ok('changed') }]);
});

test('what IPVS cannot carry is refused before the kernel is asked', () => {
  const { plane } = rig();
  const code = (s: Partial<WantedService>): string | undefined => plane.refuses({ ...service(1), ...s })?.code;
  const range = (from: string, to: string, port = 80): WantedService['match'] => ({
    by: 'address',
    protocol: 'tcp',
    ranges: [{ from: ip(from), to: ip(to) }],
    port,
  });
  assert.equal(code({ match: range('192.0.2.1', '192.0.2.1', 0) }), 'ipvs-port-0');
  assert.equal(code({ match: range('192.0.2.1', '192.0.2.1', 0), persistence: { seconds: 60 } }), undefined);
  assert.equal(code({ match: range('10.0.0.0', '10.0.255.255') }), undefined);
  assert.equal(code({ match: range('10.0.0.0', '10.1.0.0') }), 'ipvs-many-addresses');
  assert.equal(code({ match: range('2001:db8::', '2001:db8::ffff:ffff:ffff') }), 'ipvs-many-addresses');
  assert.equal(code({ servers: [server('2001:db8::1')] }), 'ipvs-mixed-families');
  const forwarding = { method: 'tunnel', type: 'ipip', checksum: 'none' } as const;
  assert.equal(code({ servers: [{ ...server('2001:db8::1'), forwarding }] }), undefined);
});

test('one service changes among many: its own message and no other, nothing is read', () => {
  const { kernel, plane } = rig();
  const all = Array.from({ length: 200 }, (_, i) => service(i));
  plane.apply(wanted(...all));
  kernel.changes.length = kernel.dumps = 0;
  plane.apply(wanted(...all.map((s, i) => (i === 7 ? service(7, [server('10.0.0.1', 5)]) : s))));
  assert.deepEqual(kernel.changes, [IPVS_CMD.setDestination]);
  assert.equal(kernel.dumps, 0);
});

test('a service that is gone from the configuration is removed, and is no longer ours', () => {
  const { kernel, plane, keys } = rig();
  plane.apply(wanted(service(1), service(2)));
  plane.apply(wanted(service(2)));
  assert.deepEqual([...kernel.pools.keys()], ['tcp 192.0.2.2:80']);
  assert.deepEqual(keys(), ['tcp 192.0.2.2:80']);
});

test('it is known as ours from before it is in the kernel until after it is gone', () => {
  const { kernel, plane, keys } = rig();
  const seen: string[] = [];
  kernel.deny = (command) => {
    seen.push(`${command} ${keys().length}`);
    return 0;
  };
  plane.apply(wanted(service(1)));
  plane.apply(wanted());
  assert.deepEqual(seen, [`${IPVS_CMD.newService} 1`, `${IPVS_CMD.newDestination} 1`, `${IPVS_CMD.delService} 1`]);
  assert.deepEqual(keys(), []);
});

test('where the operator asks for it, the table is cleared of everything, and then filled', () => {
  const { kernel, plane } = rig();
  rig({ kernel }).plane.apply(wanted(service(9)));
  plane.apply(wanted(service(1)));
  assert.equal(kernel.pools.size, 2);
  assert.ok(plane.flush().ok);
  assert.equal(kernel.pools.size, 0);
  assert.deepEqual(plane.apply(wanted(service(1)))[0]?.result, ok('changed'));
  assert.deepEqual([...kernel.pools.keys()], ['tcp 192.0.2.1:80']);
});

test('weights change without the file being written', () => {
  const { plane, written } = rig();
  plane.apply(wanted(service(1)));
  assert.equal(written.length, 1);
  for (let weight = 2; weight < 9; weight++) plane.apply(wanted(service(1, [server('10.0.0.1', weight)])));
  assert.equal(written.length, 1);
});

test('what the file cannot remember is said, and the service works', () => {
  const { kernel, plane, said, fail } = rig();
  fail({ code: 'EROFS', doing: text('write /run/x', '写入 /run/x') });
  assert.deepEqual(plane.apply(wanted(service(1)))[0]?.result, ok('changed'));
  assert.equal(kernel.pools.size, 1);
  assert.match(said.join('\n'), /^write \/run\/x: EROFS: after a restart/);
});

test('one refused service is told its reason, the others are there, and it is tried again', () => {
  const { kernel, plane } = rig();
  kernel.deny = (_, pool) => (pool === 'tcp 192.0.2.2:80' ? ENOMEM : 0);
  const all = wanted(service(1), service(2), service(3));
  const outcomes = plane.apply(all);
  assert.deepEqual(
    outcomes.map((o) => (o.result.ok ? o.result.value : o.result.error.code)),
    ['changed', 'ENOMEM', 'changed'],
  );
  kernel.deny = () => 0;
  assert.deepEqual(
    plane.apply(all).map((o) => o.result),
    [ok('kept'), ok('changed'), ok('kept')],
  );
  assert.equal(kernel.pools.get('tcp 192.0.2.2:80')?.servers.length, 1);
});

test('somebody else removed it while it was changed: the table is read again and all is put right at once', () => {
  const { kernel, plane } = rig();
  plane.apply(wanted(service(1), service(2)));
  kernel.pools.clear();
  const outcomes = plane.apply(wanted(service(1, [server('10.0.0.9')]), service(2)));
  assert.ok(outcomes.every((o) => o.result.ok));
  assert.deepEqual([...kernel.pools.keys()], ['tcp 192.0.2.1:80', 'tcp 192.0.2.2:80']);
  assert.equal(kernel.pools.get('tcp 192.0.2.2:80')?.servers.length, 1);
});

test('a quarrel with another program ends with one clear line', () => {
  const { kernel, plane } = rig();
  plane.apply(wanted(service(1)));
  kernel.deny = () => 3; // it removes the service each time before our change
  const [outcome] = plane.apply(wanted(service(1, [server('10.0.0.1', 9)])));
  assert.ok(outcome && !outcome.result.ok);
  assert.equal(outcome.result.error.code, 'ESRCH');
  assert.match(
    outcome.result.error.doing.en,
    /^ipvsadm -e -t 192\.0\.2\.1:80 -r 10\.0\.0\.1:80 -g -w 9: another program changes/,
  );
});

test('a group is one service of the kernel for each address, and is counted as one', () => {
  const { kernel, plane } = rig();
  const group: WantedService = {
    ...service(1, [server('10.0.0.1'), server('10.0.0.2')]),
    key: 'tcp group web',
    match: { by: 'address', protocol: 'tcp', ranges: [{ from: ip('192.0.2.254'), to: ip('192.0.3.1') }], port: 80 },
  };
  plane.apply(wanted(group));
  assert.deepEqual(
    [...kernel.pools.keys()],
    ['254', '255', '0', '1'].map((n, i) => `tcp 192.0.${i < 2 ? 2 : 3}.${n}:80`),
  );
  const counters = plane.counters();
  assert.ok(counters.ok);
  assert.deepEqual(
    counters.value.map((s) => [s.key, s.servers.map((x) => [x.key, x.active, x.inactive])]),
    [
      [
        'tcp group web',
        [
          ['10.0.0.1:80', 4, 8],
          ['10.0.0.2:80', 4, 8],
        ],
      ],
    ],
  );
});

test('the file: what was written is read, and half a line of a process that died is not taken for a key', () => {
  let content = new Uint8Array(0);
  const ledger = fileLedger(
    {
      read: () => content,
      write: (_, b) => {
        content = b.slice();
        return ok(undefined);
      },
    },
    '/x',
  );
  const keys = new Set(['tcp 192.0.2.1:80', 'sync master']);
  ledger.write(keys);
  assert.deepEqual(ledger.read(), keys);
  content = content.slice(0, content.length - 3);
  assert.deepEqual(ledger.read(), new Set(['tcp 192.0.2.1:80']));
});
