import assert from 'node:assert/strict';
import { test } from 'node:test';
import { err, type Microseconds, ok, seconds, text, us } from '../../base/index.ts';
import type { Exit, Host } from '../../host/index.ts';
import type { TrackProcess, TrackScript } from '../config.ts';
import { startTrackers, type TrackConfig, type TrackReport } from './driver.ts';

/** A host whose time, files, processes and programs the test moves by hand. */
function world(o: { readonly connector?: boolean } = {}) {
  let now = 0;
  let timers: { due: number; run: () => void }[] = [];
  const files = new Map<string, string>();
  const watched = new Map<string, () => void>();
  const processes: { pid: number; name: string; argv: string[] }[] = [];
  let tell: (c: { kind: 'started' | 'ended' | 'changed'; pid: number } | { kind: 'lost' }) => void = () => {};
  const runs: { argv: readonly string[]; exit: (e: Exit) => void; signals: string[] }[] = [];
  const reports: TrackReport[] = [];
  const codes: string[] = [];
  const host = {
    clock: {
      now: () => us(now),
      wall: () => 0,
      at: (due: Microseconds, run: () => void) => {
        const t = { due, run };
        timers.push(t);
        return () => {
          timers = timers.filter((x) => x !== t);
        };
      },
    },
    log: { write: (e: { code: string }) => void codes.push(e.code) },
    files: {
      read: (path: string) => (files.has(path) ? new TextEncoder().encode(files.get(path)) : undefined),
      write: (path: string, bytes: Uint8Array) => {
        files.set(path, new TextDecoder().decode(bytes));
        return ok(undefined);
      },
      watch: (path: string, changed: () => void) => {
        watched.set(path, changed);
        return ok(() => void watched.delete(path));
      },
    },
    processes: {
      list: (only?: number) => processes.filter((p) => only === undefined || p.pid === only),
      watch: (changed: typeof tell) => {
        if (o.connector === false) return err({ code: 'EPERM', doing: text('follow', '跟踪') });
        tell = changed;
        return ok(() => {});
      },
    },
  } as unknown as Host;
  return {
    host,
    files,
    watched,
    processes,
    runs,
    reports,
    codes,
    tell: (c: Parameters<typeof tell>[0]) => tell(c),
    start: (config: Partial<TrackConfig>) =>
      startTrackers(
        { scripts: [], processes: [], files: [], ...config },
        {
          host,
          run: (s, exit) => {
            const run = { argv: s.argv, exit, signals: [] as string[] };
            runs.push(run);
            return { pid: 1, signal: (name) => void run.signals.push(name) };
          },
          report: (r) => void reports.push(r),
        },
      ),
    go: (to: number) => {
      for (;;) {
        const next = timers.filter((t) => t.due <= seconds(to)).sort((a, b) => a.due - b.due)[0];
        if (!next) break;
        timers = timers.filter((t) => t !== next);
        now = Math.max(now, next.due);
        next.run();
      }
      now = seconds(to);
    },
  };
}
const weight = { value: 0, reverse: false };
const script: TrackScript = {
  name: 's',
  script: { argv: ['/c'] },
  interval: seconds(1),
  timeout: seconds(1),
  weight,
  rise: 1,
  fall: 1,
  initFail: false,
};
const nginx: TrackProcess = {
  name: 'p',
  process: 'nginx',
  parameters: [],
  parameterMatch: 'exact',
  fullCommand: false,
  weight,
  quorum: 1,
  quorumMax: undefined,
  forkDelay: us(0),
  terminateDelay: us(0),
};

