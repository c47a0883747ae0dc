/** `holdfast ldirectord FILE` in a network namespace of its own, by the proxy plane. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { test } from 'node:test';
import type { LbDocument } from '../../src/api/index.ts';
import { Bench, exitOf, until, whyNot } from './bench.ts';

const skip = whyNot();
const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
const [VIP, A, B] = ['192.168.1.5', '127.0.0.11', '127.0.0.12'];

const file = (servers: readonly string[]): string => `
checktimeout = 20
checkinterval = 1
autoreload = yes
virtual = ${VIP}:80
${servers.map((s) => `\treal = ${s}:8080 masq`).join('\n')}
\tservice = http
\trequest = "index.html"
\treceive = "hello"
\tscheduler = rr
\tprotocol = tcp
`;
const serve = (b: Bench, address: string): void => {
  const answer = `(q,r)=>r.end('hello from ${address}')`;
  b.start([process.execPath, '-e', `require('http').createServer(${answer}).listen(8080,'${address}')`]);
};
const documentOf = (b: Bench): LbDocument | undefined => {
  const { status, output } = b.command('lb', 'status', '--json', '-p', b.pidFile);
  return status === 0 || status === 8 ? (JSON.parse(output) as LbDocument) : undefined;
};
const states = (b: Bench): (string | undefined)[] =>
  documentOf(b)?.services[0]?.servers.map((x) => `${x.key} ${x.state}`) ?? [];

test('the file is run: its servers are checked, a change of it is read by itself, and -t tells all errors', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  serve(b, A);
  const path = b.write('ldirectord.cf', file([A, B]));
  const options = ['-n', '-l', '--lang=en', '-p', b.pidFile, '--lb-plane=proxy'];
  const { child, lines } = b.start([holdfast, 'ldirectord', path, ...options]);
  await until('one is up, one is down', () => states(b).join() === `${A}:8080 up,${B}:8080 down`);
  serve(b, B);
  await until('the other comes', () => states(b).join() === `${A}:8080 up,${B}:8080 up`);
  assert.equal(documentOf(b)?.services[0]?.key, `tcp ${VIP}:80`);

  b.write('ldirectord.cf', file([A]));
  await until('the change is read', () => states(b).join() === `${A}:8080 up`);
  b.write('ldirectord.cf', `${file([A])}\tshceduler = rr\n\treal = 300.1.1.1:80 masq\n`);
  await until('the wrong file is told', () => lines.some((l) => l.text.includes("did you mean 'scheduler'")));
  assert.deepEqual(states(b), [`${A}:8080 up`], 'and changes nothing');
  const checked = b.command('ldirectord', path, '-t', '--lang=en');
  assert.equal(checked.status, 2);
  assert.match(checked.output, /ldirectord\.cf:\d+:\d+: error:.*'shceduler'[\s\S]*'300\.1\.1\.1'/);
  b.write('ldirectord.cf', file([A]));
  assert.deepEqual(b.command('ldirectord', path, '-t'), { status: 0, output: '' });
  assert.equal(b.command('ldirectord', '-t').status, 2, 'the file has to be named');
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
});

test('names are those of the system, and what is unknown is an error with its place', { skip }, (t) => {
  const b = new Bench(t);
  const named = b.write('a.cf', file(['localhost']));
  assert.equal(b.command('ldirectord', named, '-t').status, 0);
  assert.match(execFileSync('getent', ['ahostsv4', 'localhost'], { encoding: 'utf8' }), /^127\./);
  const unknown = b.command('ldirectord', b.write('b.cf', file(['no-such-host.invalid'])), '-t', '--lang=en');
  assert.match(unknown.output, /b\.cf:\d+:\d+: error: 'no-such-host\.invalid' is no address/);
});
