/** The runner over ports that a test holds in its hands: time, connections, files and programs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../test/support/wire.ts';
import { ok, seconds, text, us } from '../../base/index.ts';
import type { Exit, HostError, StreamEvents, StreamTarget, TlsSettings } from '../../host/index.ts';
import type { CheckReport, CheckRunner, CheckSpec } from '../check.ts';
import type { Checker } from '../config.ts';
import { startCheckRunner } from './runner.ts';

const S = 1_000_000;
class World {
  now = 0;
  readonly timers: { due: number; run: () => void }[] = [];
  readonly connections: {
    to: StreamTarget;
    tls: TlsSettings | undefined;
    on: StreamEvents;
    sent: string;
    open: boolean;
  }[] = [];
  readonly programs: { argv: readonly string[]; exited: (e: Exit) => void; signals: string[] }[] = [];
  readonly files = new Map<string, string>();
  readonly watches = new Map<string, () => void>();
  readonly reports: CheckReport[] = [];
  readonly logged: string[] = [];
  /** What has come and was not yet read. */
  readonly queued: (() => void)[] = [];
  readonly sessions = new Map<string, (up: boolean) => void>();
  readonly runner: CheckRunner;
  constructor() {
    this.runner = startCheckRunner(
      {
        clock: {
          now: () => us(this.now),
          wall: () => 0 as never,
          at: (due, run) => {
            const t = { due, run };
            this.timers.push(t);
            return () => void (this.timers.includes(t) && this.timers.splice(this.timers.indexOf(t), 1));
          },
        },
        entropy: { u32: () => 0 },
        log: { write: (e) => void this.logged.push(e.text.en) },
        files: {
          read: (path) => {
            const s = this.files.get(path);
            return s === undefined ? undefined : new TextEncoder().encode(s);
          },
          write: () => ok(undefined),
          watch: (path, changed) => {
            this.watches.set(path, changed);
            return ok(() => void this.watches.delete(path));
          },
        },
        streams: {
          connect: (to, tls, on) => {
            const c = { to, tls, on, sent: '', open: true };
            this.connections.push(c);
            return {
              send: (b) => {
                c.sent += Buffer.from(b).toString('latin1');
              },
              close: () => {
                c.open = false;
              },
            };
          },
          http2: () => () => {},
          drain: () => {
            for (const f of this.queued.splice(0)) f();
          },
        },
        run: (s, exited) => {
          const p = { argv: s.argv, exited, signals: [] as string[] };
          this.programs.push(p);
          return { pid: 1, signal: (name) => void p.signals.push(name) };
        },
        bfd: (session, changed) => {
          this.sessions.set(session, changed);
          return () => void this.sessions.delete(session);
        },
      },
      (n) => new Uint8Array(n).fill(7),
      (r) => this.reports.push(r),
    );
  }
  /** All that is due until `seconds` from now. */
  pass(s: number): void {
    const until = this.now + s * S;
    for (;;) {
      const next = this.timers.filter((t) => t.due <= until).sort((a, b) => a.due - b.due)[0];
      if (!next) break;
      this.timers.splice(this.timers.indexOf(next), 1);
      this.now = Math.max(this.now, next.due);
      next.run();
    }
    this.now = until;
  }
  get last(): CheckReport {
    return this.reports.at(-1) as CheckReport;
  }
}
const timing = {
  interval: seconds(10),
  retry: 1,
  retryDelay: seconds(2),
  warmup: us(0),
  alpha: false,
  logAllFailures: true,
};
const connection = { address: ip('192.0.2.1'), port: 80, timeout: seconds(3) };
const tcp: Checker = { kind: 'tcp', timing, connection };
const spec = (checker: Checker, o: Partial<CheckSpec> = {}): CheckSpec => ({
  id: 'a',
  service: 's',
  server: 'x',
  checker,
  initial: 'up',
  suspended: false,
  ...o,
});
const refused: HostError = { code: 'ECONNREFUSED', doing: text('connect', '连接') };

test('a TCP check: connected, refused, silent; each with its reason and latency', () => {
  const w = new World();
  w.runner.set([spec(tcp)], {});
  w.pass(1);
  assert.equal(w.connections[0]?.to.probe, true);
  w.now += 5000;
  w.connections[0]?.on.opened();
  assert.deepEqual([w.last.good, w.last.verdict, w.last.latency, w.last.reason.en], [true, 'up', 5000, 'connected']);
  assert.equal(w.connections[0]?.open, false);
  w.pass(10);
  w.connections[1]?.on.failed(refused);
  assert.deepEqual([w.last.verdict, w.last.failures, w.last.reason.en], ['up', 1, 'connection refused']);
  assert.deepEqual(w.logged, ['a: connection refused (1/2)']);
  w.pass(2 + 3);
  assert.deepEqual([w.last.verdict, w.last.failures, w.last.reason.en], ['down', 2, 'not connected within 3 s']);
  assert.equal(w.last.latency, 3 * S);
});

