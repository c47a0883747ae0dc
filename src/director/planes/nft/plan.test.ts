import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { golden } from '../../../../test/golden/golden.ts';
import type { IpAddress } from '../../../base/index.ts';
import type { WantedService } from '../../types.ts';
import {
  describeCommands,
  type ElementSpec,
  planTable,
  type SetSpec,
  type TableCommand,
  type TableSpec,
} from '../nftables/index.ts';
import { type Adoption, adopt } from './adopt.ts';
import { directAdoption, directMode, directTable, FLOW_TIMEOUTS } from './direct.ts';
import { natFindings } from './findings.ts';
import { type Entry, imageOf, type Mode, type ServiceImage } from './image.ts';
import { type Kind, kindChain, kindOfChain, kindOfWords, kindWords, MAX_KINDS } from './kind.ts';
import { KindChains } from './kinds.ts';
import { natAdoption, natMode, natTable } from './nat.ts';
import { persistences } from './pick.ts';
import { refusesNft } from './refuse.ts';
import { commandsOf, cutOf, isNothing, planService } from './service-plan.ts';

type Weights = readonly number[];
const service = (
  weights: Weights,
  o: Partial<WantedService> = {},
  method: 'nat' | 'direct-routing' = 'nat',
): WantedService => ({
  key: 'tcp 192.0.2.1:80',
  match: {
    by: 'address',
    protocol: 'tcp',
    ranges: [{ from: '192.0.2.1' as IpAddress, to: '192.0.2.2' as IpAddress }],
    port: 80,
  },
  scheduler: 'wrr',
  flags: [],
  onePacket: false,
  servers: weights.map((weight, i) => ({
    key: `10.0.0.${i + 1}:80`,
    address: `10.0.0.${i + 1}` as IpAddress,
    port: 80,
    weight,
    forwarding: { method },
  })),
  ...o,
});
const device = () => 7;
const image = (mode: Mode, s: WantedService, had?: ServiceImage): ServiceImage => imageOf(mode, s, 5, had, { device });
/** All that the kernel is told, and the kinds as they are after it. */
function commandsTo(
  kinds: KindChains,
  mode: Mode,
  have: ServiceImage | undefined,
  want: ServiceImage | undefined,
): TableCommand[] {
  if (want?.kind !== undefined) assert.ok(kinds.number(want.kind));
  const plan = planService(mode, have, want, (k) => kinds.numberOf(k));
  const { before, after, settle } = kinds.plan([{ have, want }]);
  settle();
  return [...before, ...commandsOf([plan]), ...after];
}
/** The story of one service: it comes, a weight changes, a server drains, one is removed, it goes. */
function story(mode: Mode, table: TableSpec, steps: readonly (readonly [string, WantedService | undefined])[]): string {
  const out = [`# the table`, ...describeCommands(table, planTable(table, undefined).commands, table.sets)];
  const kinds = new KindChains(mode);
  let last: ServiceImage | undefined;
  for (const [title, s] of steps) {
    const have = last;
    const want = s && image(mode, s, have);
    const commands = commandsTo(kinds, mode, have, want);
    const cut = cutOf({ have, want });
    out.push(`# ${title}${cut.length === 0 ? '' : `; cut ${cut.map((m) => `0x${m.toString(16)}`).join(' ')}`}`);
    out.push(...describeCommands(table, commands, table.sets));
    last = want;
  }
  return out.join('\n');
}
const steps = (o: Partial<WantedService>, method: 'nat' | 'direct-routing') =>
  [
    ['a service', service([2, 1, 1], o, method)],
    ['the same again', service([2, 1, 1], o, method)],
    ['a weight', service([1, 1, 1], o, method)],
    ['the first server drains', service([0, 1, 1], o, method)],
    ['and is removed', { ...service([0, 1, 1], o, method), servers: service([0, 1, 1], o, method).servers.slice(1) }],
    ['the service goes', undefined],
  ] as const;

