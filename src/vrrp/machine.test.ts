import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type IpAddress, us } from '../base/index.ts';
import type { Instance } from './config.ts';
import { exampleInstance } from './example.ts';
import { step } from './machine.ts';
import { deadline, initialState, type RouterConfig, type RouterState } from './state.ts';
import { masterDownTime, skewTime } from './timers.ts';
import type { Effect, Event, Fault, Health } from './types.ts';

const S = 1_000_000;
const OWN = '10.0.0.2' as IpAddress;
const LOWER = '10.0.0.1' as IpAddress;
const HIGHER = '10.0.0.3' as IpAddress;
const DOWN: Fault = { kind: 'link-down', interface: 'eth0' };

/** A machine with its clock; `at` moves the time and takes every deadline on the way. */
class Bench {
  readonly config: RouterConfig;
  state: RouterState;
  now = us(0);
  effects: Effect[] = [];

  constructor(changes: Partial<Instance> = {}, o: Partial<RouterConfig> = {}) {
    this.config = { instance: exampleInstance(changes), grouped: false, minimalGarp: false, ...o };
    this.state = initialState(this.config, this.now);
  }
  static started(changes: Partial<Instance> = {}, o: Partial<RouterConfig> = {}): Bench {
    const b = new Bench(changes, o);
    b.feed({ kind: 'start', health: b.health(), as: 'BACKUP', notBefore: b.now });
    return b;
  }
  /** It has been master long enough for the first burst to be over. */
  static master(changes: Partial<Instance> = {}, o: Partial<RouterConfig> = {}): Bench {
    const b = Bench.started(changes, o);
    b.at(deadline(b.state));
    if (b.state.is === 'BACKUP') b.feed({ kind: 'sync', to: 'MASTER', because: { why: 'start' } });
    assert.equal(b.state.is, 'MASTER');
    b.clear();
    return b;
  }
  health(changes: Partial<Health> = {}): Health {
    return { faults: [], waiting: false, priority: this.config.instance.priority, ...changes };
  }
  feed(e: Event): this {
    const s = step(this.config, this.state, e, this.now);
    this.state = s.state;
    this.effects.push(...s.effects);
    return this;
  }
  at(time: number): this {
    while (deadline(this.state) <= time) {
      this.now = deadline(this.state);
      this.feed({ kind: 'tick' });
    }
    this.now = us(time);
    return this;
  }
  advert(priority: number, from: IpAddress = HIGHER, interval = this.config.instance.advertInterval): this {
    return this.feed({ kind: 'advert', from, own: OWN, decidesTies: true, priority, interval, at: this.now });
  }
  clear(): this {
    this.effects = [];
    return this;
  }
  get is(): string {
    return this.state.is;
  }
  get done(): string {
    return this.effects
      .map((e) =>
        e.do === 'advertise'
          ? `advertise ${e.priority}`
          : e.do === 'announce'
            ? `announce ${e.copies} (${e.reason})`
            : e.do === 'transition'
              ? `${e.from} -> ${e.to}`
              : e.do === 'notify'
                ? `notify ${e.word}`
                : e.do,
      )
      .join('; ');
  }
}
const down = (priority: number, version: 2 | 3 = 2, interval = S, adverts = 3): number =>
  masterDownTime(version, priority, us(interval), adverts);

// ------------------------------------------------------------------------------------------ timers

