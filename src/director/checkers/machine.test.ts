import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Microseconds, seconds, us, verbatim } from '../../base/index.ts';
import {
  type CheckerEffect,
  type CheckerEvent,
  type CheckerState,
  checkerDeadline,
  type Schedule,
  startChecker,
  stepChecker,
} from './machine.ts';

const S = 1_000_000;
const schedule = (o: Partial<Schedule> = {}): Schedule => ({
  interval: seconds(10),
  retry: 3,
  retryDelay: seconds(2),
  warmup: seconds(10),
  steps: 1,
  stepsAtOnce: 'never',
  startToStart: false,
  slowWhileDown: false,
  ...o,
});
const outcome = (passed: boolean) => ({ passed, code: passed ? 'ok' : 'bad', reason: verbatim('x'), latency: us(5) });

/** A checker in the hands of a test: time goes forward only by it. */
class Bench {
  state: CheckerState;
  now: Microseconds = us(1000 * S);
  readonly schedule: Schedule;
  constructor(s: Schedule, up = true, chance = 0) {
    this.schedule = s;
    this.state = startChecker(s, up, chance, this.now);
  }
  feed(e: CheckerEvent): readonly CheckerEffect[] {
    const { state, effects } = stepChecker(this.schedule, this.state, e, this.now);
    this.state = state;
    return effects;
  }
  /** To the next attempt: how long that was, and which step it is of. */
  attempt(): { readonly waited: number; readonly step: number } {
    const due = checkerDeadline(this.state) as Microseconds;
    const waited = due - this.now;
    this.now = due;
    const [effect] = this.feed({ kind: 'tick' });
    assert.ok(effect?.do === 'attempt');
    return { waited: waited / S, step: effect.step };
  }
  /** The end of the attempt, `took` seconds after its start. */
  finish(passed: boolean, took = 0): { readonly up: boolean; readonly turned: boolean } {
    this.now = us(this.now + took * S);
    const [effect] = this.feed({ kind: 'finished', outcome: outcome(passed) });
    assert.ok(effect?.do === 'result');
    return { up: effect.up, turned: effect.turned };
  }
}

test('what this host was late is made up for, by half an interval at most, and a failure is tried again no sooner', () => {
  const b = new Bench(schedule());
  const lateBy = (s: number): void => {
    b.now = us((checkerDeadline(b.state) as Microseconds) + s * S);
    b.feed({ kind: 'tick' });
  };
  lateBy(3);
  b.finish(true, 1);
  assert.equal(b.attempt().waited, 7);
  b.finish(true, 1);
  lateBy(8);
  b.finish(true, 1);
  assert.equal(b.attempt().waited, 5);
  b.finish(true, 1);
  lateBy(4);
  b.finish(false, 1);
  assert.equal(b.attempt().waited, 2);
});

test('the first attempt comes 1 s after the start plus its share of the warm-up', () => {
  for (const [chance, wait] of [
    [0, 1],
    [0.5, 6],
    [0.999999, 10.99999],
  ] as const)
    assert.equal(new Bench(schedule(), true, chance).attempt().waited, wait);
  assert.equal(new Bench(schedule({ warmup: us(0) }), true, 0.7).attempt().waited, 1);
});

test('the interval counts from the end of one attempt to the start of the next; for scripts from start to start', () => {
  const b = new Bench(schedule());
  b.attempt();
  b.finish(true, 3);
  assert.equal(b.attempt().waited, 10);
  const script = new Bench(schedule({ startToStart: true }));
  script.attempt();
  script.finish(true, 3);
  assert.equal(script.attempt().waited, 7);
  script.finish(true, 14);
  assert.equal(script.attempt().waited, 0, 'one that outlasts its interval is followed at once');
});

test('while up, retry + 1 failures in a row bring it down, retryDelay apart', () => {
  const b = new Bench(schedule());
  b.attempt();
  b.finish(true);
  b.attempt();
  const waits: number[] = [];
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(b.finish(false, 1), { up: true, turned: false });
    waits.push(b.attempt().waited);
  }
  assert.deepEqual(waits, [2, 2, 2]);
  assert.deepEqual(b.finish(false, 1), { up: false, turned: true });
  assert.equal(b.attempt().waited, 10);
});

test('a success in between starts the count of failures anew', () => {
  const b = new Bench(schedule({ retry: 1 }));
  for (const passed of [true, false, true, false, true, false]) {
    b.attempt();
    assert.equal(b.finish(passed).up, true);
  }
});

test('the seed configuration: a refused port is down about 7 s after its death, a silent host about 19 s', () => {
  for (const [took, total] of [
    [0, 7],
    [3, 19],
  ] as const) {
    const b = new Bench(schedule({ interval: seconds(1) }));
    b.attempt();
    b.finish(true);
    const died = b.now;
    let up = true;
    while (up) {
      b.attempt();
      up = b.finish(false, took).up;
    }
    assert.equal((b.now - died) / S, total);
  }
});

test('the first failure of a checker that never ran counts at once', () => {
  const b = new Bench(schedule());
  b.attempt();
  assert.deepEqual(b.finish(false), { up: false, turned: true });
});