test('NAT with persistence, as nft would take it', (t) => {
  const o = { persistence: { seconds: 360, granularity: 24 } };
  const table = natTable({ masquerade: true, persistence: persistences([service([1], o)]) });
  golden(t, 'nftplan-nat', story(natMode, table, steps(o, 'nat')));
});
test('direct routing, as nft would take it', (t) => {
  const table = directTable({ interfaces: ['eth0'], timeouts: FLOW_TIMEOUTS, persistence: [], fellows: true });
  golden(t, 'nftplan-direct', story(directMode, table, steps({}, 'direct-routing')));
});

// ---------------------------------------------------------------------------------------------- properties

/** The elements that an image stands for, as the kernel would hold them. */
type Kernel = Map<string, Map<string, { readonly set: SetSpec; readonly element: ElementSpec }>>;
function run(kernel: Kernel, commands: readonly TableCommand[]): void {
  for (const c of commands) {
    if (c.do !== 'elements-add' && c.do !== 'elements-remove') continue;
    const set = kernel.get(c.set.name) ?? new Map();
    kernel.set(c.set.name, set);
    for (const element of c.elements) {
      const key = element.key.join(' ');
      if (c.do === 'elements-remove')
        assert.ok(set.delete(key), `${c.set.name} has no ${key}`); // ENOENT
      else {
        assert.ok(!set.has(key), `${c.set.name} has ${key} already`); // EBUSY, EEXIST
        set.set(key, { set: c.set, element: { ...element } });
      }
    }
  }
}
function reread(kernel: Kernel, mode: Mode, sets: Adoption): ReturnType<typeof adopt> {
  const elements = new Map<SetSpec, ElementSpec[]>();
  for (const entries of kernel.values())
    for (const e of entries.values()) elements.set(e.set, [...(elements.get(e.set) ?? []), e.element]);
  return adopt(mode, sets, elements);
}
const modes = [
  ['NAT', natMode, natAdoption, 'nat'],
  ['direct routing', directMode, directAdoption, 'direct-routing'],
] as const;
const weights = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 8 });
const scheduler = fc.constantFrom<WantedService['scheduler']>('rr', 'wrr', 'sh', 'mh', 'dh', 'wlc');

for (const [name, mode, sets, method] of modes) {
  test(`${name}: from any service to any other, each element is put once, taken once, and read back as what was wanted`, () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(weights, scheduler), { minLength: 1, maxLength: 5 }), (states) => {
        const kernel: Kernel = new Map();
        const kinds = new KindChains(mode);
        const numberOf = (k: Kind): number => kinds.numberOf(k);
        let have: ServiceImage | undefined;
        for (const [w, s] of states) {
          const want = image(mode, service(w, { scheduler: s }, method), have);
          run(kernel, commandsTo(kinds, mode, have, want));
          assert.ok(isNothing(planService(mode, want, want, numberOf)));
          const { images, debris, kinds: numbered } = reread(kernel, mode, sets);
          assert.deepEqual(debris, []);
          assert.deepEqual(
            [...numbered].map(([n, k]) => [n, kindChain(k)]),
            [[numberOf(want.kind as Kind), kindChain(want.kind as Kind)]],
          );
          const again = image(mode, service(w, { scheduler: s }, method), images[0]);
          assert.ok(
            isNothing(planService(mode, images[0], again, numberOf)),
            'a service that was read back is adopted as it is',
          );
          have = want;
        }
        run(kernel, commandsTo(kinds, mode, have, undefined));
        assert.equal(
          [...kernel.values()].reduce((n, set) => n + set.size, 0),
          0,
          'nothing is left of a service',
        );
      }),
      { numRuns: 60 },
    ));
}

test('a server keeps its number while others come and go, and the number of one that left is given again', () => {
  const first = image(natMode, service([1, 1, 1]));
  const all = service([1, 1, 1]).servers;
  const second = image(natMode, { ...service([]), servers: all.slice(1) }, first);
  assert.deepEqual(
    second.servers.map((s) => s.number),
    [2, 3],
  );
  assert.deepEqual(cutOf({ have: first, want: second }), [0xa000_5001]);
  const third = image(natMode, { ...service([]), servers: [...all.slice(1), all[0] as (typeof all)[0]] }, second);
  assert.deepEqual(
    third.servers.map((s) => s.number),
    [2, 3, 1],
  );
});

