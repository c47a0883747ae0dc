import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seconds, us } from '../../../base/index.ts';
import { opening, type Session, type SessionEffect, type SessionEvent, stepSession } from './session.ts';

const IDLE = seconds(10);
function run(events: readonly (readonly [number, SessionEvent])[]): { session: Session; effects: SessionEffect[] } {
  let { session, effects } = opening('a');
  const all = [...effects];
  for (const [at, e] of events) {
    ({ session, effects } = stepSession(IDLE, session, e, us(at)));
    all.push(...effects);
  }
  return { session, effects: all };
}
const open: readonly [number, SessionEvent] = [0, { kind: 'connected' }];

test('a server that does not answer is followed by the next, and the client is cut when nobody is left', () => {
  const { session, effects } = run([
    [1, { kind: 'refused', next: 'b' }],
    [2, { kind: 'refused', next: undefined }],
  ]);
  assert.deepEqual(effects, [
    { do: 'connect', server: 'a' },
    { do: 'connect', server: 'b' },
    { do: 'destroy', side: 'client', how: 'reset' },
  ]);
  assert.deepEqual(session, { is: 'over', because: 'no-server' });
});
test('an end of one direction leaves the other open; the close behind both ends is in good order', () => {
  const half = run([open, [1, { kind: 'ended', side: 'client' }]]);
  assert.equal(half.session.is, 'open');
  const done = run([
    open,
    [1, { kind: 'ended', side: 'client' }],
    [2, { kind: 'ended', side: 'server' }],
    [3, { kind: 'closed', side: 'server' }],
  ]);
  assert.deepEqual(done.session, { is: 'over', because: 'done' });
  assert.deepEqual(done.effects.at(-1), { do: 'destroy', side: 'client', how: 'close' });
});
test('a side that breaks off resets the other', () => {
  const { effects } = run([open, [1, { kind: 'closed', side: 'client' }]]);
  assert.deepEqual(effects.at(-1), { do: 'destroy', side: 'server', how: 'reset' });
});
test('ten quiet seconds end it, and a byte starts them anew', () => {
  const at = (s: number, bytes: number): readonly [number, SessionEvent] => [seconds(s), { kind: 'look', bytes }];
  assert.equal(run([open, at(9, 0), at(9.5, 1), at(19, 1)]).session.is, 'open');
  assert.deepEqual(run([open, at(9, 0), at(10, 0)]).session, { is: 'over', because: 'idle' });
});
test('whatever happens in whatever order, each side is destroyed at most once and nothing follows the end', () => {
  const event = fc.oneof(
    fc.constantFrom<SessionEvent>({ kind: 'connected' }, { kind: 'cut' }, { kind: 'look', bytes: 0 }),
    fc.record({ kind: fc.constant('refused' as const), next: fc.constantFrom('b', undefined) }),
    fc.record({
      kind: fc.constantFrom('ended' as const, 'closed' as const),
      side: fc.constantFrom('client' as const, 'server' as const),
    }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), (events) => {
      const { session, effects } = run(events.map((e, i) => [seconds(i), e] as const));
      for (const side of ['client', 'server'] as const)
        assert.ok(effects.filter((x) => x.do === 'destroy' && x.side === side).length <= 1);
      if (session.is === 'over') assert.deepEqual(stepSession(IDLE, session, { kind: 'cut' }, us(0)).effects, []);
    }),
  );
});
