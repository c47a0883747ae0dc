import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type IpAddress, type Microseconds, text, us } from '../../base/index.ts';
import type { PoolOptions, RealServer, VirtualServer } from '../config.ts';
import { exampleCheck, exampleServer, exampleService } from '../example.ts';
import { poolConfig } from './config.ts';
import { describeDecision } from './describe.ts';
import { begin, deadline, step } from './machine.ts';
import { notificationOf } from './notify.ts';
import type { Decision, PoolConfig, PoolEvent, PoolState } from './types.ts';
import { serversOf, sorryServes } from './wanted.ts';

const second = (n: number): Microseconds => us(n * 1_000_000);
const A = '192.168.1.11:80';
const B = '192.168.1.12:80';
const SORRY = '127.0.0.1:80';
const sorryServer = {
  address: '127.0.0.1' as IpAddress,
  port: 80,
  forwarding: { method: 'direct-routing' },
  inhibitOnFailure: false,
} as const;

const make = (more: Partial<VirtualServer> = {}, servers: readonly Partial<RealServer>[] = [{}, {}]): PoolConfig =>
  poolConfig(
    exampleService(
      servers.map((s, i) => exampleServer(`192.168.1.${11 + i}`, s)),
      more,
    ),
    { notifyAtStart: false },
  );

/** As it is handed to a later process. */
const asJson = (s: PoolState): PoolState => JSON.parse(JSON.stringify(s)) as PoolState;
/** A pool in the hands of a test. */
class Hand {
  config: PoolConfig;
  state: PoolState;
  now: Microseconds = us(0);
  readonly said: Decision[] = [];
  constructor(config: PoolConfig, memory?: PoolState) {
    this.config = config;
    const first = begin(config, this.now, memory);
    this.state = first.state;
    this.said.push(...first.decisions);
  }
  feed(e: PoolEvent, at = this.now): this {
    this.now = at;
    const next = step(this.config, this.state, e, at);
    this.state = next.state;
    this.said.push(...next.decisions);
    return this;
  }
  check(server: string, verdict: 'up' | 'down', at = this.now, weight?: { kind: 'is' | 'adds'; value: number }): this {
    const id = this.config.servers.find((s) => s.key === server)?.checks[0]?.id ?? '';
    const reason = verdict === 'up' ? text('connected', '已连接') : text('connection refused', '连接被拒绝');
    return this.feed({ kind: 'check', id, verdict, reason, weight }, at);
  }
  tickUntil(end: Microseconds): this {
    for (let due = deadline(this.config, this.state); due <= end; due = deadline(this.config, this.state))
      this.feed({ kind: 'tick' }, due);
    this.now = end;
    return this;
  }
  /** `192.168.1.11:80=1`, in the order of the plan. */
  get plan(): string[] {
    return serversOf(this.config, this.state).map((s) => `${s.key}=${s.weight}`);
  }
  get lines(): string[] {
    return this.said.map((d) => describeDecision(this.config, d).en);
  }
  /** What scripts and FIFOs heard. */
  get heard(): string[] {
    return this.said.flatMap((d) => notificationOf(this.config, d, { checkMails: false })?.fifo?.trim() ?? []);
  }
}

test('all servers take part before any check has ended, but for those with alpha', () => {
  assert.deepEqual(new Hand(make()).plan, [`${A}=1`, `${B}=1`]);
  const alpha = { checkers: [exampleCheck('192.168.1.12', { alpha: true })] };
  const hand = new Hand(make({}, [{}, alpha]));
  assert.deepEqual(hand.plan, [`${A}=1`]);
  assert.deepEqual(hand.check(B, 'up').plan, [`${A}=1`, `${B}=1`]);
});

test('a server whose checker is down is taken out, and one success brings it back', () => {
  const hand = new Hand(make()).check(A, 'down', second(3));
  assert.deepEqual(hand.plan, [`${B}=1`]);
  assert.deepEqual(hand.check(A, 'up', second(4)).plan, [`${A}=1`, `${B}=1`]);
  assert.deepEqual(hand.lines, [
    'check tcp 192.168.1.11:80 for 192.168.1.11:80 of tcp 192.168.1.99:80 failed: connection refused',
    '192.168.1.11:80 of tcp 192.168.1.99:80 is down: tcp 192.168.1.11:80: connection refused; one success of each brings it back',
    'check tcp 192.168.1.11:80 for 192.168.1.11:80 of tcp 192.168.1.99:80 passes: connected',
    '192.168.1.11:80 of tcp 192.168.1.99:80 is up with weight 1: tcp 192.168.1.11:80: connected; one failure would take it out',
  ]);
});

