import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ip } from '../../test/support/wire.ts';
import { type Microseconds, Random, us } from '../base/index.ts';
import { BFD_STATES, type BfdPacket, type BfdState, decodeBfd, encodeBfd } from '../wire/index.ts';
import { BFD_DEFAULT_TTL, BFD_DEFAULTS, type BfdInstance } from './config.ts';
import {
  DIAGNOSTIC,
  deadline,
  detectionTime,
  type Effect,
  type Event,
  type Session,
  startSession,
  step,
} from './machine.ts';

const MS = 1000;
const config = (o: Partial<BfdInstance> = {}): BfdInstance => ({
  ...BFD_DEFAULTS,
  ttl: BFD_DEFAULT_TTL[4],
  name: 'b',
  neighbour: ip('192.0.2.2'),
  minTx: us(100 * MS),
  minRx: us(100 * MS),
  ...o,
});
const packet = (o: Partial<BfdPacket> = {}): BfdPacket => ({
  diagnostic: 0,
  state: 'down',
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  multiplier: 5,
  myDiscriminator: 77,
  yourDiscriminator: 0,
  desiredMinTx: us(1_000_000),
  requiredMinRx: us(100 * MS),
  requiredMinEchoRx: us(0),
  authentication: undefined,
  ...o,
});

/** A session in the hands of a test: time goes forward only by it. */
class Bench {
  session: Session;
  now = us(1_000_000_000);
  config: BfdInstance;
  constructor(c: BfdInstance = config()) {
    this.config = c;
    this.session = startSession(c, 11, this.now);
  }
  feed(e: Event): readonly Effect[] {
    const next = step(this.config, this.session, e, this.now);
    this.session = next.session;
    return next.effects;
  }
  hear(o: Partial<BfdPacket>, ttl: number | undefined = 255, at: Microseconds = this.now): readonly Effect[] {
    return this.feed({ kind: 'packet', packet: packet(o), ttl, at, chance: 0 });
  }
  tick(): readonly Effect[] {
    return this.feed({ kind: 'tick', chance: 0 });
  }
  wait(t: number): void {
    this.now = us(this.now + t);
  }
  /** To the next deadline, and what it brings. */
  next(): readonly Effect[] {
    const due = deadline(this.session) ?? assert.fail('no deadline');
    this.now = us(Math.max(this.now, due));
    return this.tick();
  }
  up(): this {
    this.hear({ state: 'down' });
    this.hear({ state: 'up', yourDiscriminator: 11, desiredMinTx: us(100 * MS) });
    assert.equal(this.session.state, 'up');
    this.hear({ state: 'up', yourDiscriminator: 11, desiredMinTx: us(100 * MS), final: true });
    assert.equal(this.session.polling, false);
    return this;
  }
}
const sent = (effects: readonly Effect[]): BfdPacket[] => effects.flatMap((e) => (e.kind === 'send' ? [e.packet] : []));

test('every pair of states moves as RFC 5880 section 6.2 draws it', () => {
  const expected: Record<BfdState, Record<BfdState, BfdState>> = {
    'admin-down': { 'admin-down': 'admin-down', down: 'admin-down', init: 'admin-down', up: 'admin-down' },
    down: { 'admin-down': 'down', down: 'init', init: 'up', up: 'down' },
    init: { 'admin-down': 'down', down: 'init', init: 'up', up: 'up' },
    up: { 'admin-down': 'down', down: 'down', init: 'up', up: 'up' },
  };
  for (const local of BFD_STATES)
    for (const remote of BFD_STATES) {
      const b = new Bench();
      b.session = { ...b.session, state: local };
      b.hear({ state: remote, yourDiscriminator: 11 });
      assert.equal(b.session.state, expected[local][remote], `${local} hears ${remote}`);
    }
});

test('an active session speaks at once and then at the idle pace; a passive one only when spoken to', () => {
  const active = new Bench();
  assert.deepEqual(
    sent(active.tick()).map((p) => [p.state, p.yourDiscriminator, p.desiredMinTx]),
    [['down', 0, 1_000_000]],
  );
  assert.equal(deadline(active.session), active.now + 1_000_000);
  const passive = new Bench(config({ passive: true }));
  assert.equal(deadline(passive.session), undefined);
  assert.deepEqual(passive.tick(), []);
  assert.equal(sent(passive.hear({ state: 'down' }))[0]?.state, 'init');
});