test('a server whose elements are not whole is cleared away and put again', () => {
  const kernel: Kernel = new Map();
  const want = image(natMode, service([1, 1]));
  const kinds = new KindChains(natMode);
  run(kernel, commandsTo(kinds, natMode, undefined, want));
  kernel.get('packets-in')?.delete(String(0xa000_5001));
  const { images, debris } = reread(kernel, natMode, natAdoption);
  assert.deepEqual(
    images[0]?.servers.map((s) => s.number),
    [2],
  );
  assert.equal(debris.length, 2); // its target, and a counter
  const again = image(natMode, service([1, 1]), images[0]);
  const entries = planService(natMode, images[0], again, (k) => kinds.numberOf(k)).add as readonly Entry[];
  assert.ok(entries.some((e) => e.set.name === 'packets-in'));
});

const kind = fc.record({
  family: fc.constantFrom<4 | 6>(4, 6),
  choice: fc.constantFrom<Kind['choice']>('turn', 'chance', 'source', 'source-port', 'destination'),
  transport: fc.constantFrom<Kind['transport']>('tcp', 'other', 'one-packet'),
  slots: fc.integer({ min: 0, max: 4093 }),
  own: fc.integer({ min: 0, max: 512 }),
  persistence: fc.option(
    fc.record({ seconds: fc.integer({ min: 1, max: 2_678_400 }), length: fc.integer({ min: 0, max: 128 }) }),
    {
      nil: undefined,
    },
  ),
});
test('a kind is read back from its words and from the name of its chain', () =>
  fc.assert(
    fc.property(kind, (k) => {
      const { persistence: p, ...rest } = k;
      const whole: Kind = { ...rest, persistence: p && { ...p, family: k.family } };
      assert.deepEqual(kindOfWords(...kindWords(whole)), whole);
      assert.deepEqual(kindOfChain(kindChain(whole)), whole);
    }),
  ));
test('ten thousand services of one kind share one chain, and it goes with the last of them', () => {
  const kinds = new KindChains(natMode);
  const changes = Array.from({ length: 600 }, (_, i) => {
    const want = imageOf(natMode, service([1, 1]), i + 1, undefined, { device });
    return { have: undefined, want };
  });
  const chainsOf = (commands: readonly { readonly do: string }[]) =>
    commands.filter((c) => c.do === 'chain-add').length;
  for (const { want } of changes) assert.ok(want.kind !== undefined && kinds.number(want.kind));
  const come = kinds.plan(changes);
  assert.equal(chainsOf(come.before), 513, 'one for each of the services with a counter, and one for all others');
  come.settle();
  const again = kinds.plan(changes.map((c) => ({ ...c, have: c.want })));
  assert.deepEqual([again.before, again.after], [[], []]);
  const leave = changes.map((c) => ({ have: c.want, want: undefined }));
  const most = kinds.plan(leave.slice(0, -1));
  most.settle();
  assert.equal(most.after.filter((c) => c.do === 'chain-remove').length, 512);
  const last = kinds.plan(leave.slice(-1));
  assert.equal(last.after.filter((c) => c.do === 'chain-remove').length, 1);
});
test('a kind keeps its number while services have it, and a number that was taken in vain is free again', () => {
  const kinds = new KindChains(natMode);
  const of = (n: number): Kind => ({
    ...(imageOf(natMode, service([1]), 600, undefined, { device }).kind as Kind),
    slots: n,
  });
  const come = (k: Kind) => ({ have: undefined, want: { ...image(natMode, service([1])), kind: k } });
  for (let n = 1; n <= MAX_KINDS; n++) assert.ok(kinds.number(of(n)));
  assert.equal(kinds.numberOf(of(7)), 7);
  assert.equal(kinds.number(of(MAX_KINDS + 1)), false, 'all are taken');
  kinds.plan([come(of(7))]).settle();
  kinds.tidy();
  assert.ok(kinds.number(of(MAX_KINDS + 1)));
  assert.deepEqual([kinds.numberOf(of(7)), kinds.numberOf(of(MAX_KINDS + 1))], [7, 1]);
});
test('what an earlier version left, whose services led to their chains at once, is cleared away and put again', () => {
  const kernel: Kernel = new Map();
  const kinds = new KindChains(natMode);
  const want = image(natMode, service([1, 1]));
  run(kernel, commandsTo(kinds, natMode, undefined, want));
  const all = [...kernel.values()].reduce((n, set) => n + set.size, 0);
  const [led] = [...(kernel.get('kinds')?.values() ?? [])];
  assert.ok(led !== undefined);
  kernel.delete('kind-of');
  kernel.set('kinds', new Map([['x', { set: led.set, element: { ...led.element, key: [0xa000_5000] } }]]));
  const { images, kinds: numbered, debris } = reread(kernel, natMode, natAdoption);
  assert.deepEqual([images, [...numbered]], [[], []]);
  assert.equal(debris.length, all - 1);
});

