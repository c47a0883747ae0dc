import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seconds, us } from '../../base/index.ts';
import type { TrackProcess, TrackScript } from '../config.ts';
import { initialDebounce, stepDebounce } from './debounce.ts';
import { trackFileValue } from './file.ts';
import { initialProcess, processMatches, stepProcess } from './process.ts';
import { initialScript, type ScriptEffect, scriptDeadline, stepScript } from './script.ts';

const script: TrackScript = {
  name: 's',
  script: { argv: ['/bin/true'] },
  interval: seconds(1),
  timeout: seconds(1),
  weight: { value: 0, reverse: false },
  rise: 2,
  fall: 3,
  initFail: false,
};
/** Runs the script once a second with the given exit codes and returns the verdict after each. */
function verdicts(c: TrackScript, codes: readonly number[]): string[] {
  let s = initialScript(c, us(0));
  return codes.map((code, i) => {
    s = stepScript(c, s, { kind: 'tick' }, us(i * 1_000_000)).state;
    s = stepScript(c, s, { kind: 'exited', exit: { code } }, us(i * 1_000_000 + 1000)).state;
    return s.verdict;
  });
}

test('the first result of a script decides, then fall failures and rise successes in a row turn it', () => {
  assert.deepEqual(verdicts(script, [0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 0]), [
    ...['good', 'good', 'good', 'good', 'good', 'good', 'bad'],
    ...['bad', 'bad', 'bad', 'good'],
  ]);
  assert.deepEqual(verdicts(script, [1, 0, 0]), ['bad', 'bad', 'good']);
});
test('init_fail starts as bad and needs rise successes', () => {
  assert.equal(initialScript({ ...script, initFail: true }, us(0)).verdict, 'bad');
  assert.deepEqual(verdicts({ ...script, initFail: true }, [0, 0]), ['bad', 'good']);
});
test('a script that outlasts its timeout has failed at once, gets SIGTERM, and SIGKILL two seconds later', () => {
  const c = { ...script, interval: seconds(10), timeout: seconds(3) };
  let s = initialScript(c, us(0));
  const at = (t: number): readonly ScriptEffect[] => {
    const next = stepScript(c, s, { kind: 'tick' }, seconds(t));
    s = next.state;
    return next.effects;
  };
  assert.deepEqual(at(0), [{ do: 'run' }]);
  assert.equal(scriptDeadline(s), seconds(3));
  assert.deepEqual(at(2.9), []);
  assert.deepEqual(at(3), [
    { do: 'signal', signal: 'SIGTERM' },
    { do: 'verdict', good: false, because: { timeout: seconds(3) } },
  ]);
  assert.deepEqual(at(5), [{ do: 'signal', signal: 'SIGKILL' }]);
  assert.deepEqual(at(10), [{ do: 'overrun' }], 'never a second run beside the first');
  const ended = stepScript(c, s, { kind: 'exited', exit: { code: 0 } }, seconds(11));
  assert.deepEqual(ended.effects, [], 'its late success does not count');
  s = ended.state;
  assert.deepEqual(at(20), [{ do: 'run' }]);
});
test('whatever happens, runs never overlap and every tick moves the deadline on', () => {
  const event = fc.record({ exit: fc.boolean(), code: fc.nat(2), wait: fc.integer({ min: 0, max: 3_000_000 }) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let s = initialScript(script, us(0));
      let running = 0;
      let now = 0;
      for (const e of events) {
        now += e.wait;
        const exits = e.exit && running > 0;
        if (exits) running--;
        const next = exits
          ? stepScript(script, s, { kind: 'exited', exit: { code: e.code } }, us(now))
          : stepScript(script, s, { kind: 'tick' }, us(now));
        s = next.state;
        running += next.effects.filter((x) => x.do === 'run').length;
        assert.ok(running <= 1);
        if (!exits) assert.ok(scriptDeadline(s) > now || s.run.is !== 'none');
      }
    }),
  );
});