test('coming up polls for the fast pace, which holds at once; the poll ends with the final', () => {
  const b = new Bench();
  b.hear({ state: 'down' });
  const [first] = sent(b.hear({ state: 'init', yourDiscriminator: 11 }));
  assert.deepEqual([first?.state, first?.poll, first?.desiredMinTx], ['up', true, 100 * MS]);
  assert.equal(deadline(b.session), b.now + 100 * MS);
  assert.equal(sent(b.next())[0]?.poll, true);
  b.hear({ state: 'up', yourDiscriminator: 11, final: true });
  assert.equal(sent(b.next())[0]?.poll, false);
});

test('a poll is answered at once, with the final bit and never with a poll', () => {
  const b = new Bench();
  b.hear({ state: 'down' });
  const answers = sent(b.hear({ state: 'up', yourDiscriminator: 11, poll: true }));
  assert.deepEqual(
    answers.map((p) => [p.state, p.final, p.poll]),
    [['up', true, false]],
  );
});

test('silence takes the session down after the multiplier times the slower pace, no sooner', () => {
  const b = new Bench().up();
  assert.equal(detectionTime(b.session), 500 * MS);
  const heard = b.now;
  for (;;) {
    const effects = b.next();
    if (b.session.state === 'up') {
      assert.ok(b.now < heard + 500 * MS);
      continue;
    }
    assert.equal(b.now, heard + 500 * MS);
    assert.deepEqual(effects[0], { kind: 'state', from: 'up', to: 'down', diagnostic: DIAGNOSTIC.silence });
    const [p] = sent(effects);
    assert.deepEqual([p?.state, p?.diagnostic, p?.yourDiscriminator], ['down', 1, 0], 'and the neighbour is told');
    return;
  }
});

test('silence is counted from the arrival in the kernel, not from when it was read', () => {
  const b = new Bench().up();
  const at = b.now;
  b.wait(60 * MS);
  b.hear({ state: 'up', yourDiscriminator: 11, desiredMinTx: us(100 * MS) }, 255, at);
  assert.equal(b.session.detectAt, at + 500 * MS);
});

test('a late loop does not count against the neighbour: it is heard for a whole detection time more', () => {
  const b = new Bench().up();
  b.wait(2_000_000);
  const effects = b.tick();
  assert.equal(effects[0]?.kind, 'stalled');
  assert.equal(b.session.state, 'up');
  assert.equal(b.session.detectAt, b.now + 500 * MS);
  while (b.session.state === 'up') b.next();
  assert.equal(b.session.diagnostic, DIAGNOSTIC.silence, 'and once the loop is in time, silence is silence');
});

test('a stall that ends just as the silence would be judged is a stall all the same', () => {
  const b = new Bench().up();
  const detectAt = b.session.detectAt ?? assert.fail('nothing expected');
  b.now = us(detectAt + 1); // late by 400 ms for its own packet, by 1 us for the silence
  b.tick();
  assert.equal(b.session.state, 'up');
});

test('a neighbour that says down or switches off takes the session down with that reason', () => {
  for (const state of ['down', 'admin-down'] as const) {
    const b = new Bench().up();
    const effects = b.hear({ state, yourDiscriminator: 11 });
    assert.deepEqual(effects[0], { kind: 'state', from: 'up', to: 'down', diagnostic: DIAGNOSTIC.neighbourDown });
  }
});

test('what must be ignored is, by name, and changes nothing', () => {
  const cases: [string, Partial<BfdPacket>, number | undefined][] = [
    ['hops', { state: 'down' }, 254],
    ['hops', { state: 'down' }, undefined],
    ['authentication', { state: 'down', authentication: Uint8Array.of(1, 3, 1) }, 255],
    ['discriminator', { state: 'down', yourDiscriminator: 12 }, 255],
    ['state', { state: 'init' }, 255],
    ['state', { state: 'up' }, 255],
  ];
  for (const [why, o, ttl] of cases) {
    const b = new Bench().up();
    const before = b.session;
    assert.deepEqual(b.feed({ kind: 'packet', packet: packet(o), ttl, at: b.now, chance: 0 }), [
      { kind: 'ignored', why },
    ]);
    assert.equal(b.session, before);
  }
});