test('a script runs at once and each interval, and only changes of its verdict are reported', () => {
  const w = world();
  const trackers = w.start({ scripts: [script] });
  for (const [i, code] of [0, 0, 3, 3, 0].entries()) {
    w.go(i);
    w.runs.at(-1)?.exit({ code });
  }
  assert.equal(w.runs.length, 5);
  assert.deepEqual(
    w.reports.map((r) => r.kind === 'script' && r.good),
    [true, false, true],
  );
  assert.match(w.reports[1]?.because.en ?? '', /status 3/);
  assert.deepEqual(trackers.status(), [{ kind: 'script', name: 's', state: 'good' }]);
});
test('a script that hangs is ended, and closing ends what runs', () => {
  const w = world();
  const trackers = w.start({ scripts: [script] });
  w.go(3.5);
  assert.deepEqual(
    w.runs.map((r) => r.signals),
    [['SIGTERM', 'SIGKILL']],
  );
  assert.equal(w.codes.filter((c) => c === 'track.script-overrun').length, 3);
  w.runs[0]?.exit({ signal: 'SIGKILL' });
  w.go(4);
  trackers.close();
  assert.deepEqual(w.runs[1]?.signals, ['SIGTERM']);
  w.go(6);
  assert.deepEqual(w.runs[1]?.signals, ['SIGTERM', 'SIGKILL'], 'one that does not listen does not stay for ever');
});
test('a reload lets trackers of the same name go on, and drops the others', () => {
  const w = world();
  const trackers = w.start({ scripts: [script, { ...script, name: 'gone' }] });
  for (const r of w.runs) r.exit({ code: 0 });
  trackers.reload({ scripts: [{ ...script, fall: 5 }], processes: [], files: [] });
  assert.deepEqual(trackers.status(), [{ kind: 'script', name: 's', state: 'good' }]);
  w.go(1);
  w.runs.at(-1)?.exit({ code: 1 });
  assert.deepEqual(trackers.status()[0]?.state, 'good', 'the new fall counts');
});
test('processes are followed by what the kernel tells, and read again when it lost something', () => {
  const w = world();
  w.start({ processes: [nginx] });
  const last = (): unknown => w.reports.at(-1)?.kind === 'process' && (w.reports.at(-1) as { good: boolean }).good;
  assert.equal(last(), false);
  w.processes.push({ pid: 7, name: 'nginx', argv: ['nginx'] });
  w.tell({ kind: 'started', pid: 7 });
  assert.equal(last(), true);
  w.processes.pop();
  w.tell({ kind: 'ended', pid: 7 });
  assert.equal(last(), false);
  w.processes.push({ pid: 8, name: 'sh', argv: ['sh'] });
  w.tell({ kind: 'started', pid: 8 });
  w.processes[0] = { pid: 8, name: 'nginx', argv: ['nginx'] };
  w.tell({ kind: 'changed', pid: 8 });
  assert.equal(last(), true, 'it became nginx by exec');
  w.processes.pop();
  w.tell({ kind: 'lost' });
  assert.equal(last(), false);
});
test('where the kernel does not tell, processes are looked at once a second', () => {
  const w = world({ connector: false });
  w.start({ processes: [nginx] });
  w.processes.push({ pid: 7, name: 'nginx', argv: ['nginx'] });
  w.go(0.9);
  assert.equal(w.reports.length, 1);
  w.go(1);
  assert.equal(w.reports.length, 2);
  assert.deepEqual(w.codes, ['track.process-poll']);
});
test('a file is created with its first value unless it exists, and each change of its number is reported', () => {
  const w = world();
  w.files.set('/old', '9\n');
  const init = { value: 4, overwrite: false };
  w.start({
    files: [
      { name: 'new', file: '/new', weight, init },
      { name: 'old', file: '/old', weight, init },
      { name: 'over', file: '/old', weight, init: { value: 5, overwrite: true } },
    ],
  });
  assert.deepEqual(
    w.reports.map((r) => r.kind === 'file' && [r.name, r.value]),
    [
      ['new', 4],
      ['old', 9],
      ['over', 5],
    ],
  );
  w.files.set('/new', '4 the same number\n');
  w.watched.get('/new')?.();
  w.files.set('/new', '-7');
  w.watched.get('/new')?.();
  w.files.delete('/new');
  w.watched.get('/new')?.();
  assert.deepEqual(
    w.reports.slice(3).map((r) => r.kind === 'file' && r.value),
    [-7, 0],
  );
});