test('a process that slept takes neither what it did not read nor its own sleep for a silence', () => {
  const w = new World();
  w.runner.set([spec(tcp)], {});
  w.pass(1);
  w.queued.push(() => w.connections[0]?.on.opened());
  w.now += 20 * S;
  w.pass(0);
  assert.deepEqual([w.last.good, w.reports.length], [true, 1], 'it had been connected all the time');
  w.pass(10);
  w.now += 5 * S;
  w.pass(0);
  assert.equal(w.reports.length, 1, 'fired 2 s late: as much is waited again');
  w.pass(1);
  w.connections[1]?.on.opened();
  assert.deepEqual([w.last.good, w.reports.length], [true, 2]);
  w.pass(10);
  w.now += 5 * S;
  w.pass(2);
  assert.deepEqual([w.last.good, w.last.reason.en], [false, 'not connected within 3 s'], 'once, and not for ever');
});

test('a reload leaves an equal checker alone, starts a changed one afresh, and ends one that is gone', () => {
  const w = new World();
  w.runner.set([spec(tcp), spec(tcp, { id: 'b' })], {});
  w.pass(1);
  assert.equal(w.connections.length, 2);
  w.runner.set(
    [spec(structuredClone(tcp)), spec({ ...tcp, connection: { ...connection, port: 81 } }, { id: 'b' })],
    {},
  );
  assert.deepEqual(
    w.connections.map((c) => c.open),
    [true, false],
    'the attempt of the equal one goes on',
  );
  w.connections[0]?.on.opened();
  assert.equal(w.reports.length, 1);
  w.pass(1);
  assert.equal(w.connections[2]?.to.port, 81);
  w.runner.set([], {});
  assert.equal(w.connections[2]?.open, false);
  w.pass(100);
  assert.equal(w.reports.length, 1);
  assert.equal(w.timers.length, 0);
});

test('suspended from the start: no attempt; resumed: soon; suspended again: abandoned', () => {
  const w = new World();
  w.runner.set([spec(tcp, { suspended: true })], {});
  w.pass(100);
  assert.equal(w.connections.length, 0);
  w.runner.set([spec(tcp)], {});
  w.pass(0);
  assert.equal(w.connections.length, 1);
  w.runner.set([spec(tcp, { suspended: true })], {});
  assert.equal(w.connections[0]?.open, false);
  assert.equal(w.reports.length, 0);
});

test('a conversation: what is heard puts off the timeout, but a server that dribbles is not waited for without end', () => {
  const w = new World();
  w.runner.set([spec({ kind: 'smtp', timing, hosts: [connection], helo: 'h' })], {});
  w.pass(1);
  const c = w.connections[0];
  assert.ok(c);
  c.on.opened();
  for (let i = 0; i < 14; i++) {
    w.pass(2.5);
    if (c.open) c.on.received(Buffer.from('220-x\r\n'));
  }
  assert.equal(w.last.reason.en, 'the answer was not complete after 30 s');
  assert.equal(c.open, false);
});

test('a conversation: silence in the middle is a timeout, and the end of the stream an end', () => {
  const w = new World();
  w.runner.set([spec({ kind: 'smtp', timing, hosts: [connection], helo: 'h' })], {});
  w.pass(1);
  w.connections[0]?.on.opened();
  w.connections[0]?.on.received(Buffer.from('220 x\r\n'));
  assert.equal(w.connections[0]?.sent, 'HELO h\r\n');
  w.pass(3);
  assert.equal(w.last.reason.en, 'no answer within 3 s');
  w.pass(10);
  w.connections[1]?.on.opened();
  w.connections[1]?.on.ended();
  assert.match(w.last.reason.en, /closed the connection before its answer was complete/);
});

test('a script: exit status and weight; too long: asked to end, then killed, and no second one beside it', () => {
  const w = new World();
  const misc: Checker = { kind: 'misc', timing, script: { argv: ['/bin/check'] }, timeout: seconds(4), dynamic: true };
  w.runner.set([spec(misc)], {});
  w.pass(1);
  w.programs[0]?.exited({ code: 7 });
  assert.deepEqual([w.last.good, w.last.weight], [true, { kind: 'is', value: 5 }]);
  w.pass(10 + 4);
  assert.deepEqual(w.programs[1]?.signals, ['SIGTERM']);
  assert.equal(w.reports.length, 1, 'it has not ended yet');
  w.pass(2);
  assert.deepEqual(w.programs[1]?.signals, ['SIGTERM', 'SIGKILL']);
  assert.equal(w.last.reason.en, 'it ran longer than 4 s');
  w.programs[1]?.exited({ signal: 'SIGKILL' });
  assert.equal(w.reports.length, 2);
});

