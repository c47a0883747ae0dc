import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seconds, text } from '../../base/index.ts';
import {
  initialSupervisor,
  type SupervisorEvent,
  type SupervisorState,
  stepSupervisor,
  supervisorDeadline,
} from './machine.ts';

const options = { respawn: true, childWait: seconds(5) };
const exit: SupervisorEvent = { kind: 'beat-exit', how: text('was killed', '被终止'), orderly: false };
/** Feeds events at given seconds and returns the effects' names of each step. */
function play(
  events: readonly (readonly [number, SupervisorEvent])[],
  o = options,
): { did: string[][]; state: SupervisorState } {
  let state = initialSupervisor;
  const did = events.map(([at, e]) => {
    const next = stepSupervisor(o, state, e, seconds(at));
    state = next.state;
    return next.effects.map((x) => (x.do === 'log' ? x.code : x.do));
  });
  return { did, state };
}
const up: readonly (readonly [number, SupervisorEvent])[] = [
  [0, { kind: 'start' }],
  [0.1, { kind: 'read', outcome: 'good', work: true }],
  [0.2, { kind: 'prepared' }],
  [0.3, { kind: 'beat-in-force' }],
];

test('the beat loads while the file is read, is configured after the startup script, and then the start is announced', () => {
  assert.deepEqual(play(up).did, [['start-beat', 'read'], ['prepare'], ['configure-beat'], ['announce-ready']]);
});
test('a refused file at start ends everything with the code of a wrong configuration', () => {
  const { did, state } = play([
    [0, { kind: 'start' }],
    [1, { kind: 'read', outcome: 'refused', code: 2 }],
    [1.1, { ...exit, orderly: true }],
  ]);
  assert.deepEqual(did, [['start-beat', 'read'], ['stop-beat'], ['end']]);
  assert.equal(state.exitCode, 2);
});
test('a configuration without virtual routers runs without a beat process', () => {
  const { did, state } = play([
    [0, { kind: 'start' }],
    [1, { kind: 'read', outcome: 'good', work: false }],
    [1, { kind: 'prepared' }],
    [1.1, exit],
  ]);
  assert.deepEqual(did.slice(1), [['kill-beat', 'prepare'], ['announce-ready'], []]);
  assert.equal(state.beat.is, 'none');
});
test('a beat that dies has its will executed at once, is replaced at once, and later with growing delays', () => {
  const { did, state } = play([...up, [10, exit], [11, { kind: 'beat-in-force' }], [12, exit]]);
  assert.deepEqual(did.slice(4), [
    ['execute-will', 'beat.died', 'start-beat', 'configure-beat'],
    [],
    ['execute-will', 'beat.died', 'beat.backoff'],
  ]);
  assert.equal(supervisorDeadline(state), seconds(13));
  const after = stepSupervisor(options, state, { kind: 'tick' }, seconds(13));
  assert.deepEqual(
    after.effects.map((e) => e.do),
    ['start-beat', 'configure-beat'],
  );
  const quiet = stepSupervisor(options, after.state, exit, seconds(13 + 60));
  assert.equal(quiet.state.deaths, 1, 'a beat that lived a minute is no crash loop');
});
test('with -R a death ends the daemon', () => {
  assert.deepEqual(play([...up, [10, exit]], { ...options, respawn: false }).did.at(-1), [
    'execute-will',
    'beat.died',
    'end',
  ]);
});
test('a bad reload changes nothing and says so; a good one configures; one asked for meanwhile follows', () => {
  const { did } = play([
    ...up,
    [5, { kind: 'reload' }],
    [5.1, { kind: 'reload' }],
    [6, { kind: 'read', outcome: 'good', work: true }],
    [7, { kind: 'read', outcome: 'refused', code: 2 }],
  ]);
  assert.deepEqual(did.slice(4), [['read'], [], ['configure-beat', 'read'], ['config.refused']]);
});
test('a stop waits for the beat, kills it when it does not end, and then executes its will', () => {
  const { did, state } = play([
    ...up,
    [5, { kind: 'stop' }],
    [9, { kind: 'tick' }],
    [10, { kind: 'tick' }],
    [10.1, exit],
  ]);
  assert.deepEqual(did.slice(4), [['stop-beat'], [], ['kill-beat'], ['execute-will', 'end']]);
  assert.equal(state.exitCode, 0);
});
test('from any history a stop leads to exactly one end, and no beat is started after it', () => {
  const event: fc.Arbitrary<SupervisorEvent> = fc.oneof(
    fc.constantFrom<SupervisorEvent>(
      { kind: 'read', outcome: 'good', work: true },
      { kind: 'read', outcome: 'good', work: false },
      { kind: 'read', outcome: 'refused', code: 2 },
      { kind: 'prepared' },
      { kind: 'beat-in-force' },
      { kind: 'reload' },
      { kind: 'tick' },
      exit,
    ),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 25 }), fc.array(event, { maxLength: 10 }), (before, after) => {
      const events = [{ kind: 'start' } as const, ...before, { kind: 'stop' } as const, ...after];
      const stopAt = before.length + 1;
      const end = [{ kind: 'tick' } as const, exit];
      const { did } = play([...events, ...end].map((e, i) => [i * 10, e] as const));
      assert.equal(did.flat().filter((d) => d === 'end').length, 1);
      assert.ok(!did.slice(stopAt).flat().includes('start-beat'));
    }),
  );
});

test('a beat that dies during the start does not keep whoever waits for the start waiting', () => {
  const { did } = play([
    ...up.slice(0, 3),
    [0.25, exit],
    [0.3, { kind: 'beat-in-force' }],
    [0.4, { kind: 'beat-in-force' }],
  ]);
  assert.deepEqual(did.slice(4), [['announce-ready'], []]);
});
test('SIGHUP during the start is not lost, and configures nothing before the startup script has ended', () => {
  const { did } = play([
    ...up.slice(0, 1),
    [0.05, { kind: 'reload' }],
    ...up.slice(1, 2),
    [0.15, { kind: 'reload' }],
    ...up.slice(2),
  ]);
  assert.deepEqual(did, [['start-beat', 'read'], [], ['prepare'], [], ['configure-beat', 'read'], ['announce-ready']]);
});
test('SIGHUP while a file is read that turns out bad: the corrected file is read', () => {
  const { did } = play([
    ...up,
    [1, { kind: 'reload' }],
    [1.1, { kind: 'reload' }],
    [1.2, { kind: 'read', outcome: 'refused', code: 2 }],
    [1.3, { kind: 'read', outcome: 'good', work: true }],
  ]);
  assert.deepEqual(did.slice(4), [['read'], [], ['config.refused', 'read'], ['configure-beat']]);
});
