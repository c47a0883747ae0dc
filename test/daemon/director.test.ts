/** Virtual servers under `holdfast keepalived`, by the proxy plane, in a network namespace of their own. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LbDocument } from '../../src/api/index.ts';
import { Bench, exitOf, holdfast, until, whyNot } from './bench.ts';

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
/** A server that answers each connection with its own name and then waits, on an address of the namespace. Resolves when it listens. */
async function serve(b: Bench, address: string): Promise<void> {
  b.inside('ip', 'addr', 'add', `${address}/32`, 'dev', 'lo');
  const { lines } = b.start([
    process.execPath,
    '-e',
    `require('net').createServer(c=>{c.on('error',()=>{});c.write('${address}\\n');c.on('data',d=>c.write(d))}).listen(8080,'${address}',()=>console.log('ready'))`,
  ]);
  await until(`the server ${address}`, () => lines.some((l) => l.text === 'ready'));
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
  await Promise.all([serve(b, A), serve(b, B)]);
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
  const monitor = await b.monitor();
  const before = checkersPid(b);
  process.kill(before, 'SIGKILL');
  await until('a new director', () => checkersPid(b) !== before && once(b) === B);
  assert.deepEqual([once(b), once(b)], [B, B]);
  await until('its death is told', () => lines.some((l) => l.text.includes('director process was ended by SIGKILL')));
  const gone = monitor().filter((l) => l.text.startsWith('Deleted') && l.text.includes(VIP));
  assert.deepEqual(gone, []);
});

test('a director that hangs delays neither VRRP nor its status, and orders to it are refused in time', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  await pair(b);
  const monitor = await b.monitor();
  process.kill(checkersPid(b), 'SIGSTOP');
  try {
    const asked = performance.now();
    const answer = lb(b, 'drain', `${VIP}:80`, A);
    assert.equal(answer.status, 1);
    assert.match(answer.output, /does not answer/);
    assert.ok(performance.now() - asked < 20_000);
    const status = b.command('status', '--json', '-p', b.pidFile);
    assert.equal(JSON.parse(status.output).instances[0].state, 'MASTER');
    assert.deepEqual(
      monitor().filter((l) => l.text.startsWith('Deleted') && l.text.includes(VIP)),
      [],
    );
  } finally {
    process.kill(checkersPid(b), 'SIGCONT');
  }
  await until('it answers again', () => lb(b, 'status').status === 0);
  const [a] = documentOf(b).services[0]?.servers ?? [];
  assert.deepEqual([a?.drained, a?.planeWeight], [undefined, 1], 'what was refused is not done after all');
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
  await until('the first is cut', () => open.lines.some((l) => l.text === 'CLOSED'));
});

test('-P runs no director, -C no VRRP', { skip }, async (t) => {
  const b = new Bench(t);
  const file = b.write('a.conf', vrrp + service());
  const { child } = b.daemon(file, '-P', '--lb-plane=proxy');
  await until('the address', () => b.holds(VIP));
  assert.match(lb(b, 'status').output, /no virtual servers/);
  process.kill(b.pid, 'SIGTERM');
  await exitOf(child);
  await serve(b, A);
  b.daemon(file, '-C', '--lb-plane=proxy');
  await until('the director answers', () => lb(b, 'status').output.includes('proxy'));
  assert.equal(b.holds(VIP), false);
});