test('max_hops allows so many hops, -1 and 255 any', () => {
  const hears = (maxHops: number, ttl: number | undefined): boolean => {
    const b = new Bench(config({ maxHops }));
    return b.feed({ kind: 'packet', packet: packet(), ttl, at: b.now, chance: 0 })[0]?.kind !== 'ignored';
  };
  assert.deepEqual([hears(3, 252), hears(3, 251), hears(-1, 1), hears(255, undefined)], [true, false, true, true]);
});

test('a neighbour that takes nothing is sent nothing but what it asks for', () => {
  const b = new Bench().up();
  b.hear({ state: 'up', yourDiscriminator: 11, requiredMinRx: us(0) });
  assert.equal(b.session.sendAt, undefined);
  assert.equal(sent(b.hear({ state: 'up', yourDiscriminator: 11, requiredMinRx: us(0), poll: true })).length, 1);
});

test('the neighbour is sent no more than it can take, from its next word on', () => {
  const b = new Bench().up();
  b.next();
  b.hear({ state: 'up', yourDiscriminator: 11, requiredMinRx: us(300 * MS) });
  assert.equal(b.session.sendAt, b.now + 300 * MS);
  b.hear({ state: 'up', yourDiscriminator: 11, requiredMinRx: us(100 * MS) });
  assert.equal(b.session.sendAt, b.now + 100 * MS, 'and when it can take more, it has not to wait the long gap out');
});

test('slower pace by reload waits for the neighbour to agree, faster sending does not', () => {
  const b = new Bench().up();
  b.config = config({ minTx: us(400 * MS), minRx: us(50 * MS) });
  b.feed({ kind: 'configured', chance: 0 });
  assert.deepEqual(
    [b.session.txInForce, b.session.rxInForce, b.session.polling],
    [100 * MS, 100 * MS, true],
    'its old pace and our old patience hold',
  );
  b.hear({ state: 'up', yourDiscriminator: 11, final: true });
  assert.deepEqual([b.session.txInForce, b.session.rxInForce, b.session.polling], [400 * MS, 50 * MS, false]);
  b.config = config({ minTx: us(40 * MS), minRx: us(50 * MS) });
  b.feed({ kind: 'configured', chance: 0 });
  assert.equal(b.session.txInForce, 40 * MS);
});

test('switching off tells the neighbour, and switching on begins anew', () => {
  const b = new Bench().up();
  const off = b.feed({ kind: 'administer', down: true, chance: 0 });
  assert.deepEqual(
    sent(off).map((p) => [p.state, p.diagnostic]),
    [['admin-down', DIAGNOSTIC.administrative]],
  );
  assert.deepEqual(b.feed({ kind: 'administer', down: true, chance: 0 }), []);
  assert.deepEqual(b.hear({ state: 'down', yourDiscriminator: 11 }), [
    { kind: 'ignored', why: 'administratively-down' },
  ]);
  b.feed({ kind: 'administer', down: false, chance: 0 });
  b.hear({ state: 'down', yourDiscriminator: 11 });
  assert.equal(b.session.state, 'init');
});

test('jitter takes off up to a quarter, and with a multiplier of 1 between a tenth and a quarter', () => {
  const gap = (multiplier: number, chance: number): number => {
    const b = new Bench(config({ multiplier }));
    b.feed({ kind: 'tick', chance });
    return (deadline(b.session) ?? Number.NaN) - b.now;
  };
  assert.deepEqual([gap(5, 0), gap(5, 1), gap(1, 0), gap(1, 1)], [1_000_000, 750_000, 900_000, 750_000]);
});