test('skew is (256 - priority) / 256 seconds in version 2 whatever the interval, and scales with it in version 3', () => {
  assert.equal(skewTime(2, 100, us(10 * S)), 609_375);
  assert.equal(skewTime(3, 100, us(10 * S)), 6_093_750);
  assert.equal(skewTime(3, 254, us(100_000)), 781);
});
test('a backup takes over after down_timer_adverts intervals and its skew, and no sooner', () => {
  for (const adverts of [1, 3, 10]) {
    const b = Bench.started({ downTimerAdverts: adverts });
    b.at(down(100, 2, S, adverts) - 1);
    assert.equal(b.state.is, 'BACKUP');
    b.at(down(100, 2, S, adverts));
    assert.equal(b.state.is, 'MASTER');
  }
});
test('version 3 learns the interval of the master', () => {
  const b = Bench.started({ version: 3 });
  b.advert(200, HIGHER, us(4 * S));
  assert.equal(deadline(b.state), down(100, 3, 4 * S));
});
test('version 2 waits for a slower master instead of becoming a second one, and is not hurried by a faster one', () => {
  const b = Bench.started({ version: 2 });
  b.advert(200, HIGHER, us(5 * S));
  assert.equal(deadline(b.state), down(100, 2, 5 * S));
  b.advert(200, HIGHER, us(S / 2));
  assert.equal(deadline(b.state), down(100, 2, S));
});
test('the timer restarts from when the advert reached the kernel, not from when it was read', () => {
  const b = Bench.started();
  b.now = us(2 * S);
  b.feed({
    kind: 'advert',
    from: HIGHER,
    own: OWN,
    decidesTies: true,
    priority: 200,
    interval: us(S),
    at: us(1.5 * S),
  });
  assert.equal(deadline(b.state), 1.5 * S + down(100));
});
test('a priority of 0 leaves the skew only', () => {
  const b = Bench.started();
  b.at(S)
    .advert(200)
    .at(1.5 * S)
    .advert(0);
  assert.equal(deadline(b.state), 1.5 * S + skewTime(2, 100, us(S)));
  b.at(3 * S);
  assert.equal(b.state.because.why, 'resigned');
});
test('a lower priority moves the running timer by the difference of the skews', () => {
  const b = Bench.started();
  b.at(S).feed({ kind: 'health', health: b.health({ priority: 50 }) });
  assert.equal(deadline(b.state), down(50));
  b.feed({ kind: 'health', health: b.health({ priority: 200 }) });
  assert.equal(deadline(b.state), down(200));
});
test('a start-up delay holds the first timer back, also against an advert or a resignation', () => {
  const b = new Bench();
  b.feed({ kind: 'start', health: b.health(), as: 'BACKUP', notBefore: us(10 * S) });
  assert.equal(deadline(b.state), 10 * S + down(100));
  b.at(S).advert(200);
  assert.equal(deadline(b.state), 10 * S + down(100));
  b.advert(0);
  assert.ok(deadline(b.state) >= 10 * S);
});
test('adverts are sent at fixed times: a late turn does not shift the following ones', () => {
  const b = Bench.master();
  const first = deadline(b.state);
  b.now = us(first + 30_000);
  b.feed({ kind: 'tick' });
  assert.equal(deadline(b.state), first + S);
});

// ------------------------------------------------------------------------------------------ states

