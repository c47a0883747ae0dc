import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seconds, text } from '../../base/index.ts';
import { initialKeeper, type KeeperEvent, type KeeperState, keeperDeadline, stepKeeper } from './keeper.ts';

const options = { name: text('the director', '调度进程'), respawn: true, childWait: seconds(5) };
const exit: KeeperEvent = { kind: 'exit', how: text('was killed', '被终止') };
const work: KeeperEvent = { kind: 'configuration', work: true };
function play(
  events: readonly (readonly [number, KeeperEvent])[],
  o = options,
): { did: string[][]; state: KeeperState } {
  let state = initialKeeper;
  const did = events.map(([at, e]) => {
    const next = stepKeeper(o, state, e, seconds(at));
    state = next.state;
    return next.effects.map((x) => x.do);
  });
  return { did, state };
}

test('without work no process is started, and one that runs is told when its work has gone', () => {
  assert.deepEqual(play([[0, { kind: 'configuration', work: false }]]).did, [[]]);
  assert.deepEqual(
    play([
      [0, work],
      [1, { kind: 'configuration', work: false }],
    ]).did,
    [['start', 'configure'], ['configure']],
  );
});
test('the first death costs no time, then 1, 2, 4 s; a quiet minute begins anew', () => {
  const { did, state } = play([
    [0, work],
    [1, exit],
    [2, exit],
    [3, { kind: 'tick' }],
    [4, exit],
  ]);
  assert.deepEqual(did, [
    ['start', 'configure'],
    ['log', 'start', 'configure'],
    ['log'],
    ['start', 'configure'],
    ['log'],
  ]);
  assert.equal(keeperDeadline(state), seconds(6));
  assert.deepEqual(
    play([
      [0, work],
      [1, exit],
      [62, exit],
    ]).did[2],
    ['log', 'start', 'configure'],
  );
});
const stop: KeeperEvent = { kind: 'stop', keep: false };
test('a stop is waited for, and the end is told once', () => {
  const { did } = play([
    [0, work],
    [1, stop],
    [2, stop],
    [3, { kind: 'released' }],
    [3.1, exit],
  ]);
  assert.deepEqual(did, [['start', 'configure'], ['stop'], [], [], ['stopped']]);
  assert.deepEqual(play([[0, stop]]).did, [['stopped']]);
});
test('one that is ended before it has taken its services down is followed by one that sweeps, and both are told of', () => {
  const { did } = play([
    [0, work],
    [1, stop],
    [6, { kind: 'tick' }],
    [6.1, exit],
    [7, { kind: 'in-force' }],
    [7.1, { kind: 'released' }],
    [7.2, exit],
  ]);
  assert.deepEqual(did, [
    ['start', 'configure'],
    ['stop'],
    ['kill'],
    ['log', 'start', 'sweep'],
    ['stop'],
    [],
    ['log', 'stopped'],
  ]);
});
test('where that one does not come so far either, what is left in the kernel is told of; it is tried once', () => {
  const { did } = play([
    [0, work],
    [1, stop],
    [2, exit],
    [11, { kind: 'tick' }],
    [12, { kind: 'tick' }],
    [12.1, exit],
  ]);
  assert.deepEqual(did.slice(2), [['log', 'start', 'sweep'], [], ['kill'], ['log', 'left', 'stopped']]);
});
test('at a stop what a dead director left is swept, unless it is to stay', () => {
  const dead = [
    [0, work],
    [1, exit],
    [2, exit],
  ] as const;
  assert.deepEqual(play([...dead, [2.5, stop]]).did[3], ['start', 'sweep']);
  assert.deepEqual(play([...dead, [2.5, { kind: 'stop', keep: true }]]).did[3], ['stopped']);
  const kept = play([
    [0, work],
    [1, { kind: 'stop', keep: true }],
    [2, exit],
  ]);
  assert.deepEqual(kept.did[2], ['stopped']);
});
test('one that is silent for 30 s is ended and followed by another; a supervisor that slept itself hears first', () => {
  const { did, state } = play([
    [0, work],
    [20, { kind: 'heard' }],
    [49, { kind: 'tick' }],
    [50.5, { kind: 'tick' }],
    [50.6, exit],
  ]);
  assert.deepEqual(did.slice(1), [[], [], ['log', 'kill'], ['log', 'start', 'configure']]);
  assert.equal(state.kept.is, 'running');
  assert.deepEqual(
    play([
      [0, work],
      [300, { kind: 'tick' }],
    ]).did[1],
    [],
  );
});
test('without respawn its death ends the daemon', () => {
  const { did } = play(
    [
      [0, work],
      [1, exit],
    ],
    { ...options, respawn: false },
  );
  assert.deepEqual(did[1], ['log', 'give-up']);
  const { did: then } = play(
    [
      [0, work],
      [1, exit],
      [90, { kind: 'tick' }],
      [91, stop],
    ],
    { ...options, respawn: false },
  );
  assert.deepEqual(then.slice(2), [[], ['start', 'sweep']], 'no other one but to sweep');
});
test('whatever happens, a stop is always followed by stopped when exits and time go on', () => {
  const event = fc.constantFrom<KeeperEvent>(work, { kind: 'configuration', work: false }, exit, { kind: 'tick' });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), (events) => {
      let state = initialKeeper;
      let at = 0;
      const seen: string[] = [];
      const feed = (e: KeeperEvent): void => {
        at += 2;
        const next = stepKeeper(options, state, e, seconds(at));
        state = next.state;
        seen.push(...next.effects.map((x) => x.do));
      };
      events.forEach(feed);
      feed(stop);
      for (let i = 0; i < 10; i++) feed({ kind: 'tick' });
      feed(exit);
      feed(exit);
      assert.equal(seen.filter((x) => x === 'stopped').length, 1);
      assert.equal(state.kept.is, 'none');
    }),
  );
});
