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
test('a stop is waited for, then forced; the end is told once', () => {
  const { did } = play([
    [0, work],
    [1, { kind: 'stop' }],
    [2, { kind: 'stop' }],
    [6, { kind: 'tick' }],
    [6.1, exit],
  ]);
  assert.deepEqual(did, [['start', 'configure'], ['stop'], [], ['kill'], ['stopped']]);
  assert.deepEqual(play([[0, { kind: 'stop' }]]).did, [['stopped']]);
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
      feed({ kind: 'stop' });
      for (let i = 0; i < 5; i++) feed({ kind: 'tick' });
      feed(exit);
      assert.equal(seen.filter((x) => x === 'stopped').length, 1);
      assert.equal(state.kept.is, 'none');
    }),
  );
});