test('state MASTER without priority 255 starts as BACKUP all the same', () => {
  assert.equal(Bench.started({ wantsMaster: true }).state.is, 'BACKUP');
});
test('taking over: the advert first, then the addresses, then their announcement, then the news', () => {
  const b = Bench.started();
  b.clear().at(down(100));
  assert.equal(b.done, 'advertise 100; hold; announce 5 (master); BACKUP -> MASTER; notify MASTER');
});
test('an owner takes over at once', () => {
  const b = Bench.started({ priority: 255 });
  assert.equal(b.is, 'MASTER');
  assert.equal(b.state.because.why, 'owner');
});
test('an adopted master stays master', () => {
  const b = new Bench();
  b.feed({ kind: 'start', health: b.health(), as: 'MASTER', notBefore: us(10 * S) });
  assert.equal(b.is, 'MASTER');
});
test('the first results of scripts are awaited', () => {
  const b = new Bench();
  b.feed({ kind: 'start', health: b.health({ waiting: true }), as: 'BACKUP', notBefore: us(0) });
  b.at(60 * S);
  assert.equal(b.is, 'INIT');
  b.feed({ kind: 'health', health: b.health() });
  assert.equal(b.is, 'BACKUP');
  assert.equal(deadline(b.state), 60 * S + down(100));
});
test('a backup accepts equal priority: the sitting master stays', () => {
  const b = Bench.started();
  b.at(S).advert(100, LOWER);
  assert.equal(deadline(b.state), S + down(100));
});
test('a backup that preempts ignores a lower master, so its timer runs out', () => {
  const b = Bench.started();
  b.at(S)
    .advert(90)
    .at(2 * S)
    .advert(90);
  assert.equal(deadline(b.state), down(100));
  b.at(down(100));
  assert.equal(b.state.because.why, 'preempts');
});
test('with nopreempt a lower master is accepted', () => {
  const b = Bench.started({ preempt: false });
  b.at(S).advert(90);
  assert.equal(deadline(b.state), S + down(100));
});
test('preempt_delay puts up with a lower master from its first advert on, and a higher one cancels it', () => {
  const b = Bench.started({ preemptDelay: us(10 * S) });
  for (let t = 1; t <= 10; t++) b.at(t * S).advert(90);
  assert.equal(deadline(b.state), 10 * S + down(100));
  b.at(11 * S).advert(90);
  assert.equal(deadline(b.state), 10 * S + down(100), 'the delay is over');

  const c = Bench.started({ preemptDelay: us(10 * S) });
  c.at(S)
    .advert(90)
    .at(2 * S)
    .advert(200)
    .at(11.5 * S - 7 * S)
    .advert(200);
  for (let t = 5; t <= 14; t++) c.at(t * S).advert(90);
  assert.equal(deadline(c.state), 14 * S + down(100), 'it counts anew from second 5');
});
test('a master answers a resignation with an advert at once, and stays', () => {
  const b = Bench.master();
  b.advert(0);
  assert.equal(b.is, 'MASTER');
  assert.match(b.done, /^advertise 100; announce 5 \(rival\); met-rival$/);
});
test('a master gives way to a higher priority, saying so first', () => {
  const b = Bench.master();
  b.advert(101, LOWER);
  assert.equal(b.done, 'advertise 100; release; MASTER -> BACKUP; notify BACKUP');
  assert.equal(b.state.because.why, 'higher-priority');
});
test('without higher_prio_send_advert it goes in silence', () => {
  const b = Bench.master({ higherPrioSendAdvert: false });
  b.advert(101);
  assert.equal(b.done, 'release; MASTER -> BACKUP; notify BACKUP');
});
test('of equal priorities the higher address stays', () => {
  assert.equal(Bench.master().advert(100, HIGHER).is, 'BACKUP');
  const b = Bench.master().advert(100, LOWER);
  assert.equal(b.is, 'MASTER');
  assert.match(b.done, /advertise 100; announce 5 \(rival\)/);
});
test('equal priority from our own address is only warned about', () => {
  const b = Bench.master().advert(100, OWN);
  assert.equal(b.done, 'warn');
  assert.equal(b.is, 'MASTER');
});
test('a master answers a lower one with an advert and its addresses at once, and once more after garp_lower_prio_delay', () => {
  const b = Bench.master();
  const t = b.now;
  b.advert(90);
  assert.equal(b.done, 'advertise 100; announce 5 (rival); met-rival; notify MASTER_RX_LOWER_PRI');
  b.clear().at(t + 5 * S);
  assert.match(b.done, /announce 5 \(rival-again\)/);
});
test('the last advert of whom it has just preempted is answered, but is no news', () => {
  const b = Bench.started();
  b.at(S).advert(90).at(down(100)).clear();
  b.at(down(100) + 200).advert(90);
  assert.equal(b.done, 'advertise 100; announce 5 (rival)');
  b.clear()
    .at(down(100) + 2 * S)
    .clear()
    .advert(90);
  assert.match(b.done, /notify MASTER_RX_LOWER_PRI$/);
});
test('lower_prio_no_advert: the addresses are announced all the same', () => {
  const b = Bench.master({ lowerPrioNoAdvert: true }).advert(90);
  assert.match(b.done, /^announce 5 \(rival\)/);
});
test('nobody can make a master flood: answers keep a gap of an eighth of the interval, and the last word is ours', () => {
  const b = Bench.master();
  const t = b.now;
  for (let i = 0; i < 1000; i++) b.at(t + i * 100).advert(90);
  const answers = b.effects.filter((e) => e.do === 'advertise').length;
  assert.equal(answers, 1);
  b.clear().at(t + S / 8);
  assert.match(b.done, /^advertise 100; announce 5 \(rival\)/);
});
test('a fault resigns first, then gives up everything', () => {
  const b = Bench.master();
  b.feed({ kind: 'health', health: b.health({ faults: [DOWN] }) });
  assert.equal(b.done, 'advertise 0; release; MASTER -> FAULT; notify FAULT');
  assert.deepEqual(b.state.because, { why: 'faults', faults: [DOWN] });
});
test('in FAULT no advert and no time makes a master', () => {
  const b = Bench.started();
  b.feed({ kind: 'health', health: b.health({ faults: [DOWN] }) });
  b.at(60 * S)
    .advert(0)
    .at(120 * S);
  assert.equal(b.is, 'FAULT');
});
test('FAULT ends in BACKUP with a fresh timer', () => {
  const b = Bench.started();
  b.feed({ kind: 'health', health: b.health({ faults: [DOWN] }) }).at(60 * S);
  b.feed({ kind: 'health', health: b.health() });
  assert.equal(b.is, 'BACKUP');
  assert.equal(deadline(b.state), 60 * S + down(100));
  assert.deepEqual(b.state.because, { why: 'recovered', faults: [DOWN] });
});
test('stopping a master resigns, gives up and tells', () => {
  const b = Bench.master().feed({ kind: 'stop', deleted: false });
  assert.equal(b.done, 'advertise 0; release; MASTER -> STOPPED; notify STOP');
  assert.equal(Bench.started().clear().feed({ kind: 'stop', deleted: true }).done, 'BACKUP -> STOPPED; notify DELETED');
});
test('a lost address, route or rule resigns and elects again', () => {
  const b = Bench.master();
  b.feed({ kind: 'object-lost', object: 'x' });
  assert.equal(b.done, 'advertise 0; release; MASTER -> BACKUP; notify BACKUP');
  assert.equal(deadline(b.state), b.now + down(100));
});