test('a server is up only while all of its checkers are', () => {
  const checkers = [exampleCheck('192.168.1.11'), exampleCheck('192.168.1.11', {})];
  const hand = new Hand(make({}, [{ checkers }, {}]));
  const ids = hand.config.servers[0]?.checks.map((k) => k.id) ?? [];
  assert.equal(new Set(ids).size, 2, 'two checks of the same kind and target have names of their own');
  const say = (n: number, verdict: 'up' | 'down'): void => {
    hand.feed({ kind: 'check', id: ids[n] ?? '', verdict, reason: text('r', 'r'), weight: undefined });
  };
  say(0, 'down');
  say(1, 'down');
  say(0, 'up');
  assert.deepEqual(hand.plan, [`${B}=1`]);
  say(1, 'up');
  assert.deepEqual(hand.plan, [`${A}=1`, `${B}=1`]);
});

test('inhibit_on_failure: weight 0 in place of removal, also while the sorry server serves', () => {
  const hand = new Hand(make({ sorryServer }, [{ inhibitOnFailure: true }, {}])).check(A, 'down');
  assert.deepEqual(hand.plan, [`${A}=0`, `${B}=1`]);
  assert.deepEqual(hand.check(B, 'down').plan, [`${A}=0`, `${SORRY}=1`]);
});

test('quorum: lost below quorum - hysteresis or at 0, gained at quorum + hysteresis', () => {
  const hand = new Hand(make({ quorum: 4, hysteresis: 1 }, [{ weight: 2 }, { weight: 2 }, { weight: 1 }]));
  const up = (): boolean => hand.state.quorum.up;
  assert.ok(up(), '5 of at least 3');
  assert.ok(hand.check(B, 'down') && up(), '3 is not below 4 - 1');
  assert.ok(!(hand.check('192.168.1.13:80', 'down') && up()), '2 is below 4 - 1');
  assert.ok(!(hand.check(B, 'up') && up()), '4 is not yet 4 + 1');
  assert.ok(hand.check('192.168.1.13:80', 'up') && up(), '5 is 4 + 1');
  assert.deepEqual(
    hand.heard.filter((l) => l.startsWith('VS')),
    ['VS [192.168.1.99]:tcp:80 DOWN', 'VS [192.168.1.99]:tcp:80 UP'],
  );
});

test('a hysteresis as large as the quorum still loses it when nobody is left', () => {
  const hand = new Hand(make({ quorum: 1, hysteresis: 1 })).check(A, 'down').check(B, 'down');
  assert.equal(hand.state.quorum.up, false);
});

test('the sorry server stands in alone when the quorum is lost, also beside living servers, and leaves when it is gained', () => {
  const hand = new Hand(make({ quorum: 2, sorryServer })).check(A, 'down');
  assert.deepEqual(hand.plan, [`${SORRY}=1`]);
  assert.deepEqual(hand.check(B, 'down').check(B, 'up').plan, [`${SORRY}=1`], 'changes meanwhile are remembered');
  assert.deepEqual(hand.check(A, 'up').plan, [`${A}=1`, `${B}=1`]);
});

test('without a sorry server a lost quorum takes nobody out', () =>
  assert.deepEqual(new Hand(make({ quorum: 2 })).check(A, 'down').plan, [`${B}=1`]));

test('a pool that starts with too little weight has its sorry server at once', () =>
  assert.deepEqual(new Hand(make({ quorum: 3, sorryServer })).plan, [`${SORRY}=1`]));

test('a drained server takes no new connections and is never taken out while it lives, whoever serves', () => {
  const hand = new Hand(make({ sorryServer })).feed({ kind: 'drain', server: A, until: undefined });
  assert.deepEqual(hand.plan, [`${A}=0`, `${B}=1`]);
  assert.deepEqual(
    hand.check(B, 'down').plan,
    [`${A}=0`, `${SORRY}=1`],
    'it counts for no quorum, but keeps its connections',
  );
  assert.deepEqual(hand.check(A, 'down').plan, [`${SORRY}=1`], 'dead is dead');
  assert.deepEqual(hand.check(A, 'up').feed({ kind: 'undrain', server: A }).plan, [`${A}=1`]);
});