test('two sessions on a lossy wire: up while packets pass, down soon after none do, up again when they do', () =>
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 5 }), (seed, extra) => {
      const random = new Random(seed);
      const sides = [0, 1].map(
        (i) =>
          new Bench(
            config({
              multiplier: 3 + extra,
              minTx: us((20 + 30 * i) * MS),
              minRx: us((60 - 40 * i) * MS),
              passive: i === 1,
            }),
          ),
      ) as [Bench, Bench];
      const wire: { to: Bench; at: number; bytes: Uint8Array }[] = [];
      let loss = 0;
      const perform = (from: Bench, effects: readonly Effect[]): void => {
        const to = from === sides[0] ? sides[1] : sides[0];
        for (const p of sent(effects))
          if (!random.chance(loss)) wire.push({ to, at: from.now + random.between(50, 3000), bytes: encodeBfd(p) });
      };
      sides.forEach((s, i) => {
        s.session = startSession(s.config, 100 + i, s.now);
      });
      let end: number = sides[0].now;
      const run = (length: number, check: () => void): void => {
        end += length;
        const until = end;
        for (;;) {
          const packetAt = wire.reduce((a, w) => Math.min(a, w.at), Infinity);
          const tickAt = Math.min(...sides.map((s) => deadline(s.session) ?? Infinity));
          const at = Math.min(packetAt, tickAt);
          for (const s of sides) s.now = us(Math.min(at, until));
          if (at > until) return;
          if (packetAt <= tickAt) {
            const [w] = wire.splice(
              wire.findIndex((x) => x.at === packetAt),
              1,
            );
            assert.ok(w);
            const got = decodeBfd(w.bytes);
            assert.ok(got.ok);
            perform(
              w.to,
              w.to.feed({ kind: 'packet', packet: got.value, ttl: 255, at: w.to.now, chance: random.unit() }),
            );
          } else
            for (const s of sides)
              if ((deadline(s.session) ?? Infinity) <= at) perform(s, s.feed({ kind: 'tick', chance: random.unit() }));
          check();
        }
      };
      const states = (): BfdState[] => sides.map((s) => s.session.state);
      run(4_000_000, () => {});
      assert.deepEqual(states(), ['up', 'up'], 'a clean wire');
      assert.ok(sides.every((s) => !s.session.polling && s.session.txInForce === s.config.minTx));
      loss = 0.05; // five and more in a row is one in three million
      run(2_000_000, () => {});
      loss = 1;
      wire.length = 0;
      const cut = end;
      const patience = Math.max(...sides.map((s) => detectionTime(s.session)));
      run(3_000_000, () => {
        if (sides[0].now > cut + patience) assert.deepEqual(states(), ['down', 'down'], 'a cut wire');
      });
      assert.deepEqual(states(), ['down', 'down'], 'a cut wire');
      loss = 0;
      run(4_000_000, () => {});
      assert.deepEqual(states(), ['up', 'up'], 'a healed wire');
    }),
    { numRuns: 60 },
  ));

test('whatever is heard, a session that is up has a deadline, and its times are whole and not in the past for ever', () => {
  const anyPacket = fc.record({
    state: fc.constantFrom(...BFD_STATES),
    poll: fc.boolean(),
    final: fc.boolean(),
    demand: fc.boolean(),
    multiplier: fc.integer({ min: 1, max: 255 }),
    yourDiscriminator: fc.constantFrom(0, 11, 12),
    desiredMinTx: fc.constantFrom(0, 1, 100_000, 0xffff_ffff).map(us),
    requiredMinRx: fc.constantFrom(0, 1, 100_000, 0xffff_ffff).map(us),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(anyPacket, fc.nat(2_000_000)), { maxLength: 40 }), (heard) => {
      const b = new Bench();
      for (const [o, pause] of heard) {
        b.hear(o);
        b.wait(pause);
        b.tick();
        if (b.session.state === 'up') assert.notEqual(b.session.detectAt, undefined);
        const due = deadline(b.session);
        if (due === undefined) continue;
        assert.ok(Number.isSafeInteger(due));
        assert.ok(due > b.now, 'a tick leaves no deadline that is already due: the driver would spin');
      }
    }),
  );
});
