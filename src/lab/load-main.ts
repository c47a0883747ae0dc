/**
 * Runs inside a host: opens kept-alive HTTP connections and asks on each of them, again a pause after each answer. A
 * connection that ends before it is told to is broken, and no other takes its place.
 * Arguments: address, port, connections, pause in milliseconds.
 * Prints `ready` when every connection had its first answer, then lines of JSON: LoadState.
 */
import { connect, type Socket } from 'node:net';
import type { LoadState } from './load.ts';

const [address = '', port = '', count = '', pause = ''] = process.argv.slice(2);
const [connections, pauseMs] = [Number(count), Number(pause)];
const REPORT_MS = 50;
if (!(connections > 0) || !(pauseMs >= 0) || !(Number(port) > 0)) {
  process.stderr.write('usage: load-main ADDRESS PORT CONNECTIONS PAUSE_MS\n');
  process.exit(2);
}
const now = (): number => Number(process.hrtime.bigint() / 1000n);

type Kept = {
  /** Of the ask that waits for its answer, or that was answered last. */
  askedAt: number;
  /** When the ask was sent that was answered last; 0: none was. */
  provenAt: number;
};
const open = new Map<Socket, Kept>();
const errors: Record<string, number> = {};
let answers = 0;
let longest = 0;
let ready = false;

const ask = (s: Socket, k: Kept): void => {
  k.askedAt = now();
  s.write(`GET / HTTP/1.1\r\nHost: ${address}\r\n\r\n`);
};
/** Length of the first whole answer in what came; undefined while it is not whole. */
function answerLength(come: Buffer): number | undefined {
  const head = come.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const length = /^content-length: *(\d+)/im.exec(come.toString('latin1', 0, head))?.[1];
  const end = head + 4 + Number(length ?? 0);
  return come.length < end ? undefined : end;
}

function start(): void {
  const s = connect({ host: address, port: Number(port), noDelay: true });
  const k: Kept = { askedAt: now(), provenAt: 0 };
  let come: Buffer = Buffer.alloc(0);
  const broken = (why: string): void => {
    if (!open.delete(s)) return;
    errors[why] = (errors[why] ?? 0) + 1;
    s.destroy();
  };
  open.set(s, k);
  s.on('connect', () => ask(s, k));
  s.on('data', (d) => {
    come = Buffer.concat([come, d]);
    const end = answerLength(come);
    if (end === undefined) return;
    come = come.subarray(end);
    k.provenAt = k.askedAt;
    longest = Math.max(longest, now() - k.askedAt);
    answers++;
    setTimeout(() => open.has(s) && ask(s, k), pauseMs);
  });
  s.on('error', (e) => broken('code' in e ? String(e.code) : e.message));
  s.on('close', () => broken('closed'));
}
for (let i = 0; i < connections; i++) start();

setInterval(() => {
  const all = [...open.values()];
  if (!ready && all.every((k) => k.provenAt > 0)) {
    ready = true;
    longest = 0;
    process.stdout.write('ready\n');
  }
  const state: LoadState = {
    open: open.size,
    broken: connections - open.size,
    errors,
    answers,
    longest,
    provenSince: Math.min(now(), ...all.map((k) => k.provenAt)),
  };
  if (ready) process.stdout.write(`${JSON.stringify(state)}\n`);
}, REPORT_MS);