test('a drain with an end ends by itself', () => {
  const hand = new Hand(make()).feed({ kind: 'drain', server: A, until: second(60) });
  assert.deepEqual(hand.tickUntil(us(second(60) - 1)).plan, [`${A}=0`, `${B}=1`]);
  assert.deepEqual(hand.tickUntil(second(60)).plan, [`${A}=1`, `${B}=1`]);
});

test('weights: MISC gives the whole weight, FILE adds to it, what is told from outside stands above, all within 0..65535', () => {
  const hand = new Hand(make({}, [{ weight: 10 }, {}]));
  const weight = (h: Hand): number => h.state.servers[0]?.weight ?? -1;
  assert.equal(weight(hand.check(A, 'up', us(1), { kind: 'is', value: 253 })), 253);
  assert.equal(weight(hand.check(A, 'up', us(2), { kind: 'adds', value: -4 })), 6);
  assert.equal(weight(hand.check(A, 'up', us(3), { kind: 'adds', value: -40 })), 0);
  assert.equal(weight(hand.check(A, 'up', us(4), { kind: 'adds', value: 70_000 })), 65535);
  assert.equal(weight(hand.feed({ kind: 'weight', server: A, weight: 3 })), 3);
  assert.equal(weight(hand.feed({ kind: 'weight', server: A, weight: undefined })), 65535);
});

test('a change of weight alone can lose the quorum', () => {
  const hand = new Hand(make({ quorum: 5 }, [{ weight: 3 }, { weight: 3 }]));
  hand.check(A, 'up', us(1), { kind: 'is', value: 1 });
  assert.equal(hand.state.quorum.up, false);
});

test('ha_suspend: what checks say meanwhile counts for nothing', () => {
  const hand = new Hand(make()).feed({ kind: 'suspend', on: true }).check(A, 'down');
  assert.deepEqual(hand.plan, [`${A}=1`, `${B}=1`]);
  assert.deepEqual(hand.feed({ kind: 'suspend', on: false }).check(A, 'down').plan, [`${B}=1`]);
});

test('a reload stirs nothing that did not change, takes out what is gone, and brings in what is new', () => {
  const hand = new Hand(make()).check(A, 'down', second(1));
  const before = hand.state;
  assert.deepEqual(hand.feed({ kind: 'reload' }).state, before);
  hand.said.length = 0;
  hand.config = make({ omega: true }, [{ checkers: [exampleCheck('192.168.1.11', { retry: 9 })] }, {}, { weight: 7 }]);
  hand.feed({ kind: 'reload' });
  assert.deepEqual(hand.plan, [`${B}=1`, '192.168.1.13:80=7'], 'a checker with new timings stands where it stood');
  hand.config = make({}, [{}]);
  assert.deepEqual(hand.feed({ kind: 'reload' }).plan, []);
});

test('a restart goes on where the process before it was: dead servers, drains, weights', () => {
  const hand = new Hand(make({}, [{}, {}, {}])).check(A, 'down').feed({ kind: 'drain', server: B, until: undefined });
  hand.feed({ kind: 'weight', server: '192.168.1.13:80', weight: 9 });
  const again = new Hand(hand.config, asJson(hand.state));
  assert.deepEqual(again.plan, hand.plan);
  assert.deepEqual(again.heard, []);
});

test('omega: the stop is told of, server by server and then the service; without it nobody hears', () => {
  assert.deepEqual(new Hand(make({ omega: true })).check(B, 'down').feed({ kind: 'stop' }).heard, [
    'RS [192.168.1.12]:tcp:80 [192.168.1.99]:tcp:80 DOWN',
    'RS [192.168.1.11]:tcp:80 [192.168.1.99]:tcp:80 DOWN',
    'VS [192.168.1.99]:tcp:80 DOWN',
  ]);
  assert.deepEqual(new Hand(make()).feed({ kind: 'stop' }).heard, []);
});

