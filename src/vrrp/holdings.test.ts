import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IpAddress, ok } from '../base/index.ts';
import type { LinkAddress, NetCommand, Network, Route, Rule } from '../host/index.ts';
import type { WantedRoute } from './config.ts';
import { exampleAddress } from './example.ts';
import { Holdings } from './holdings.ts';
import { resolveObjects } from './objects.ts';

const ip = (text: string): IpAddress => text as IpAddress;
const route = (destination: string, via: string, changes: Partial<WantedRoute> = {}): WantedRoute => ({
  family: destination.includes(':') ? 6 : 4,
  how: 'replace',
  type: 'unicast',
  destination: { address: ip(destination), length: destination.includes(':') ? 64 : 24 },
  table: 254,
  hops: [{ via: ip(via), interface: 'eth0' }],
  tracking: { kind: 'follow' },
  ...changes,
});

/** A kernel whose tables the test sets: routes and rules as the kernel tells of them, in its own order of fields. */
function kernel() {
  const tables = { addresses: [] as LinkAddress[], routes: [] as Route[], rules: [] as Rule[] };
  const commands: NetCommand[] = [];
  const network: Partial<Network> = {
    links: () => [],
    addresses: () => tables.addresses,
    routes: ({ family, table }) => ok(tables.routes.filter((r) => r.family === family && r.table === table)),
    rules: (family) => ok(tables.rules.filter((r) => r.family === family)),
    apply: (all) => {
      commands.push(...all);
      return all.map(() => ok(undefined));
    },
  };
  return { tables, commands, holdings: new Holdings(network as Network) };
}
const resolve = (want: Partial<Parameters<typeof resolveObjects>[0]>) =>
  resolveObjects({ addresses: [], routes: [], rules: [], ...want }, undefined, () => ({ ifindex: 2 }) as never).held;

test('a rule is known again though the kernel tells its parts in another order', () => {
  const { tables, commands, holdings } = kernel();
  const rule: Rule = {
    from: { address: ip('10.0.0.9'), length: 32 },
    priority: 500,
    family: 4,
    action: { do: 'table', table: 77 },
  };
  holdings.set('VI', resolve({ rules: [{ rule, tracking: { kind: 'follow' } }] }));
  const put = commands[0] as NetCommand & { do: 'rule-add' };
  assert.equal(put.rule.protocol, 18, 'it bears our mark, so that its removal never takes a rule of others');
  const told: Rule = {
    family: 4,
    priority: 500,
    action: { table: 77, do: 'table' },
    protocol: 18,
    from: { length: 32, address: ip('10.0.0.9') },
  };
  tables.rules = [told];
  holdings.lookAgain();
  assert.deepEqual(holdings.losses(), []);
  holdings.notice({ kind: 'rule-gone', rule: told });
  assert.deepEqual(holdings.losses(), [{ owner: 'VI', object: 'rule 500' }]);
});
test("an IPv6 route without a metric is known again with the kernel's, and host bits are not sent", () => {
  const { tables, commands, holdings } = kernel();
  holdings.set('VI', resolve({ routes: [route('fd01::7', 'fd00::9')] }));
  const put = (commands[0] as NetCommand & { do: 'route-replace' }).route;
  assert.equal(put.destination?.address, 'fd01::');
  const told: Route = { ...put, metric: 1024 };
  tables.routes = [told];
  holdings.lookAgain();
  assert.deepEqual(holdings.losses(), []);
  holdings.notice({ kind: 'route-gone', route: told });
  assert.deepEqual(holdings.losses(), [{ owner: 'VI', object: 'route fd01::/64' }]);
});
test('appended routes stand beside each other, and each is missed by itself', () => {
  const { tables, commands, holdings } = kernel();
  const both = ['10.0.0.8', '10.0.0.9'].map((via) => route('192.0.2.0', via, { how: 'append' }));
  holdings.set('VI', resolve({ routes: both }));
  assert.deepEqual(
    commands.map((c) => c.do === 'route-replace' && c.append),
    [true, true],
  );
  const [first, second] = commands.map((c) => (c as NetCommand & { do: 'route-replace' }).route) as [Route, Route];
  tables.routes = [second];
  holdings.lookAgain();
  assert.equal(holdings.losses().length, 1);
  holdings.notice({ kind: 'route', route: first });
  assert.equal(holdings.losses().length, 0);
  holdings.notice({ kind: 'route-gone', route: first });
  assert.equal(holdings.losses().length, 1);
});
test('what the kernel took away is put back, and nothing else is touched', () => {
  const { tables, commands, holdings } = kernel();
  const held = resolve({ addresses: [exampleAddress('10.0.0.5', 24)], routes: [route('192.0.2.0', '10.0.0.9')] });
  holdings.set('VI', held);
  tables.addresses = commands.flatMap((c) => (c.do === 'address-replace' ? c.address : []));
  commands.length = 0;
  assert.deepEqual(holdings.set('VI', held), []);
  assert.deepEqual(
    commands.map((c) => c.do),
    ['route-replace'],
  );
});