test('alpha: down until the first success, and failures until then are no news', () => {
  const b = new Bench(schedule(), false);
  b.attempt();
  assert.deepEqual(b.finish(false), { up: false, turned: false });
  b.attempt();
  assert.deepEqual(b.finish(true), { up: true, turned: true });
});

test('several urls: one in each interval; all must pass again before a checker that is down is up', () => {
  const b = new Bench(schedule({ steps: 3, retry: 0 }));
  assert.deepEqual([b.attempt().step, b.finish(true)], [0, { up: true, turned: false }]);
  assert.deepEqual(b.attempt(), { waited: 10, step: 1 });
  assert.deepEqual(b.finish(false), { up: false, turned: true });
  for (const step of [0, 1]) {
    assert.deepEqual(b.attempt(), { waited: 10, step });
    assert.deepEqual(b.finish(true), { up: false, turned: false });
  }
  assert.deepEqual(b.attempt(), { waited: 10, step: 2 });
  assert.deepEqual(b.finish(true), { up: true, turned: true });
});

test('fast recovery: while down the urls follow each other at once, while up they do not', () => {
  const b = new Bench(schedule({ steps: 2, stepsAtOnce: 'recovery' }), false);
  b.attempt();
  b.finish(true);
  assert.equal(b.attempt().waited, 0);
  b.finish(true);
  b.attempt();
  b.finish(true);
  assert.equal(b.attempt().waited, 10);
});

test('a retry is of the url that failed', () => {
  const b = new Bench(schedule({ steps: 2 }));
  b.attempt();
  b.finish(true);
  b.attempt();
  b.finish(false);
  assert.deepEqual(b.attempt(), { waited: 2, step: 1 });
});

test('HTTP while down waits the longer of interval and retry delay', () => {
  const b = new Bench(schedule({ slowWhileDown: true, interval: seconds(1), retryDelay: seconds(3) }), false);
  b.attempt();
  b.finish(false);
  assert.equal(b.attempt().waited, 3);
});

test('suspended: the attempt is abandoned, its result is not heard, the verdict stays; resumed: soon, and spread', () => {
  const b = new Bench(schedule());
  b.attempt();
  assert.deepEqual(b.feed({ kind: 'suspend' }), [{ do: 'abandon' }]);
  assert.deepEqual(b.feed({ kind: 'finished', outcome: outcome(false) }), []);
  assert.equal(checkerDeadline(b.state), undefined);
  assert.equal(b.state.up, true);
  b.feed({ kind: 'resume', chance: 0.25 });
  assert.equal(b.attempt().waited, 2.5);
});

/** What the rules say, told the other way round: from the list of all results. */
function expected(s: Schedule, startUp: boolean, results: readonly boolean[]): boolean[] {
  let up = startUp;
  let row = 0;
  let step = 0;
  return results.map((passed, i) => {
    row = passed ? 0 : row + 1;
    if (passed) {
      step++;
      if (step === s.steps) {
        up = true;
        step = 0;
      }
    } else if (!up || i === 0 || row > s.retry) {
      up = false;
      row = 0;
      step = 0;
    }
    return up;
  });
}

test('after any results the verdict is what the plain rules say', () =>
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 60 }),
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      fc.constantFrom('always', 'recovery', 'never'),
      (results, retry, steps, up, stepsAtOnce) => {
        const s = schedule({ retry, steps, stepsAtOnce });
        const b = new Bench(s, up);
        const seen = results.map((passed) => {
          b.attempt();
          b.finish(passed, 1);
          return b.state.up;
        });
        assert.deepEqual(seen, expected(s, up, results));
      },
    ),
  ));

const event: fc.Arbitrary<CheckerEvent> = fc.oneof(
  fc.constant({ kind: 'tick' } as const),
  fc.boolean().map((passed) => ({ kind: 'finished', outcome: outcome(passed) }) as const),
  fc.constant({ kind: 'suspend' } as const),
  fc.double({ min: 0, max: 0.999, noNaN: true }).map((chance) => ({ kind: 'resume', chance }) as const),
);
test('whatever comes in whatever order: at most one attempt runs, results come only of attempts, and turns alternate', () =>
  fc.assert(
    fc.property(fc.array(fc.tuple(event, fc.integer({ min: 0, max: 30 * S })), { maxLength: 80 }), (events) => {
      const b = new Bench(schedule({ steps: 2 }));
      let runs = false;
      let up = true;
      for (const [e, wait] of events) {
        b.now = us(b.now + wait);
        for (const effect of b.feed(e)) {
          if (effect.do === 'attempt') {
            assert.equal(runs, false);
            runs = true;
          } else {
            assert.equal(runs, true);
            runs = false;
            if (effect.do === 'result') {
              assert.equal(effect.turned, effect.up !== up);
              up = effect.up;
            }
          }
        }
        if (e.kind === 'finished') runs = false;
        assert.equal(b.state.run.is === 'running', runs);
        assert.equal(b.state.up, up);
      }
    }),
  ));