test('scripts and mail: each notification carries its own script, keepalived’s subject and body', () => {
  const notifyDown = { argv: ['/bin/down'] } as const;
  const hand = new Hand(
    make({ smtpAlert: true, quorumDown: { argv: ['/bin/q'] } }, [{ notifyDown, smtpAlert: true }]),
  ).check(A, 'down');
  const heard = hand.said.map((d) => notificationOf(hand.config, d, { checkMails: true }));
  assert.deepEqual(
    heard.map((n) => [n?.of, n?.script?.argv[0], n?.mail?.subject, n?.mail?.body]),
    [
      [
        'CHECK',
        undefined,
        'Realserver [192.168.1.11]:tcp:80 of virtual server [192.168.1.99]:tcp:80 - DOWN',
        '=> tcp 192.168.1.11:80 check failed on service <=',
      ],
      [
        'RS',
        '/bin/down',
        'Realserver [192.168.1.11]:tcp:80 of virtual server [192.168.1.99]:tcp:80 - DOWN',
        '=> CHECK failed on service <=',
      ],
      ['VS', '/bin/q', 'Virtualserver [192.168.1.99]:tcp:80 - DOWN', '=> Lost quorum 1-0=1 > 0 <='],
    ],
  );
});

const withOptions = (options: PoolOptions, n = 2, more: Partial<VirtualServer> = {}): Hand =>
  new Hand(
    make(
      { options, ...more },
      Array.from({ length: n }, () => ({})),
    ),
  );

test('slow start: who comes back gets his weight in tenths, and the others’ weights stay', () => {
  const hand = withOptions({ slowStart: second(10) })
    .check(A, 'down')
    .check(A, 'up', second(100));
  const seen: string[] = [hand.plan.join(' ')];
  for (let s = 1; s <= 10; s++) seen.push(hand.tickUntil(second(100 + s)).plan.join(' '));
  assert.deepEqual(
    seen,
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10].map((w) => `${A}=${w} ${B}=10`),
  );
  assert.equal(deadline(hand.config, hand.state), Infinity);
});

test('damping: the fourth failure in short order keeps a server out, longer each time; quiet is forgiven', () => {
  const damping = { after: 3, first: second(10), most: second(60), forget: second(300) };
  const hand = withOptions({ damping });
  const flap = (at: number): void => {
    hand.check(A, 'down', second(at)).check(A, 'up', second(at + 1));
  };
  for (const at of [1, 3, 5]) flap(at);
  assert.equal(hand.plan.length, 2, 'three times are borne');
  flap(7);
  assert.deepEqual(hand.plan, [`${B}=1`]);
  assert.deepEqual(hand.tickUntil(second(16)).plan, [`${B}=1`]);
  assert.equal(hand.tickUntil(second(17)).plan.length, 2, 'ten seconds from the failure');
  flap(20);
  assert.deepEqual(hand.tickUntil(second(39)).plan, [`${B}=1`]);
  assert.equal(hand.tickUntil(second(40)).plan.length, 2, 'twenty seconds');
  flap(400);
  assert.equal(hand.plan.length, 2, 'forgotten');
});

test('the floor: checks alone leave no fewer servers, the last good ones stay, and quorum is kept with them', () => {
  const hand = withOptions({ floor: 2 }, 3, { sorryServer });
  const C = '192.168.1.13:80';
  assert.deepEqual(hand.check(A, 'down', second(1)).plan, [`${B}=1`, `${C}=1`], 'enough are left');
  assert.deepEqual(hand.check(B, 'down', second(2)).plan, [`${B}=1`, `${C}=1`], 'B was good last');
  assert.deepEqual(hand.check(C, 'down', second(3)).plan, [`${B}=1`, `${C}=1`]);
  assert.deepEqual(
    hand.check(A, 'up', second(4)).plan,
    [`${A}=1`, `${C}=1`],
    'a good one takes the place of the older bad one',
  );
  const again = new Hand(hand.check(A, 'down', second(5)).config, asJson(hand.state));
  assert.deepEqual(again.plan, hand.plan, 'a restart does not empty it either');
});

test('a server that cannot be reached in its mode never takes part, and says why', () => {
  const hand = new Hand(make()).feed({
    kind: 'refused',
    servers: new Map([[A, text('DR cannot change the port', 'x')]]),
  });
  assert.deepEqual(hand.check(A, 'down').check(A, 'up').plan, [`${B}=1`]);
  assert.match(hand.lines[0] ?? '', /is down: DR cannot change the port/);
  assert.equal(hand.feed({ kind: 'refused', servers: new Map() }).plan.length, 2);
});

// ------------------------------------------------------------------------------------------ any history

