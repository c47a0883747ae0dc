/**
 * Runs inside the guest and does what the controller says, over a serial port of its own: one JSON document a line,
 * both ways. `{id, argv}` starts a program, `{id, signal}` and `{id, input}` reach it; `{id, from, data}` is what it
 * prints (base64) and `{id, code, signal}` its end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, read, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FromGuest, ToGuest } from './channel.ts';

const PORTS = '/sys/class/virtio-ports';
const name = readdirSync(PORTS).find((p) => readFileSync(`${PORTS}/${p}/name`, 'utf8').trim() === 'holdfast');
const port = openSync(`/dev/${name}`, 'r+');
const running = new Map<number, ChildProcess>();

function say(m: FromGuest): void {
  const line = Buffer.from(`${JSON.stringify(m)}\n`);
  for (let at = 0; at < line.length; ) at += writeSync(port, line, at);
}

function run(id: number, m: Extract<ToGuest, { argv: unknown }>): void {
  const [program = '', ...rest] = m.argv;
  const child = spawn(program, rest, {
    cwd: m.cwd,
    env: { ...process.env, ...m.env },
    stdio: [m.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  running.set(id, child);
  for (const from of ['stdout', 'stderr'] as const)
    child[from]?.on('data', (b: Buffer) => say({ id, from, data: b.toString('base64') }));
  child.stdin?.on('error', () => {});
  if (m.input !== undefined) child.stdin?.end(m.input);
  child.once('error', (e) => {
    say({ id, from: 'stderr', data: Buffer.from(`${e.message}\n`).toString('base64') });
    say({ id, code: 127, signal: null });
    running.delete(id);
  });
  // Of a daemon that kept the pipes, `close` never comes: what is there shortly after the exit is all.
  child.once('exit', (code, signal) => {
    const closed = new Promise((done) => child.once('close', done));
    void Promise.race([closed, new Promise((done) => setTimeout(done, 300))]).then(() => {
      if (running.delete(id)) say({ id, code, signal });
    });
  });
}

function take(m: ToGuest): void {
  if ('argv' in m) run(m.id, m);
  else if ('signal' in m) {
    const pid = running.get(m.id)?.pid;
    if (pid !== undefined) process.kill(-pid, m.signal);
  } else {
    for (const [path, words] of Object.entries(m.files)) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, words);
    }
    say({ id: m.id, code: 0, signal: null });
  }
}

let rest = '';
const buffer = Buffer.alloc(65536);
function listen(): void {
  read(port, buffer, 0, buffer.length, null, (e, n) => {
    if (e !== null || n === 0) {
      setTimeout(listen, 50); // nobody holds the other end yet
      return;
    }
    const lines = (rest + buffer.toString('latin1', 0, n)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(JSON.parse(Buffer.from(line, 'latin1').toString()) as ToGuest);
    listen();
  });
}
say({ ready: true });
listen();