test('a server that dies leaves within its checks, comes back, and both dead leave the sorry server; FIFO and scripts say so', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  const SORRY = '192.168.1.13';
  await serve(b, SORRY);
  const script = b.write('n.sh', `#!/bin/sh\necho "$*" >> ${b.folder}/told\n`, 0o755);
  const reader = b.write('r.sh', `#!/bin/sh\ncat "$1" >> ${b.folder}/fifo.out\n`, 0o755);
  const check = `TCP_CHECK {\n connect_timeout 20\n retry 0\n }\n notify_up "${script} up"\n notify_down "${script} down"\n`;
  const more = `delay_loop 1\n sorry_server ${SORRY} 8080\n quorum_down "${script} lost"\n quorum_up "${script} gained"`;
  const globals = `script_user root\n lvs_notify_fifo ${b.folder}/fifo\n lvs_notify_fifo_script "${reader}"`;
  const conf = (vrrp + service(more))
    .replace('script_user root', globals)
    .replaceAll('weight 1\n', `weight 1\n ${check}`);
  await pair(b, conf);
  const upOf = (): (string | undefined)[] => documentOf(b).services[0]?.servers.map((x) => x.state) ?? [];
  await until(
    'both are checked',
    () => documentOf(b).services[0]?.servers.every((x) => x.role === 'sorry' || x.checks[0]?.lastAt) ?? false,
  );
  // Nobody listens any more at an address that is gone: the connection is refused or has no route.
  b.inside('ip', 'addr', 'del', `${A}/32`, 'dev', 'lo');
  await until('the first is out', () => upOf()[0] === 'down');
  assert.deepEqual([once(b), once(b)], [B, B]);
  b.inside('ip', 'addr', 'del', `${B}/32`, 'dev', 'lo');
  await until('the sorry server serves', () => once(b) === SORRY);
  assert.match(lb(b, 'status').output, /has lost its quorum/);
  assert.equal(lb(b, 'status').status, 8);
  b.inside('ip', 'addr', 'add', `${A}/32`, 'dev', 'lo');
  await until('the first serves again', () => once(b) === A);
  const [vs, a] = [`[${VIP}]:tcp:80`, `[${A}]:tcp:8080`];
  await until(
    'scripts and FIFO',
    () => b.read('fifo.out').includes(`VS ${vs} UP`) && b.read('told').trim().split('\n').length >= 5,
  );
  assert.deepEqual(b.read('fifo.out').trim().split('\n'), [
    `RS ${a} ${vs} DOWN`,
    `RS [${B}]:tcp:8080 ${vs} DOWN`,
    `VS ${vs} DOWN`,
    `RS ${a} ${vs} UP`,
    `VS ${vs} UP`,
  ]);
  assert.deepEqual(b.read('told').trim().split('\n').sort(), ['down', 'down', 'gained', 'lost', 'up']);
});

test('a daemon that was killed leaves nothing behind a start without virtual servers', { skip }, async (t) => {
  const b = new Bench(t);
  const rules = (): string => b.inside('nft', 'list', 'ruleset');
  const file = b.write('a.conf', vrrp + service());
  const { child } = b.daemon(file, '--lb-plane=nft');
  await until('the kernel has the service', () => rules().includes('holdfast'));
  const orphan = checkersPid(b);
  process.kill(b.pid, 'SIGKILL');
  await exitOf(child);
  // Where nobody waits for orphans it stays as an entry without a command.
  const cmdline = `/proc/${orphan}/cmdline`;
  await until('the director ends by itself', () => !existsSync(cmdline) || readFileSync(cmdline, 'utf8') === '');
  assert.match(rules(), /holdfast/, 'and the kernel goes on');
  assert.match(lb(b, 'status').output, /the director before did not end in order .*may forward on/);
  b.write('a.conf', vrrp);
  const { lines } = b.daemon(file, '--lb-plane=nft');
  await until('it is swept', () => !rules().includes('holdfast'));
  await until('it is told', () =>
    lines.some((l) => l.text.includes('a director before this one did not end in order')),
  );
});

test('a director that is killed while it stops: another one takes its services down, and both are told of', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  const rules = (): string => b.inside('nft', 'list', 'ruleset');
  const conf = `child_wait_time 1\n${vrrp}${service()}`;
  const { child, lines } = b.daemon(b.write('a.conf', conf), '--lb-plane=nft');
  await until('the kernel has the service', () => rules().includes('holdfast'));
  process.kill(checkersPid(b), 'SIGSTOP');
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
  assert.doesNotMatch(rules(), /holdfast/);
  const said = lines.map((l) => l.text).join('\n');
  assert.match(
    said,
    /was ended by SIGKILL before it had taken its services down[\s\S]*what the last one had left in the kernel is removed/,
  );
  assert.doesNotMatch(lb(b, 'status').output, /did not end in order/);
});

test('a second director in a network namespace waits for the end of the first, says so once, and takes over', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  const first = await pair(b);
  const file = b.write('b.conf', vrrp + service());
  const argv = [
    holdfast,
    'keepalived',
    '-n',
    '-l',
    '--lang=en',
    '-p',
    `${b.folder}/b.pid`,
    '-f',
    file,
    '--lb-plane=proxy',
  ];
  const second = b.start([...argv, '-C']);
  const said = () => second.lines.filter((l) => l.text.includes('another director')).map((l) => l.text);
  await until('the second says it', () => said().length > 0);
  assert.match(
    said()[0] as string,
    new RegExp(`another director \\(${checkersPid(b)}\\) runs in this network namespace`),
  );
  await sleep(1500);
  assert.ok([A, B].includes(once(b)), 'the first carries the service');
  assert.equal(said().length, 1);
  first.child.kill('SIGTERM');
  await exitOf(first.child);
  await until('the second carries it', () => b.command('lb', 'status', '-p', `${b.folder}/b.pid`).status === 0);
});