test('what nft cannot carry is refused with a code, and what it can is not', () => {
  const offer = {
    lacks: { nat: undefined, direct: undefined },
    device: (a: IpAddress) => (a.startsWith('10.') ? 3 : undefined),
  };
  const code = (s: WantedService) => refusesNft(s, offer)?.code;
  const direct = (o: Partial<WantedService> = {}) => service([1], o, 'direct-routing');
  const [server] = direct().servers as [WantedService['servers'][0]];
  assert.equal(code(service([1, 2])), undefined);
  assert.equal(code(direct()), undefined);
  assert.equal(code(direct({ servers: [{ ...server, port: 8080 }] })), 'nft-port');
  assert.equal(code(direct({ servers: [{ ...server, address: '203.0.113.1' as IpAddress }] })), 'nft-subnet');
  assert.equal(code(direct({ match: { by: 'fwmark', mark: 3, family: 4 } })), 'nft-fwmark');
  assert.equal(code(direct({ servers: [server, { ...server, forwarding: { method: 'nat' } }] })), 'nft-mixed');
  assert.equal(code(service([1], { servers: [{ ...server, address: '2001:db8::1' as IpAddress }] })), 'nft-family');
  assert.equal(code(service([1], { onePacket: true })), 'nft-one-packet');
  assert.equal(code(service([1], { scheduler: 'lblcr' })), 'nft-scheduler');
  assert.equal(code(service([1], { persistence: { seconds: 1, engine: 'sip' } })), 'nft-engine');
  const tunnel = { method: 'tunnel', type: 'ipip', checksum: 'none' } as const;
  assert.equal(code(service([1], { servers: [{ ...server, forwarding: tunnel }] })), 'nft-tunnel');
  const range = { from: '10.0.0.0' as IpAddress, to: '10.2.0.0' as IpAddress };
  assert.equal(
    code(service([1], { match: { by: 'address', protocol: 'tcp', ranges: [range], port: 80 } })),
    'nft-range',
  );
  const lacks = { code: 'EOPNOTSUPP', doing: { en: 'no nf_tables', zh: '没有 nf_tables' } } as never;
  assert.equal(refusesNft(service([1]), { ...offer, lacks: { nat: lacks, direct: undefined } })?.code, 'nft-kernel');
});

test('settings of the host that stand in the way of NAT are named, with the way out', () => {
  const settings: Record<string, string> = {
    'net.ipv4.ip_forward': '0',
    'net.ipv4.conf.all.send_redirects': '0',
    'net.ipv4.conf.eth0/5.send_redirects': '1',
    'net.netfilter.nf_conntrack_tcp_loose': '0',
  };
  const codes = (scheduler: 'rr' | 'mh', o: { shared: string[]; plane: 'nft' | 'ipvs' }) =>
    natFindings([{ family: 4, scheduler }], (n) => settings[n], o).map((f) => f.code);
  const shared = ['eth0.5'];
  assert.deepEqual(codes('rr', { shared, plane: 'nft' }), ['nat-forwarding', 'nat-redirects']);
  assert.deepEqual(codes('mh', { shared, plane: 'nft' }), ['nat-forwarding', 'nat-redirects', 'nat-loose']);
  assert.deepEqual(codes('mh', { shared: [], plane: 'ipvs' }), ['nat-forwarding']);
  const six = natFindings([{ family: 6, scheduler: 'rr' }], () => '0', { shared: [], plane: 'nft' });
  assert.match(
    six[0]?.text.en ?? '',
    /^net\.ipv6\.conf\.all\.forwarding is 0: .*\(sysctl net\.ipv6\.conf\.all\.forwarding=1\)$/,
  );
});
