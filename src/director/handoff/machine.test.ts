import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type IpAddress, Random, us } from '../../base/index.ts';
import { decodeLbPeer, encodeLbPeer, type LbPeerMessage } from '../../wire/index.ts';
import type { FlowException } from '../types.ts';
import { Handoff, type HandoffEvent } from './machine.ts';

const flow = (n: number, server = 1): FlowException => ({
  service: 'tcp 192.0.2.99:80',
  server: `192.0.2.${server}:80`,
  client: `198.51.${n >> 8}.${n & 255}` as IpAddress,
  clientPort: 40_000,
  address: '192.0.2.99' as IpAddress,
  port: 80,
});
const nameOf = (f: FlowException): string => `${f.client} ${f.server}`;

/** A machine, and what a plane would have of its effects. */
class Side {
  machine: Handoff;
  own: FlowException[] = [];
  readonly plane = new Map<string, string>();
  readonly out: LbPeerMessage[] = [];
  readonly news: string[] = [];
  constructor(session: bigint, now: number) {
    this.machine = new Handoff(session, us(now));
  }
  /** A restarted process: its kernel forgets nothing. */
  restart(session: bigint, now: number): void {
    this.machine = new Handoff(session, us(now));
  }
  feed(e: HandoffEvent, now: number): void {
    for (const f of this.machine.handle(e, us(now))) {
      if (f.do === 'send') this.out.push(f.message);
      else if (f.do === 'tell') this.news.push(f.news);
      else
        for (const x of f.flows)
          if (f.do === 'adopt') this.plane.set(x.client, nameOf(x));
          else this.plane.delete(x.client);
    }
  }
}
/** Two sides, and a network between them that loses and repeats. */
class Pair {
  now = 0;
  readonly sides: [Side, Side];
  readonly recorded: LbPeerMessage[] = [];
  loss = 0;
  /** Packets overtake each other. */
  disorder = true;
  readonly #random: Random;
  readonly #wire: { at: number; to: number; message: LbPeerMessage }[] = [];
  constructor(seed: number) {
    this.#random = new Random(seed);
    this.sides = [new Side(101n, 0), new Side(202n, 0)];
  }
  run(until: number): void {
    for (;;) {
      for (const [i, s] of this.sides.entries())
        for (const message of s.out.splice(0)) {
          this.recorded.push(message);
          if (this.#random.chance(this.loss)) continue;
          const got = decodeLbPeer(encodeLbPeer(message));
          assert.ok(got.ok && encodeLbPeer(message).length <= 1160, 'a message fits into a datagram');
          const times = this.#random.chance(this.loss) ? 2 : 1;
          for (let n = 0; n < times; n++)
            this.#wire.push({
              at: this.now + 100 + (this.disorder ? this.#random.between(0, 400) : 0),
              to: 1 - i,
              message: got.value,
            });
        }
      this.#wire.sort((a, b) => a.at - b.at);
      const packet = this.#wire[0]?.at ?? Infinity;
      const [a, b] = this.sides.map((s) => s.machine.deadline() as number) as [number, number];
      const next = Math.min(packet, a, b);
      if (next > until) break;
      this.now = Math.max(this.now, next);
      if (packet === next) {
        const { to, message } = this.#wire.shift() as { to: 0 | 1; message: LbPeerMessage };
        this.sides[to].feed({ kind: 'message', message }, this.now);
      } else this.sides[a === next ? 0 : 1].feed({ kind: 'tick' }, this.now);
    }
    this.now = until;
  }
  find(i: 0 | 1, flows: FlowException[]): void {
    this.sides[i].own = flows;
    this.sides[i].feed({ kind: 'found', flows }, this.now);
  }
  /** What a plane follows: some come, or go to another server, and some are over. */
  change(i: 0 | 1, set: FlowException[], gone: FlowException[]): void {
    const own = new Map(this.sides[i].own.map((f) => [f.client, f]));
    for (const f of gone) own.delete(f.client);
    for (const f of set) own.set(f.client, f);
    this.sides[i].own = [...own.values()];
    this.sides[i].feed({ kind: 'changed', set, gone }, this.now);
  }
  agreed(): void {
    for (const i of [0, 1] as const)
      assert.deepEqual(
        [...this.sides[(1 - i) as 0 | 1].plane.values()].sort(),
        this.sides[i].own.map(nameOf).sort(),
        `what side ${i} told`,
      );
  }
}
const S = 1_000_000;

