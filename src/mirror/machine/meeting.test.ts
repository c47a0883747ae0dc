/** Two sides that look for each other at once, over a network whose delays are drawn; one of them may be a kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { text } from '../../base/index.ts';
import type { DrbdSocket } from '../../wire/index.ts';
import { KernelMeeting } from './kernel-meeting.fixture.ts';
import { type End, Network, type Wire } from './meeting.fixture.ts';
import { type Meeting, type MeetingEvent, startMeeting, stepMeeting } from './meeting.ts';

const ENDED = text('ended', '已结束');
/** Milliseconds. */
const INTERVAL = 10_000;

class Ours implements End {
  readonly #net: Network;
  readonly #who: 0 | 1;
  readonly #start: number;
  #state: Meeting<Wire> = startMeeting();
  #plan = 0;
  failed = false;
  crossings = 0;
  readonly sockets: Partial<Record<DrbdSocket, Wire>> = {};
  constructor(net: Network, who: 0 | 1, start: number) {
    this.#net = net;
    this.#who = who;
    this.#start = start;
  }
  begin(): void {
    this.#feed({ kind: 'seek' });
  }
  hears(w: Wire, what: 'end' | DrbdSocket): void {
    if (what !== 'end' && this.sockets[what] !== undefined) this.crossings++;
    if (what !== 'end') this.#feed({ kind: 'named', socket: what, call: w });
    else {
      w.open[this.#who] = false;
      this.#feed({ kind: 'ended', call: w, because: ENDED });
    }
  }
  #feed(e: MeetingEvent<Wire>): void {
    const next = stepMeeting(this.#who === 0, this.#state, e);
    this.#state = next.state;
    for (const f of next.effects)
      switch (f.kind) {
        case 'dial':
          this.#net.call(this.#who, (call) => this.#feed({ kind: 'connected', socket: f.socket, call }));
          break;
        case 'plan': {
          const mine = ++this.#plan;
          const r = this.#net.chance();
          const times = { start: this.#start, soon: 200 + 200 * r, again: INTERVAL * 0.5, interval: INTERVAL };
          this.#net.at(this.#net.now + times[f.when], () => {
            if (mine === this.#plan) this.#feed({ kind: 'due' });
          });
          break;
        }
        case 'hang-up':
          f.call.close(this.#who);
          break;
        case 'take':
          this.sockets[f.socket] = f.call;
          if (f.opened === 'here') f.call.send(this.#who, f.socket);
          else if (f.socket === 'data' && this.sockets.meta === undefined) this.#feed({ kind: 'open', socket: 'meta' });
          break;
        case 'over':
          this.failed = true;
          break;
        case 'hold':
          break;
      }
  }
}

/** Both have the same two calls, and neither end of them is closed. */
function met(net: Network): boolean {
  const [a, b] = net.ends;
  return (['data', 'meta'] as const).every((one) => {
    const [x, y] = [a.sockets[one], b.sockets[one]];
    return x !== undefined && x === y && x.open[0] && x.open[1];
  });
}
const draws = fc.array(fc.nat(1000), { minLength: 20, maxLength: 60 });
/** When both sides begin, in milliseconds of difference; most of them so close that calls cross. */
const starts = fc.tuple(fc.nat(300), fc.oneof(fc.nat(20), fc.nat(300)));

test('two sides that call each other at once have both sockets at the first try, whatever the delays', () => {
  let crossings = 0;
  fc.assert(
    fc.property(draws, starts, (d, [a, more]) => {
      const net = new Network(d, (n) => [new Ours(n, 0, a), new Ours(n, 1, a + more)]);
      for (const e of net.ends) e.begin();
      net.run(a + more + 1500);
      if (net.ends.some((e) => e.crossings > 0)) crossings++;
      assert.deepEqual([met(net), net.ends.map((e) => e.failed)], [true, [false, false]]);
    }),
    { numRuns: 3000 },
  );
  assert.ok(crossings > 300, `${crossings} crossings`);
});
for (const kernel of [0, 1] as const)
  test(`with a kernel that has the ${kernel === 0 ? 'lower' : 'higher'} address too, whichever way its coin falls`, () => {
    let crossings = 0;
    fc.assert(
      fc.property(draws, starts, (d, [a, more]) => {
        const net = new Network(d, (n) => {
          const theirs = new KernelMeeting(n, kernel, a, INTERVAL);
          const ours = new Ours(n, (1 - kernel) as 0 | 1, a + more);
          return kernel === 0 ? [theirs, ours] : [ours, theirs];
        });
        for (const e of net.ends) e.begin();
        net.run(a + more + 1500);
        if (net.ends.some((e) => e.crossings > 0)) crossings++;
        assert.deepEqual([met(net), net.ends.map((e) => e.failed)], [true, [false, false]]);
      }),
      { numRuns: 3000 },
    );
    assert.ok(crossings > 300, `${crossings} crossings`);
  });
test('two kernels that call each other at once throw both calls away: that is what is modelled here', () => {
  let failed = 0;
  for (let i = 0; i < 40; i++) {
    const net = new Network([i, 500, (i * 37) % 1000], (n) => [
      new KernelMeeting(n, 0, 0, INTERVAL),
      new KernelMeeting(n, 1, 0, INTERVAL),
    ]);
    for (const e of net.ends) e.begin();
    net.run(1500);
    if (!met(net)) failed++;
  }
  assert.ok(failed > 10, `${failed} of 40`);
});

test('who is not looking for a peer takes no call; who has one and is called again has lost it', () => {
  const idle = stepMeeting<number>(true, startMeeting(), { kind: 'named', socket: 'data', call: 1 });
  assert.deepEqual(idle.effects, [{ kind: 'hang-up', call: 1 }]);
  let s = startMeeting<number>('seeking');
  for (const e of [
    { kind: 'named', socket: 'data', call: 1 },
    { kind: 'connected', socket: 'meta', call: 2 },
    { kind: 'agreed' },
  ] as const)
    s = stepMeeting(true, s, e).state;
  const again = stepMeeting(true, s, { kind: 'named', socket: 'data', call: 3 });
  assert.deepEqual(
    again.effects.map((f) => f.kind),
    ['hang-up', 'over'],
  );
});
test('while both look for each other, a second call of the peer takes the place of the first', () => {
  const one = stepMeeting<number>(true, startMeeting('seeking'), { kind: 'named', socket: 'data', call: 1 });
  const two = stepMeeting(true, one.state, { kind: 'named', socket: 'data', call: 2 });
  assert.deepEqual(two.effects, [
    { kind: 'hang-up', call: 1 },
    { kind: 'take', socket: 'data', call: 2, opened: 'there' },
  ]);
  assert.deepEqual(stepMeeting(true, two.state, { kind: 'ended', call: 1, because: ENDED }).effects, []);
});
