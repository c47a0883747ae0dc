import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type IpAddress, us } from '../base/index.ts';
import { duplicateFaults } from './duplicates.ts';
import { exampleAddress, exampleConfig, exampleGroup, exampleInstance } from './example.ts';
import { firewallCommands } from './firewall.ts';
import { follow, groupHealth, groupState, type Member } from './group.ts';
import { groupNotification, instanceNotification } from './notify.ts';
import { linkAddress, resolveObjects, trackedInterfaces } from './objects.ts';
import { idlePace, pace } from './pacing.ts';
import { addressesThatFit } from './packets.ts';
import { planReload } from './reload.ts';
import { Reporter } from './reporter.ts';
import { initialState, type RouterState } from './state.ts';
import { decidesTies, type HeardLink, heardFirst } from './ties.ts';
import { nextAdvert } from './timers.ts';
import { healthOf, judge, type TrackerValue } from './tracking.ts';
import type { Effect, Health } from './types.ts';
import { vmacsOf } from './vmac.ts';

const weight = (value: number, reverse = false) => ({ value, reverse });

// ------------------------------------------------------------------------------------------ time

const interval = fc.integer({ min: 10_000, max: 40_950_000 }).map(us);
const moment = fc.integer({ min: 0, max: 2 ** 45 }).map(us);
test('an advert comes after the interval or less than a quarter of it earlier, and the one after that at the interval', () =>
  fc.assert(
    fc.property(moment, interval, (from, every) => {
      const first = nextAdvert(from, every);
      assert.ok(first - from <= every && first - from > every - every / 4, `${first - from}`);
      const second = nextAdvert(first, every);
      assert.ok(second - first <= every && second - first >= every - 4, `${second - first}`);
    }),
  ));
test('routers that began at different moments of one interval share four moments', () => {
  const moments = new Set(Array.from({ length: 1000 }, (_, i) => nextAdvert(us(7_000_000 + i * 100), us(100_000))));
  assert.equal(moments.size, 4);
});

// ------------------------------------------------------------------------------------------ trackers

test('weight 0 makes a fault of what is down, reversed of what is up', () => {
  assert.deepEqual(judge('down', weight(0)), { fault: true, waiting: false, weight: 0 });
  assert.equal(judge('up', weight(0)).fault, false);
  assert.equal(judge('up', weight(0, true)).fault, true);
});
test('a positive weight adds when up, a negative one subtracts when down, reverse flips the sign', () => {
  assert.equal(judge('up', weight(20)).weight, 20);
  assert.equal(judge('down', weight(20)).weight, 0);
  assert.equal(judge('down', weight(-20)).weight, -20);
  assert.equal(judge('up', weight(-20)).weight, 0);
  assert.equal(judge('up', weight(20, true)).weight, -20);
  assert.equal(judge('down', weight(-20, true)).weight, 20);
});
test('a file counts by its number: times the weight, a fault below -253, and with weight 0 when it is not 0', () => {
  assert.equal(judge({ number: 7 }, weight(2)).weight, 14);
  assert.equal(judge({ number: 127 }, weight(-2)).fault, true);
  assert.equal(judge({ number: 1 }, weight(0)).fault, true);
  assert.equal(judge({ number: 0 }, weight(0)).fault, false);
});
const tracked = (w: number, n = 1) =>
  exampleInstance({
    tracks: {
      interfaces: [],
      scripts: Array.from({ length: n }, (_, i) => ({ name: `s${i}`, weight: weight(w) })),
      processes: [],
      files: [],
      bfds: [],
    },
  });
const all = (v: TrackerValue) => (): TrackerValue => v;
test('the sum of all weights stays within 1..254, whatever they are', () =>
  fc.assert(
    fc.property(fc.integer({ min: -253, max: 253 }), fc.integer({ min: 1, max: 9 }), fc.boolean(), (w, n, up) => {
      fc.pre(w !== 0);
      const { priority } = healthOf(tracked(w, n), undefined, [], all(up ? 'up' : 'down'));
      assert.ok(priority >= 1 && priority <= 254);
      assert.equal(priority, Math.max(1, Math.min(254, 100 + n * (w > 0 ? (up ? w : 0) : up ? 0 : w))));
    }),
  ));