// ------------------------------------------------------------------------------------------ two owners

test('of two owners the one with the lower address becomes backup', () => {
  const b = Bench.master({ priority: 255 }).advert(255, HIGHER);
  assert.equal(b.is, 'BACKUP');
  assert.ok(b.effects.some((e) => e.do === 'warn'));
});
test('a copy of an advert that does not decide ties changes nothing between equals', () => {
  for (const from of [LOWER, HIGHER]) {
    const b = Bench.master();
    const before = b.state;
    b.feed({ kind: 'advert', from, own: OWN, decidesTies: false, priority: 100, interval: us(S), at: b.now });
    assert.equal(b.state, before);
    assert.deepEqual(b.effects, []);
  }
});
test('the owner with the higher address lowers itself to 254 when the other one stays, until it is gone', () => {
  const b = Bench.master({ priority: 255 });
  const t = b.now;
  b.advert(255, LOWER);
  b.at(t + S).advert(255, LOWER);
  b.at(t + 3 * S).advert(255, LOWER);
  assert.equal(b.is, 'MASTER', '2 intervals and 1.2 more are not over');
  b.at(t + 3.2 * S).advert(255, LOWER);
  assert.equal(b.is, 'BACKUP');
  assert.equal(b.state.priority, 254);
  b.clear().at(t + 10 * S);
  assert.equal(b.is, 'MASTER');
  assert.match(b.done, /^advertise 255/);
});
test('trackers do not move an owner', () => {
  const b = Bench.started({ priority: 255 });
  assert.equal(b.state.priority, 255);
});

// ------------------------------------------------------------------------------------------ sleep

test('what this process slept is not counted as silence', () => {
  const b = Bench.started();
  b.at(S).advert(200);
  b.now = us(6 * S);
  b.feed({ kind: 'stalled', late: us(4.5 * S) }).feed({ kind: 'tick' });
  assert.equal(b.is, 'BACKUP');
  assert.equal(deadline(b.state), 5.5 * S + down(100));
});
test('a sleep before the last advert changes nothing', () => {
  const b = Bench.started();
  b.at(6 * S - 2 * S).advert(200);
  b.now = us(4 * S);
  const before = deadline(b.state);
  b.feed({ kind: 'stalled', late: us(3 * S) });
  assert.equal(deadline(b.state), before);
});
test('timer_expired_backup: a nopreempt master that slept beyond a takeover steps back; others stay', () => {
  const late = us(3.1 * S);
  assert.equal(
    Bench.master({ preempt: false, timerExpiredBackup: 3 }).feed({ kind: 'stalled', late }).state.is,
    'BACKUP',
  );
  assert.equal(
    Bench.master({ preempt: false, timerExpiredBackup: 3 }).feed({ kind: 'stalled', late: us(2.9 * S) }).state.is,
    'MASTER',
  );
  assert.equal(
    Bench.master({ preempt: true, timerExpiredBackup: 3 }).feed({ kind: 'stalled', late }).state.is,
    'MASTER',
  );
});

// ------------------------------------------------------------------------------------------ announcements