const proc: TrackProcess = {
  name: 'p',
  process: 'nginx',
  parameters: [],
  parameterMatch: 'exact',
  fullCommand: false,
  weight: { value: 0, reverse: false },
  quorum: 2,
  quorumMax: 3,
  forkDelay: us(0),
  terminateDelay: seconds(1),
};
test('a process counts between quorum and quorum_max, and an end is believed only after terminate_delay', () => {
  let s = initialProcess(proc, new Set([1]));
  assert.equal(s.enough.believed, false);
  const feed = (kind: 'started' | 'ended', pid: number, t: number): boolean => {
    s = stepProcess(proc, s, { kind, pid }, seconds(t));
    return s.enough.believed;
  };
  assert.equal(feed('started', 2, 1), true);
  assert.equal(feed('ended', 2, 2), true);
  assert.equal(s.enough.turnsAt, seconds(3));
  assert.equal(feed('started', 5, 2.5), true, 'it came back in time');
  assert.equal(s.enough.turnsAt, undefined);
  assert.equal(feed('started', 6, 3), true);
  assert.equal(feed('started', 7, 4), false, 'too many, and fork_delay is 0');
  s = stepProcess(proc, s, { kind: 'all', pids: new Set() }, seconds(5));
  assert.equal(s.enough.believed, false);
});
test('a process is matched by its short name, or by its command line in three ways', () => {
  const image = (...argv: string[]): { name: string; argv: string[] } => ({ name: 'nginx', argv });
  assert.ok(processMatches(proc, image('/usr/sbin/nginx', '-g', 'x')));
  assert.ok(processMatches({ ...proc, process: 'abcdefghijklmnopq' }, { name: 'abcdefghijklmno', argv: [] }));
  const full = { ...proc, fullCommand: true, process: '/usr/sbin/nginx', parameters: ['-g', 'da'] };
  assert.ok(!processMatches(full, image('/usr/sbin/nginx', '-g', 'daemon')));
  assert.ok(processMatches(full, image('/usr/sbin/nginx', '-g', 'da')));
  assert.ok(!processMatches(full, image('/usr/sbin/nginx', '-g', 'da', 'x')));
  const initial = { ...full, parameterMatch: 'initial' as const };
  assert.ok(processMatches(initial, image('/usr/sbin/nginx', '-g', 'daemon', 'y')));
  assert.ok(!processMatches(initial, image('/usr/sbin/nginx', '-gx', 'daemon')));
  const partial = { ...full, parameterMatch: 'partial' as const };
  assert.ok(processMatches(partial, image('/usr/sbin/nginx', '-g', 'da', 'z')));
  assert.ok(!processMatches(partial, image('/usr/sbin/nginx', '-g', 'daemon')));
  assert.ok(!processMatches({ ...partial, parameters: [] }, image('/usr/sbin/nginx', '-g')));
});

test('a tracked file is its first number, and anything else is 0', () => {
  const value = (s: string | undefined): number =>
    trackFileValue(s === undefined ? undefined : new TextEncoder().encode(s));
  assert.deepEqual(
    ['3', ' -12 x', '+7\n8', '', 'x1', undefined, '99999999999', '254garbage'].map(value),
    [3, -12, 7, 0, 0, 0, 2147483647, 254],
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (b) => Number.isSafeInteger(trackFileValue(b))));
});
test('a signal is believed only when it has held for its delay', () => {
  const d = { up: seconds(2), down: seconds(1) };
  let s = initialDebounce(true);
  s = stepDebounce(d, s, false, seconds(10));
  assert.deepEqual(s, { believed: true, turnsAt: seconds(11) });
  s = stepDebounce(d, s, true, seconds(10.5));
  assert.deepEqual(s, { believed: true, turnsAt: undefined });
  s = stepDebounce(d, s, false, seconds(12));
  s = stepDebounce(d, s, false, seconds(12.5));
  assert.equal(s.turnsAt, seconds(13), 'a second report does not prolong the delay');
  s = stepDebounce(d, s, false, seconds(13));
  assert.deepEqual(s, { believed: false, turnsAt: undefined });
  assert.equal(stepDebounce({ up: us(0), down: us(0) }, s, true, seconds(14)).believed, true);
});
