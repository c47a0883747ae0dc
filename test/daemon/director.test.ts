/** Virtual servers under `holdfast keepalived`, by the proxy plane, in a network namespace of their own. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LbDocument } from '../../src/api/index.ts';
import { Bench, exitOf, until, whyNot } from './bench.ts';

const skip = whyNot();
const VIP = '192.168.1.99';
const [A, B] = ['192.168.1.11', '192.168.1.12'];

const vrrp = `
global_defs {
  router_id bench
  vrrp_version 3
  script_user root
}
vrrp_instance VI_1 {
  interface ens33
  virtual_router_id 33
  priority 100
  advert_int 0.1
  virtual_ipaddress {
    ${VIP}/24
  }
}
`;
const service = (more = '', servers: readonly string[] = [A, B]): string => `
virtual_server ${VIP} 80 {
  lb_algo rr
  lb_kind NAT
  protocol TCP
  ${more}
${servers.map((s) => `  real_server ${s} 8080 {\n    weight 1\n  }\n`).join('')}}
`;
/** A server that answers each connection with its own name and then waits, on an address of the namespace. */
function serve(b: Bench, address: string): void {
  b.inside('ip', 'addr', 'add', `${address}/32`, 'dev', 'lo');
  b.start([
    process.execPath,
    '-e',
    `require('net').createServer(c=>{c.on('error',()=>{});c.write('${address}\\n');c.on('data',d=>c.write(d))}).listen(8080,'${address}')`,
  ]);
}
/** One connection from within: what came first. */
const once = (b: Bench): string =>
  b
    .inside(
      process.execPath,
      '-e',
      `const c=require('net').connect(80,'${VIP}');c.on('data',d=>{process.stdout.write(d);process.exit()});c.on('error',e=>{console.log(e.code);process.exit()});c.on('end',()=>{console.log('END');process.exit()})`,
    )
    .trim();
const checkersPid = (b: Bench): number => Number(readFileSync(b.pidFile.replace('.pid', '_checkers.pid'), 'utf8'));
const lb = (b: Bench, ...argv: string[]): { status: number; output: string } =>
  b.command('lb', ...argv, '-p', b.pidFile);
const documentOf = (b: Bench): LbDocument => JSON.parse(lb(b, 'status', '--json').output) as LbDocument;

async function pair(b: Bench, conf = vrrp + service()): Promise<ReturnType<Bench['daemon']>> {
  serve(b, A);
  serve(b, B);
  const daemon = b.daemon(b.write('a.conf', conf), '--lb-plane=proxy');
  await until('the address', () => b.holds(VIP));
  await until('the director answers', () => lb(b, 'status').status !== 1 && once(b) === A);
  return daemon;
}

test('a service is carried, its servers take turns, and status, ipvsadm and metrics show it', { skip }, async (t) => {
  const b = new Bench(t);
  const { child } = await pair(b);
  assert.deepEqual([once(b), once(b), once(b)], [B, A, B]);
  const d = documentOf(b);
  const [s] = d.services;
  assert.deepEqual([s?.key, s?.plane, s?.quorum.up, s?.servers.length], [`tcp ${VIP}:80`, 'proxy', true, 2]);
  assert.ok((s?.servers[0]?.counters?.connections ?? 0) >= 2);
  const table = lb(b, 'ipvsadm', '-Ln').output;
  assert.match(table, /^TCP {2}192\.168\.1\.99:80 rr$/m);
  assert.match(table, /^ {2}-> 192\.168\.1\.11:8080 +Masq +1 /m);
  assert.match(
    lb(b, 'metrics').output,
    /^holdfast_lb_server_up\{service="tcp 192\.168\.1\.99:80",server="192\.168\.1\.11:8080",role="real"\} 1$/m,
  );
  assert.equal(b.command('status', '-p', b.pidFile).status, 0);
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
});

test('drain keeps what is there and takes nothing new; undrain, weight and a forced drain do what they say', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  await pair(b);
  assert.equal(lb(b, 'drain', `${VIP}:80`, A).status, 0);
  assert.deepEqual([once(b), once(b), once(b)], [B, B, B]);
  const refused = lb(b, 'drain', `${VIP}:80`, B);
  assert.equal(refused.status, 1);
  assert.match(refused.output, /--force/);
  assert.equal(lb(b, 'undrain', `${VIP}:80`, A).status, 0);
  assert.equal(lb(b, 'weight', `tcp ${VIP}:80`, B, '0').status, 0);
  assert.deepEqual([once(b), once(b)], [A, A]);
  assert.equal(lb(b, 'weight', `tcp ${VIP}:80`, B, '70000').status, 2);
  assert.equal(lb(b, 'weight', `tcp ${VIP}:80`, '192.168.1.13', '1').status, 2);
  assert.equal(lb(b, 'drain', `${VIP}:80`, A, '--wait', '--for', '60s', '--force').status, 0);
});

test('SIGKILL of the director: VRRP does not notice, a new one serves, and what operators asked for still holds', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  const { lines } = await pair(b);
  assert.equal(lb(b, 'drain', `${VIP}:80`, A).status, 0);
  await sleep(400); // the memory has been told
  const monitor = b.start(['ip', 'monitor', 'address']);
  await sleep(200);
  const before = checkersPid(b);
  process.kill(before, 'SIGKILL');
  await until('a new director', () => checkersPid(b) !== before && once(b) === B, 10_000);
  assert.deepEqual([once(b), once(b)], [B, B]);
  assert.ok(lines.some((l) => l.text.includes('director process was ended by SIGKILL')));
  const gone = monitor.lines.filter((l) => l.text.startsWith('Deleted') && l.text.includes(VIP));
  assert.deepEqual(gone, []);
});

test('reload: a service that did not change keeps its connections; one that is new comes, one that is gone is cut', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  await pair(b);
  const open = b.start([
    process.execPath,
    '-e',
    `const c=require('net').connect(80,'${VIP}');c.on('data',d=>console.log(String(d).trim()));c.on('close',()=>console.log('CLOSED'));c.on('error',()=>{});setInterval(()=>c.write('tick'),50)`,
  ]);
  await until('it is connected', () => open.lines.some((l) => l.text === 'tick'));
  const other = service('', [B]).replace(' 80 {', ' 81 {');
  b.write('a.conf', vrrp + service() + other);
  process.kill(b.pid, 'SIGHUP');
  await until('the second service', () => documentOf(b).services.length === 2);
  assert.ok(!open.lines.some((l) => l.text === 'CLOSED'));
  b.write('a.conf', vrrp + other);
  process.kill(b.pid, 'SIGHUP');
  await until('the first is cut', () => open.lines.some((l) => l.text === 'CLOSED'), 5000);
});

test('-P runs no director, -C no VRRP', { skip }, async (t) => {
  const b = new Bench(t);
  const file = b.write('a.conf', vrrp + service());
  const { child } = b.daemon(file, '-P', '--lb-plane=proxy');
  await until('the address', () => b.holds(VIP));
  assert.match(lb(b, 'status').output, /no virtual servers/);
  process.kill(b.pid, 'SIGTERM');
  await exitOf(child);
  serve(b, A);
  b.daemon(file, '-C', '--lb-plane=proxy');
  await until('the director answers', () => lb(b, 'status').output.includes('proxy'));
  assert.equal(b.holds(VIP), false);
});