const garp = exampleInstance().garp;
const bursts = (b: Bench, until: number): [number, string][] => {
  const out: [number, string][] = [];
  const t = b.now;
  while (deadline(b.state) <= t + until) {
    b.at(deadline(b.state));
    for (const e of b.effects)
      if (e.do === 'announce') out.push([(b.now - t) / S, `${e.copies} ${e.reason}`]);
      else if (e.do === 'announce-extra') out.push([(b.now - t) / S, 'extra']);
    b.clear();
  }
  return out;
};
test('the second burst comes garp_master_delay after the first; 0 means none', () => {
  assert.deepEqual(bursts(Bench.master(), 20 * S), [[5, '5 master-again']]);
  assert.deepEqual(bursts(Bench.master({ garp: { ...garp, masterDelay: us(0) } }), 20 * S), []);
});
test('refreshes begin after delay and refresh together, with their own number of copies', () => {
  const b = Bench.master({ garp: { ...garp, masterRefresh: us(10 * S), masterRefreshRepeat: 2 } });
  assert.deepEqual(bursts(b, 40 * S), [
    [5, '5 master-again'],
    [15, '2 refresh'],
    [25, '2 refresh'],
    [35, '2 refresh'],
  ]);
});
test('vrrp_min_garp: one frame and no second burst', () => {
  const b = Bench.started({}, { minimalGarp: true });
  b.clear().at(down(100));
  assert.match(b.done, /announce 1 \(master\)/);
  assert.deepEqual(bursts(b.clear(), 20 * S), []);
});
test('garp_extra_if repeats on other interfaces for as long as it is master', () => {
  const b = Bench.master({ garp: { ...garp, masterDelay: us(0), extraInterface: { all: true, every: us(4 * S) } } });
  assert.deepEqual(bursts(b, 9 * S), [
    [4, 'extra'],
    [8, 'extra'],
  ]);
});
test('frames of another machine for our address are answered at once and once more, ever more rarely', () => {
  const b = Bench.master();
  const t = b.now;
  b.feed({ kind: 'rival-announced' });
  assert.equal(b.done, 'announce 5 (rival-frames)');
  b.clear().at(t + S / 8);
  assert.equal(b.done, 'announce 5 (rival-frames)');
  b.clear();
  let answers = 0;
  for (let i = 0; i < 6000; i++) {
    b.at(t + S + i * 10_000)
      .clear()
      .feed({ kind: 'rival-announced' });
    answers += b.effects.filter((e) => e.do === 'announce').length;
  }
  assert.ok(answers < 20, `${answers} answers in a minute of frames`);
});
test('frames of others mean nothing to a backup', () => {
  assert.equal(Bench.started().clear().feed({ kind: 'rival-announced' }).done, '');
});

// ------------------------------------------------------------------------------------------ priorities

test('a change of priority is told only where notify_priority_changes asks for it, with the state in its word', () => {
  const change = (b: Bench): string => b.clear().feed({ kind: 'health', health: b.health({ priority: 90 }) }).done;
  assert.equal(change(Bench.started({ notifyPriorityChanges: true })), 'notify BACKUP_PRIORITY');
  assert.equal(change(Bench.master({ notifyPriorityChanges: true })), 'notify MASTER_PRIORITY');
  assert.equal(change(Bench.master()), '');
});
test('the next advert carries the new priority', () => {
  const b = Bench.master();
  b.feed({ kind: 'health', health: b.health({ priority: 42 }) }).clear();
  b.at(deadline(b.state));
  assert.match(b.done, /^advertise 42/);
});

// ------------------------------------------------------------------------------------------ whatever happens

const anyEvent: fc.Arbitrary<(b: Bench) => void> = fc.oneof(
  fc.record({ p: fc.integer({ min: 0, max: 255 }), from: fc.constantFrom(LOWER, HIGHER, OWN) }).map(
    ({ p, from }) =>
      (b: Bench) =>
        b.advert(p, from),
  ),
  fc.integer({ min: 1, max: 3_000_000 }).map((d) => (b: Bench) => b.at(b.now + d)),
  fc
    .boolean()
    .map((sick) => (b: Bench) => b.feed({ kind: 'health', health: b.health({ faults: sick ? [DOWN] : [] }) })),
  fc
    .integer({ min: 1, max: 254 })
    .map((priority) => (b: Bench) => b.feed({ kind: 'health', health: b.health({ priority }) })),
  fc.constant((b: Bench) => b.feed({ kind: 'rival-announced' })),
  fc.constant((b: Bench) => b.feed({ kind: 'object-lost', object: 'x' })),
  fc.integer({ min: 0, max: 9_000_000 }).map((late) => (b: Bench) => b.feed({ kind: 'stalled', late: us(late) })),
);
test('whatever happens, addresses are held exactly while it is master, and every transition is told with its cause', () =>
  fc.assert(
    fc.property(
      fc.array(anyEvent, { maxLength: 60 }),
      fc.constantFrom(2, 3),
      fc.boolean(),
      (events, version, preempt) => {
        const b = new Bench({ version: version as 2 | 3, preempt });
        b.feed({ kind: 'start', health: b.health(), as: 'BACKUP', notBefore: us(0) });
        for (const run of events) {
          run(b);
          b.at(b.now);
        }
        let held = false;
        let is = 'INIT';
        for (const e of b.effects) {
          if (e.do === 'hold') held = true;
          if (e.do === 'release') held = false;
          if (e.do === 'transition') {
            assert.equal(e.from, is);
            is = e.to;
            assert.equal(held, is === 'MASTER');
          }
        }
        assert.equal(is, b.is);
        assert.ok(deadline(b.state) > b.now, 'nothing that is due was left undone');
      },
    ),
  ));