const anyOptions = fc.record(
  {
    slowStart: fc.constantFrom(second(3), second(20)),
    damping: fc.constant({ after: 2, first: second(5), most: second(20), forget: second(60) }),
    floor: fc.integer({ min: 0, max: 3 }),
  },
  { requiredKeys: [] },
);
const anyPool = fc
  .record({
    options: anyOptions,
    quorum: fc.integer({ min: 1, max: 6 }),
    hysteresis: fc.integer({ min: 0, max: 3 }),
    sorry: fc.boolean(),
    servers: fc.array(fc.record({ weight: fc.integer({ min: 0, max: 4 }), inhibitOnFailure: fc.boolean() }), {
      minLength: 1,
      maxLength: 5,
    }),
  })
  .map((p) =>
    make(
      { quorum: p.quorum, hysteresis: p.hysteresis, options: p.options, ...(p.sorry ? { sorryServer } : {}) },
      p.servers,
    ),
  );
type Move = { server: number; what: number; wait: number };
const anyMoves = fc.array(fc.record({ server: fc.nat(4), what: fc.nat(5), wait: fc.constantFrom(0, 1, 3, 8, 30) }), {
  maxLength: 40,
});
function move(hand: Hand, m: Move): void {
  hand.tickUntil(us(hand.now + second(m.wait)));
  const { key: server } = hand.config.servers[m.server % hand.config.servers.length] ?? { key: '' };
  if (m.what <= 1) hand.check(server, 'down');
  else if (m.what === 2) hand.check(server, 'up');
  else if (m.what === 3) hand.feed({ kind: 'drain', server, until: m.wait > 3 ? us(hand.now + second(9)) : undefined });
  else if (m.what === 4) hand.feed({ kind: 'undrain', server });
  else hand.feed({ kind: 'weight', server, weight: m.wait });
}

test('whatever happens: dead servers get nothing, drained ones that live are never cut, and the quorum is what its rule says', () =>
  fc.assert(
    fc.property(anyPool, anyMoves, (config, moves) => {
      const hand = new Hand(config);
      for (const m of moves) {
        move(hand, m);
        const plan = new Map(serversOf(hand.config, hand.state).map((s) => [s.key, s.weight]));
        for (const [i, x] of hand.state.servers.entries()) {
          const inhibited = config.servers[i]?.server.inhibitOnFailure;
          if (!x.alive) assert.equal(plan.get(x.key), inhibited ? 0 : undefined);
          else if (x.drained) assert.equal(plan.get(x.key), 0);
          else if (!sorryServes(hand.config, hand.state)) assert.ok((plan.get(x.key) ?? -1) >= Math.min(1, x.weight));
        }
        const floor = config.service.options?.floor ?? 0;
        const alive = hand.state.servers.filter((x) => x.alive).length;
        assert.ok(alive >= Math.min(floor, config.servers.length), `${alive} alive with a floor of ${floor}`);
        const sum = hand.state.servers.reduce((n, x) => n + (x.alive && !x.drained ? x.weight : 0), 0);
        const { quorum, hysteresis } = config.service;
        const { up } = hand.state.quorum;
        if (sum === 0 || sum < quorum - hysteresis) assert.ok(!up);
        else if (sum >= quorum + hysteresis) assert.ok(up);
      }
    }),
    { numRuns: 1000 },
  ));

test('whatever happened: once checks pass, drains end and time goes by, every server has its full weight', () =>
  fc.assert(
    fc.property(anyPool, anyMoves, (config, moves) => {
      const hand = new Hand(config);
      for (const m of moves) move(hand, m);
      for (const { key: server } of config.servers) {
        hand.feed({ kind: 'undrain', server }).feed({ kind: 'weight', server, weight: undefined });
        hand.check(server, 'up');
      }
      hand.tickUntil(us(hand.now + second(200)));
      assert.equal(deadline(hand.config, hand.state), Infinity);
      for (const x of hand.state.servers) assert.ok(x.alive && x.ramp === undefined && x.heldUntil === undefined);
    }),
    { numRuns: 1000 },
  ));

test('a state is never changed in place, and a step without news returns it as it is', () =>
  fc.assert(
    fc.property(anyPool, anyMoves, (config, moves) => {
      const hand = new Hand(config);
      for (const m of moves) {
        const copy = structuredClone(hand.state);
        const before = hand.state;
        move(hand, m);
        assert.deepEqual(before, copy);
        assert.equal(step(hand.config, hand.state, { kind: 'tick' }, hand.now).state, hand.state);
      }
    }),
  ));
