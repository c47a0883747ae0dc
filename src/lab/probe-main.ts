/**
 * Runs inside a host: asks a target at a steady rate, every ask by itself, so that a slow one delays none behind it.
 * Arguments: `http URL | tcp ADDRESS PORT | udp ADDRESS PORT`, interval and patience in milliseconds.
 * Prints `ready`, then lines of JSON: { answers: [[askedAt, at, by|null, error|null], ...], late: longest own delay }.
 */
import { createSocket } from 'node:dgram';
import { request } from 'node:http';
import { connect, isIPv6 } from 'node:net';

const argv = process.argv.slice(2);
const kind = argv[0];
const intervalMs = Number(argv.at(-2));
const patienceMs = Number(argv.at(-1));
const FLUSH_MS = 20;

const now = (): number => Number(process.hrtime.bigint() / 1000n);
let answers: [number, number, string | null, string | null][] = [];
let late = 0;
const good = (askedAt: number, by: string): void => {
  answers.push([askedAt, now(), by, null]);
};
const bad = (askedAt: number, error: string): void => {
  answers.push([askedAt, now(), null, error]);
};
const firstLine = (s: string): string => (s.split('\n')[0] ?? '').trim().slice(0, 80);
const reason = (e: unknown): string => (e instanceof Error && 'code' in e ? String(e.code) : String(e));

/** Asks once; exactly one of good and bad follows. */
function http(url: string): () => void {
  return () => {
    const askedAt = now();
    let told = false;
    const once = (tell: () => void): void => {
      if (!told) tell();
      told = true;
    };
    // A connection of its own for each ask: a kept one would hide that the address moved.
    const r = request(url, { agent: false, headers: { connection: 'close' } }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (d: string) => {
        if (body.length < 4096) body += d;
      });
      answer.on('error', (e) => once(() => bad(askedAt, reason(e))));
      answer.on('end', () =>
        once(() =>
          answer.statusCode === 200 ? good(askedAt, firstLine(body)) : bad(askedAt, `HTTP ${answer.statusCode}`),
        ),
      );
    });
    r.on('error', (e) => once(() => bad(askedAt, reason(e))));
    const patience = setTimeout(() => {
      once(() => bad(askedAt, 'timeout'));
      r.destroy();
    }, patienceMs);
    r.on('close', () => clearTimeout(patience));
    r.end();
  };
}

function tcp(host: string, port: number): () => void {
  return () => {
    const askedAt = now();
    let told = false;
    const s = connect({ host, port });
    const end = (tell: () => void): void => {
      if (!told) tell();
      told = true;
      clearTimeout(patience);
      s.destroy();
    };
    const patience = setTimeout(() => end(() => bad(askedAt, 'timeout')), patienceMs);
    s.on('connect', () => end(() => good(askedAt, 'connected')));
    s.on('error', (e) => end(() => bad(askedAt, reason(e))));
  };
}

/** Numbers every question; an answer begins with its question. Not connected: a shared address may answer from another. */
function udp(host: string, port: number): () => void {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const open = new Map<string, number>();
  const nonce = `${process.pid}-${now()}`;
  let number = 0;
  socket.on('message', (m) => {
    const [question = '', by = ''] = m.toString('utf8').split(' ');
    const askedAt = open.get(question);
    if (askedAt === undefined) return;
    open.delete(question);
    good(askedAt, firstLine(by));
  });
  socket.bind();
  setInterval(() => {
    for (const [question, askedAt] of open) {
      if (askedAt > now() - patienceMs * 1000) break; // in order of asking
      open.delete(question);
      bad(askedAt, 'timeout');
    }
  }, FLUSH_MS);
  return () => {
    const question = `${nonce}-${++number}`;
    const askedAt = now();
    open.set(question, askedAt);
    socket.send(`${question} `, port, host, (e) => {
      if (e && open.delete(question)) bad(askedAt, reason(e));
    });
  };
}

const [, where = '', port = ''] = argv;
const asker =
  kind === 'http'
    ? http(where)
    : kind === 'tcp'
      ? tcp(where, Number(port))
      : kind === 'udp'
        ? udp(where, Number(port))
        : undefined;
if (!asker || !(intervalMs > 0) || !(patienceMs > 0)) {
  process.stderr.write('usage: probe-main http URL | tcp ADDRESS PORT | udp ADDRESS PORT, INTERVAL_MS PATIENCE_MS\n');
  process.exit(2);
}

const flush = (): void => {
  if (answers.length === 0) return;
  process.stdout.write(`${JSON.stringify({ answers, late })}\n`);
  answers = [];
};
setInterval(flush, FLUSH_MS);
process.stdout.write('ready\n');

// Against a schedule, not against the last tick: what a busy machine delays does not thin the asks out.
let due = now();
const tick = (): void => {
  const at = now();
  late = Math.max(late, at - due);
  // After a long stall of this process itself, asks are not made up for: they would say nothing about the past.
  if (at - due > 20 * intervalMs * 1000) due = at;
  while (due <= at) {
    asker();
    due += intervalMs * 1000;
  }
  setTimeout(tick, Math.max(0, Math.floor((due - now()) / 1000)));
};
tick();