test('an owner keeps 255, whatever trackers say', () => {
  assert.equal(healthOf({ ...tracked(-50), priority: 255 }, undefined, [], all('down')).priority, 255);
});
test("a group member's weights are ignored unless sync_group_tracking_weight; faults count in any case", () => {
  const plain = exampleGroup(['VI_1']);
  assert.equal(healthOf(tracked(-50), plain, [], all('down')).priority, 100);
  assert.equal(healthOf(tracked(-50), { ...plain, trackingWeight: true }, [], all('down')).priority, 50);
  assert.equal(healthOf(tracked(0), plain, [], all('down')).faults.length, 1);
});
test('trackers without a result are waited for', () => {
  assert.equal(healthOf(tracked(-50), undefined, [], all('waiting')).waiting, true);
});

// ------------------------------------------------------------------------------------------ sync groups

const config = { instance: exampleInstance(), grouped: true, minimalGarp: false };
const base = initialState(config, us(0));
const backup = (downAt: number | undefined): RouterState => ({
  ...base,
  is: 'BACKUP',
  downAt: downAt === undefined ? undefined : us(downAt),
  heardAt: us(0),
  preemptAt: undefined,
  ignored: undefined,
});
const in_ = (is: 'MASTER' | 'FAULT' | 'STOPPED'): RouterState => ({ ...base, is }) as RouterState;
const wants: Effect = { do: 'wants-master', because: { why: 'start' } };
const members = (...states: RouterState[]): Member[] => states.map((state, i) => ({ name: `m${i}`, state }));

test('a group becomes master only when all its members want it, and then all at once', () => {
  assert.deepEqual(follow('g', members(backup(undefined), backup(5)), 'm0', [wants]), []);
  const go = follow('g', members(backup(undefined), backup(undefined)), 'm1', [wants]);
  assert.deepEqual(
    go.map((x) => [x.member, x.event.kind === 'sync' && x.event.to, x.event.kind === 'sync' && x.event.because.why]),
    [
      ['m0', 'MASTER', 'sync-group'],
      ['m1', 'MASTER', 'start'],
    ],
  );
});
test('a group with a fault does not become master', () => {
  assert.deepEqual(follow('g', members(backup(undefined), in_('FAULT')), 'm0', [wants]), []);
});
test('one member that gives way takes all others with it', () => {
  const gone: Effect = { do: 'transition', from: 'MASTER', to: 'BACKUP', because: { why: 'stalled', late: us(1) } };
  const go = follow('g', members(backup(5), in_('MASTER'), in_('MASTER')), 'm0', [gone]);
  assert.deepEqual(
    go.map((x) => [x.member, x.event.kind === 'sync' && x.event.to]),
    [
      ['m1', 'BACKUP'],
      ['m2', 'BACKUP'],
    ],
  );
});
test('one member that meets a rival has all of them announce', () => {
  const met: Effect = { do: 'met-rival', rival: { address: '10.0.0.1' as IpAddress, priority: 1, at: us(0) } };
  assert.deepEqual(follow('g', members(in_('MASTER'), in_('MASTER')), 'm0', [met]), [
    { member: 'm1', event: { kind: 'sync-announce' } },
  ]);
});
test("one member's fault is everybody's, and all wait until none waits", () => {
  const well: Health = { faults: [], waiting: false, priority: 100 };
  const sick: Health = { ...well, faults: [{ kind: 'link-down', interface: 'eth1' }] };
  const [a, b] = groupHealth('g', [
    { name: 'a', health: sick },
    { name: 'b', health: well },
  ]);
  assert.deepEqual(a?.faults, sick.faults);
  assert.deepEqual(b?.faults, [{ kind: 'sync-group', group: 'g', member: 'a' }]);
  const waits = groupHealth('g', [
    { name: 'a', health: { ...well, waiting: true } },
    { name: 'b', health: well },
  ]);
  assert.deepEqual(
    waits.map((h) => h.waiting),
    [true, true],
  );
});
test("a group's state is FAULT if one has one, MASTER when all are, else BACKUP", () => {
  assert.equal(groupState(members(in_('MASTER'), in_('FAULT'))), 'FAULT');
  assert.equal(groupState(members(in_('MASTER'), in_('MASTER'))), 'MASTER');
  assert.equal(groupState(members(in_('MASTER'), backup(1))), 'BACKUP');
  assert.equal(groupState(members(backup(1), base)), 'INIT');
});