test('whatever is lost, repeated, restarted and changed, the peer holds exactly the exceptions in the end', () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('find' as const),
      side: fc.constantFrom(0 as const, 1 as const),
      from: fc.nat(400),
      n: fc.nat(400),
      server: fc.integer({ min: 1, max: 3 }),
    }),
    fc.record({
      do: fc.constant('change' as const),
      side: fc.constantFrom(0 as const, 1 as const),
      set: fc.array(fc.nat(400), { maxLength: 50 }),
      gone: fc.array(fc.nat(400), { maxLength: 50 }),
      server: fc.integer({ min: 1, max: 3 }),
    }),
    fc.record({ do: fc.constant('restart' as const), side: fc.constantFrom(0 as const, 1 as const) }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat(5000) }),
  );
  fc.assert(
    fc.property(
      fc.nat(),
      fc.double({ min: 0, max: 0.6, noNaN: true }),
      fc.array(step, { maxLength: 20 }),
      (seed, loss, steps) => {
        const pair = new Pair(seed);
        pair.loss = loss;
        let session = 1000n;
        pair.find(0, []);
        pair.find(1, []);
        for (const s of steps) {
          if (s.do === 'find')
            pair.find(
              s.side,
              Array.from({ length: s.n }, (_, i) => flow(s.from + i, s.server)),
            );
          else if (s.do === 'change')
            pair.change(
              s.side,
              s.set.map((n) => flow(n, s.server)),
              s.gone.map((n) => flow(n)),
            );
          else if (s.do === 'restart') {
            pair.sides[s.side].restart(session++, pair.now);
            // The process before it is gone, and with it what it held: its plane keeps that, and it is told anew.
            pair.sides[s.side].plane.clear();
            pair.find(s.side, pair.sides[s.side].own);
          }
          pair.run(pair.now + (s.do === 'wait' ? s.ms * 1000 : 10_000));
        }
        pair.loss = 0;
        pair.run(pair.now + 8 * S);
        pair.agreed();
        for (const s of pair.sides) {
          const { own, acknowledged, peer } = s.machine.status();
          assert.deepEqual(
            { own, acknowledged, peer },
            { own: s.own.length, acknowledged: s.own.length, peer: 'heard' },
          );
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('what was recorded and is sent again changes nothing, not even after both have started anew', () => {
  const pair = new Pair(1);
  pair.find(0, [flow(1), flow(2)]);
  pair.find(1, []);
  pair.run(3 * S);
  const old = pair.recorded.filter((m) => m.session === 101n);
  pair.find(0, [flow(3)]);
  pair.run(6 * S);
  pair.agreed();
  const replay = (): void => {
    for (const message of old) pair.sides[1].feed({ kind: 'message', message }, pair.now);
    pair.run(pair.now + 3 * S);
    pair.agreed();
    assert.equal(pair.sides[1].machine.status().peer, 'heard');
  };
  replay();
  pair.sides[0].restart(303n, pair.now);
  pair.find(0, [flow(4)]);
  pair.run(pair.now + 5 * S);
  replay();
  pair.sides[1].restart(404n, pair.now);
  pair.find(1, []);
  pair.sides[1].plane.clear();
  pair.run(pair.now + 5 * S);
  replay();
});

test('a message that comes back to its sender is not heard', () => {
  const side = new Side(7n, 0);
  side.feed({ kind: 'tick' }, 0);
  for (const message of side.out.splice(0)) side.feed({ kind: 'message', message: { ...message, heard: 7n } }, 1);
  assert.equal(side.machine.status().peer, 'never');
  assert.deepEqual(side.out, []);
});

test('strangers get few answers, however many old messages come', () => {
  const side = new Side(7n, 0);
  for (let i = 0; i < 1000; i++) {
    const message = { session: BigInt(i + 8), heard: 1n, sequence: 1, received: 0, latest: 0, complete: false };
    side.feed({ kind: 'message', message: { ...message, update: undefined } }, i * 1000);
  }
  assert.ok(side.out.length <= 13, `${side.out.length} in a second`);
});

test('what a peer told is held while it is silent, for 900 s, and then given up', () => {
  const pair = new Pair(2);
  pair.find(0, [flow(1)]);
  pair.run(3 * S);
  const [, b] = pair.sides;
  for (const at of [10 * S, 800 * S]) {
    b.feed({ kind: 'tick' }, at);
    assert.equal(b.plane.size, 1);
  }
  assert.deepEqual(b.news, ['heard', 'silent']);
  b.feed({ kind: 'tick' }, 910 * S);
  assert.equal(b.plane.size, 0);
});

test('sixty thousand flows are told in less than a second, in bounded bursts; more than the most are left out and said so', () => {
  const pair = new Pair(3);
  pair.disorder = false;
  pair.find(1, []);
  pair.run(2 * S);
  pair.find(
    0,
    Array.from({ length: 65_536 }, (_, n) => flow(n)),
  );
  pair.run(3 * S);
  assert.equal(pair.sides[1].plane.size, 65_536);
  pair.find(
    0,
    Array.from({ length: 65_636 }, (_, n) => flow(n % 65_536, n >= 65_536 ? 2 : 1)),
  );
  assert.equal(pair.sides[0].machine.status().leftOut, 100);
  pair.change(0, [flow(70_000)], []);
  assert.equal(pair.sides[0].machine.status().leftOut, 101);
  assert.ok(pair.sides[0].news.includes('too-many'));
});