test('a file is followed, a BFD session is told of, and neither speaks while suspended', () => {
  const w = new World();
  w.files.set('/w', '3');
  const file: Checker = { kind: 'file', file: 'w', path: '/w', weight: { value: 2, reverse: false } };
  const bfd: Checker = { kind: 'bfd', session: 'n', alpha: true };
  w.runner.set([spec(file), spec(bfd, { id: 'b', initial: 'down', suspended: true })], {});
  assert.equal(w.reports.length, 0, 'never from within set');
  w.pass(0);
  assert.deepEqual([w.last.weight, w.last.latency], [{ kind: 'adds', value: 6 }, undefined]);
  w.files.set('/w', '-70000');
  w.watches.get('/w')?.();
  w.pass(0);
  assert.equal(w.last.verdict, 'down');
  w.sessions.get('n')?.(true);
  w.pass(1);
  assert.equal(w.reports.length, 2);
  w.runner.set([spec(file), spec(bfd, { id: 'b', initial: 'down' })], {});
  w.pass(0);
  assert.deepEqual([w.last.id, w.last.verdict], ['b', 'up']);
});

test('without descriptors on this host no server is judged, no retry is used up, and one line says so', () => {
  const w = new World();
  const misc: Checker = { kind: 'misc', timing, script: { argv: ['/x'] }, timeout: seconds(3), dynamic: false };
  w.runner.set([spec(tcp), spec(tcp, { id: 'b' }), spec(misc, { id: 'c' })], {});
  const none: HostError = { code: 'EMFILE', doing: text('connect', '连接') };
  for (let round = 0; round < 5; round++) {
    w.pass(round === 0 ? 1 : 10);
    for (const c of w.connections.splice(0)) c.on.failed(none);
    for (const p of w.programs.splice(0)) p.exited({ failed: { ...none, code: 'EAGAIN' } });
  }
  assert.equal(w.reports.length, 15);
  for (const r of w.reports) assert.deepEqual([r.verdict, r.good, r.failures], ['up', undefined, 0]);
  assert.deepEqual(w.logged, [
    'this host cannot make checks, and servers stay as they are: a: this process has too many files open',
  ]);
  w.pass(10);
  for (const c of w.connections.splice(0)) c.on.opened();
  w.programs[0]?.exited({ code: 0 });
  assert.equal(w.logged.at(-1), 'this host can make all checks again');
  w.pass(10);
  w.connections[0]?.on.failed(refused);
  assert.deepEqual([w.last.verdict, w.last.failures], ['up', 1], 'the first real failure is still tried again');
});

test('a secret is read from its file for each attempt; without it nothing is judged, and the file is named', () => {
  const w = new World();
  const c: Checker = { kind: 'pop', timing, connection, tls: false, login: 'u', password: { file: '/secret' } };
  w.runner.set([spec(c)], {});
  w.pass(1);
  assert.deepEqual([w.last.reason.en, w.last.good], ['the secret in /secret cannot be read', undefined]);
  assert.equal(w.connections.length, 0);
  w.files.set('/secret', 'hunter2\n');
  w.pass(10);
  const at = w.connections[0];
  at?.on.opened();
  for (const line of ['+OK\r\n', '+OK\r\n', '+OK\r\n']) at?.on.received(Buffer.from(line));
  assert.equal(at?.sent, 'USER u\r\nPASS hunter2\r\nQUIT\r\n');
  assert.ok(!JSON.stringify([w.reports, w.logged]).includes('hunter2'));
});

test('new TLS files make TLS checks start afresh, and no others', () => {
  const w = new World();
  const url = { path: '/', statusCodes: [{ from: 200, to: 200 }], tlsCompliant: false };
  const https: Checker = {
    kind: 'http',
    tls: true,
    timing,
    connection,
    protocol: '1.0',
    urls: [url],
    fastRecovery: false,
  };
  w.files.set('/ca', 'PEM');
  const specs = [spec(https), spec(tcp, { id: 'b' })];
  w.runner.set(specs, { tls: { ca: '/ca' } });
  w.pass(1);
  assert.deepEqual(
    w.connections.map((c) => c.tls?.ca),
    ['PEM', undefined],
  );
  w.runner.set(specs, { tls: { ca: '/other' } });
  assert.deepEqual(
    w.connections.map((c) => c.open),
    [false, true],
  );
  w.pass(1);
  assert.equal(w.last.reason.en, '/other cannot be read');
});

test('every so many connects one whole check', () => {
  const w = new World();
  const full: Checker = { kind: 'smtp', timing, hosts: [connection], helo: 'h' };
  w.runner.set([spec({ kind: 'alternating', timing, connection, connects: 2, full })], {});
  w.pass(1);
  for (let i = 0; i < 6; i++) {
    w.connections.at(-1)?.on.failed(refused);
    w.pass(10);
  }
  assert.deepEqual(
    w.connections.slice(0, 6).map((c) => c.to.probe ?? false),
    [true, true, false, true, true, false],
  );
});