// ------------------------------------------------------------------------------------------ notifications

const script = (word: string) => ({ argv: [word] as [string] });
const told = exampleConfig([], { mail: { ...exampleConfig([]).mail, to: ['a@b'] }, routerId: 'R' });
test('the specific script runs as configured and the general one behind it with four more words', () => {
  const i = exampleInstance({ notify: { master: script('m'), any: { argv: ['n', 'own'] } } });
  const n = instanceNotification(i, 'MASTER', 150, undefined, told);
  assert.deepEqual(
    n.scripts.map((s) => s.argv),
    [['m'], ['n', 'own', 'INSTANCE', 'VI_1', 'MASTER', '150']],
  );
  const g = groupNotification(exampleGroup(['VI_1'], { notify: { any: script('n') } }), 'FAULT', undefined, told);
  assert.deepEqual(g.scripts[0]?.argv, ['n', 'GROUP', 'VG_1', 'FAULT', '0']);
});
test('the FIFO line has the name in quotes and ends with a newline, without a NUL', () => {
  const line = (word: 'STOP' | 'MASTER_RX_LOWER_PRI' | 'BACKUP_PRIORITY'): string =>
    instanceNotification(exampleInstance(), word, 90, undefined, told).fifo;
  assert.equal(line('STOP'), 'INSTANCE "VI_1" STOP 90\n');
  assert.equal(line('MASTER_RX_LOWER_PRI'), 'INSTANCE "VI_1" MASTER_RX_LOWER_PRI 90\n');
  assert.equal(line('BACKUP_PRIORITY'), 'INSTANCE "VI_1" BACKUP_PRIORITY 90\n');
});
test('priorities and rivals are told to the FIFO and to notify_master_rx_lower_pri, not to the general script', () => {
  const i = exampleInstance({ notify: { any: script('n'), masterRxLowerPri: script('r') } });
  assert.deepEqual(instanceNotification(i, 'MASTER_PRIORITY', 1, undefined, told).scripts, []);
  assert.deepEqual(
    instanceNotification(i, 'MASTER_RX_LOWER_PRI', 1, undefined, told).scripts.map((s) => s.argv),
    [['r']],
  );
});
test('mail goes out for states where smtp_alert asks for it, and not for faults with no_email_faults', () => {
  const i = exampleInstance({ smtpAlert: true });
  assert.equal(
    instanceNotification(i, 'MASTER', 1, undefined, told).mail,
    '[R] VRRP Instance VI_1 - Entering MASTER state',
  );
  assert.equal(instanceNotification(i, 'STOP', 1, undefined, told).mail, undefined);
  const quiet = { ...told, mail: { ...told.mail, onFault: false } };
  assert.equal(instanceNotification(i, 'FAULT', 1, undefined, quiet).mail, undefined);
  assert.equal(instanceNotification(exampleInstance(), 'MASTER', 1, undefined, told).mail, undefined);
});

// ------------------------------------------------------------------------------------------ pacing, objects, reload

test('without a gap all frames go at once; with one each waits for its turn, also across calls', () => {
  const none = pace(idlePace<string>(), ['a', 'b'], () => us(0), us(5));
  assert.deepEqual(none.send, ['a', 'b']);
  const gap = () => us(10);
  const first = pace(idlePace<string>(), ['a', 'b', 'c'], gap, us(100));
  assert.deepEqual([first.send, first.pace.freeAt], [['a'], 110]);
  const second = pace(first.pace, ['d'], gap, us(105));
  assert.deepEqual(second.send, []);
  const third = pace(second.pace, [], gap, us(110));
  assert.deepEqual([third.send, third.pace.queue], [['b'], ['c', 'd']]);
});
test('addresses become what the kernel wants: scope, lifetime, no duplicate detection, deprecated host addresses', () => {
  const four = linkAddress({ ...exampleAddress('10.0.0.9', 24), broadcast: 'derive' }, 3, 5);
  assert.deepEqual(four, {
    ifindex: 3,
    prefix: { address: '10.0.0.9', length: 24 },
    scope: 'global',
    broadcast: '10.0.0.255',
    validSeconds: 5,
    preferredSeconds: 5,
    protocol: 18,
  });
  const six = linkAddress(exampleAddress('2001:db8::9', 128), 3, 5);
  assert.equal(six.preferredSeconds, 0);
  assert.equal(six.noDad, true);
  assert.equal(linkAddress(exampleAddress('fe80::9', 64), 3, undefined).scope, 'link');
});
test('what belongs on an interface that does not exist is left out and named', () => {
  const r = resolveObjects(
    { addresses: [exampleAddress('10.0.0.9', 24, 'eth7')], routes: [], rules: [] },
    undefined,
    () => undefined,
  );
  assert.deepEqual(r, { held: [], missing: ['eth7'] });
});
test('a reload keeps what is equal, changes what may change, and replaces what has become another router', () => {
  const at = (name: string, changes = {}) => exampleInstance({ name, ...changes });
  const before = exampleConfig([at('same'), at('prio'), at('vrid', { virtualRouterId: 1 }), at('gone')]);
  const after = exampleConfig([at('same'), at('prio', { priority: 7 }), at('vrid', { virtualRouterId: 2 }), at('new')]);
  assert.deepEqual(planReload(before, after), {
    kept: ['same'],
    changed: ['prio'],
    replaced: ['vrid'],
    added: ['new'],
    removed: ['gone'],
  });
});
test('the second of two instances with one VRID on one interface has a fault; other groups or peers are no clash', () => {
  const peer = (address: string) => ({ unicastPeers: [{ address: address as IpAddress }] });
  const names = (...changes: object[]) => [
    ...duplicateFaults(changes.map((c, i) => exampleInstance({ name: `i${i}`, ...c }))).keys(),
  ];
  assert.deepEqual(names({}, {}, {}), ['i1', 'i2']);
  assert.deepEqual(names({}, { interface: 'eth1' }), []);
  assert.deepEqual(names({}, { multicastGroup: '224.0.0.19' }), []);
  assert.deepEqual(names(peer('10.0.0.8'), peer('10.0.0.9')), []);
  assert.deepEqual(names(peer('10.0.0.8'), peer('10.0.0.8')), ['i1']);
  assert.deepEqual(names({}, { family: 6 }), []);
});
const FILTER = { table: 'holdfast_vrrp', priority: -1 };
test('no_accept drops what is for the addresses but lets neighbour discovery pass; an owner answers', () => {
  const six = { accept: false, addresses: [exampleAddress('fe80::9', 64)] };
  assert.equal(firewallCommands([exampleInstance()], FILTER, false), undefined);
  assert.equal(firewallCommands([exampleInstance({ accept: false, priority: 255 })], FILTER, false), undefined);
  assert.match(
    firewallCommands([exampleInstance({ accept: false })], FILTER, false) ?? '',
    /ip daddr \{ 10\.0\.0\.100 \} drop$/,
  );
  assert.match(
    firewallCommands([exampleInstance(six)], FILTER, false) ?? '',
    /nd-neighbor-solicit.*accept; .*fe80::9 \} drop$/,
  );
  assert.match(firewallCommands([], FILTER, true) ?? '', /delete table/);
});
test('packets that anybody can send are logged once for each kind, from however many sources', () => {
  const lines: string[] = [];
  const reporter = new Reporter({ write: (e) => void lines.push(e.code) });
  const subject = { name: 'VI_1', logged: new Set<string>() };
  for (let n = 1; n < 9; n++) {
    const source = `10.0.0.${n}` as IpAddress;
    reporter.odd(subject, source, { kind: 'addresses', have: new Uint8Array(4), want: new Uint8Array(0) }, 4);
    reporter.dropped(subject, 'eth0', source, { kind: 'password' });
  }
  assert.deepEqual(lines, ['vrrp.mismatch-addresses', 'vrrp.dropped']);
});
test('macvlans keep their reports of group membership to themselves, in the table that the configuration names', () => {
  const vmac = { kind: 'macvlan', name: 'vrrp.51', mode: 'private', notify: false } as const;
  const text = firewallCommands([exampleInstance({ vmac })], { table: 'mine', priority: 7 }, false) ?? '';
  assert.match(text, /add chain inet mine output \{ type filter hook output priority 7;/);
  assert.match(text, /oifname \{ "vrrp\.51" \} ip protocol igmp drop/);
  assert.match(text, /oifname \{ "vrrp\.51" \} icmpv6 type \{ mld-listener-report, .* drop$/);
});
test('an instance depends on the interfaces of what it holds, but for what has no_track', () => {
  const ignore = { kind: 'ignore' } as const;
  const names = trackedInterfaces({
    addresses: [exampleAddress('10.0.0.1', 24), exampleAddress('10.0.1.1', 24, 'eth1')],
    excluded: [{ ...exampleAddress('10.0.2.1', 24, 'eth2'), tracking: ignore }],
    routes: [],
    rules: [
      { rule: { family: 4, priority: 1, action: { do: 'nop' }, iif: 'eth3' }, tracking: { kind: 'follow' } },
      { rule: { family: 4, priority: 2, action: { do: 'nop' }, oif: 'eth4' }, tracking: ignore },
    ],
  });
  assert.deepEqual([...names], ['eth0', 'eth1', 'eth3']);
});
test('an advert has room for what one packet holds: header, authentication and trailer counted', () => {
  const six = exampleInstance({ version: 3, family: 6 });
  assert.equal(addressesThatFit(six, 1500), 90);
  assert.ok(addressesThatFit(six, 9000) > 255);
  const ah = exampleInstance({ authentication: { type: 'ah', password: 'x' } });
  assert.deepEqual([addressesThatFit(ah, 64), addressesThatFit(ah, 60), addressesThatFit(ah, 20)], [1, 0, 0]);
});
test('use_vmac stands for the interface of the instance; use_vmac_addr also for others', () => {
  const vmac = { kind: 'macvlan', name: 'vrrp.51', mode: 'private', notify: false } as const;
  const addresses = [exampleAddress('10.0.0.1', 24), exampleAddress('10.1.0.1', 24, 'eth1')];
  assert.deepEqual(vmacsOf(exampleInstance({ vmac, addresses })), [{ name: 'vrrp.51', on: 'eth0' }]);
  assert.deepEqual(vmacsOf(exampleInstance({ vmac, addresses, vmacForAddresses: true })), [
    { name: 'vrrp.51', on: 'eth0' },
    { name: 'vrrp.51.eth1', on: 'eth1' },
  ]);
});
test('a further link decides a tie only after it has been heard for a while and no link before it was', () => {
  const links = (...heard: (readonly [number?, number?])[]): HeardLink[] =>
    heard.map(([heardAt, firstSince]) => ({
      heardAt: heardAt === undefined ? undefined : us(heardAt),
      firstSince: firstSince === undefined ? undefined : us(firstSince),
    }));
  const since = (l: HeardLink[], at: number, now: number): number => heardFirst(l, at, us(now), us(100));
  assert.equal(since(links([], []), 1, 1000), 1000, 'never heard before');
  assert.equal(since(links([900], [1100, 1000]), 1, 1200), 1000, 'the one before it fell silent');
  assert.equal(since(links([1150], [1100, 1000]), 1, 1200), 1200, 'the one before it is alive');
  assert.equal(since(links([], [1100, 1000]), 1, 1351), 1351, 'it was silent itself');
  assert.equal(since(links([], [1150], [1100, 1000]), 2, 1200), 1200, 'every link before it counts');
  const decides = (at: number, now: number): boolean => decidesTies(at, us(1000), us(now), us(100));
  assert.deepEqual([decides(0, 1000), decides(1, 1249), decides(1, 1250)], [true, false, true]);
});
