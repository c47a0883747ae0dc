/** The user's seed.conf as it is: a director, its two real servers by DR, the sorry page, and a director process that dies. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, Lab, now, type Program } from '../../src/lab/index.ts';
import { skip as cannot, director, document } from './directors.ts';

const root = resolve(import.meta.dirname, '../..');
const seed = join(process.env['HOLDFAST_CORPUS'] ?? join(root, '../shared/corpus'), 'keepalived/seed.conf');
const skip = cannot || (existsSync(seed) ? false : 'no corpus');
const VIP = '192.168.1.99';

const host = (last: number) => ({ links: { ens33: { to: 'lan', addresses: [`192.168.1.${last}/24`] } } });
const real = (last: number) => ({
  ...host(last),
  sysctls: { 'net.ipv4.conf.all.arp_ignore': '1', 'net.ipv4.conf.all.arp_announce': '2' },
});
const web = (name: string): string[] => [
  process.execPath,
  '-e',
  `require('http').createServer((q,r)=>r.end('${name}')).listen(80,()=>console.log('listening'))`,
];
/** A new connection every 20 ms; one line for each answer. */
const client = `
const http=require('http');
const go=()=>{const q=http.get({host:'${VIP}',path:'/index.html',agent:false,timeout:20000},r=>{let b='';r.on('data',d=>b+=d);r.on('end',()=>console.log(b))});
q.on('timeout',()=>q.destroy(new Error('silence')));q.on('error',e=>console.log('ERR '+(e.code||e.message)))};
setInterval(go,20)`;

async function until(what: string, so: () => boolean | Promise<boolean>, limitMs: number): Promise<void> {
  for (const end = performance.now() + limitMs; !(await so()); await sleep(50))
    assert.ok(performance.now() < end, `waited ${limitMs} ms in vain: ${what}`);
}
/** What the client was answered since a moment of the monotonic clock. */
const answers = (p: Program, since: number): string[] => p.lines.filter((l) => l.at >= since).map((l) => l.text);
/** Whether everything in a window of 600 ms was answered by exactly these. */
async function served(p: Program, by: readonly string[]): Promise<boolean> {
  const from = now();
  await sleep(600);
  const got = new Set(answers(p, from));
  return got.size === by.length && by.every((x) => got.has(x));
}
async function start(h: Host, argv: readonly string[]): Promise<Program> {
  const p = h.spawn(argv);
  await until(`${h.name} listens`, () => p.lines.some((l) => l.text === 'listening'), 60_000);
  return p;
}

for (const asked of ['auto', 'nft'] as const)
  test(`seed.conf with --lb-plane=${asked}: both servers serve by DR, a dead director process breaks nothing, a dead server leaves, the sorry page stands in`, {
    skip,
  }, async (t) => {
    await using lab = await Lab.start({
      switches: ['lan'],
      hosts: {
        d: { ...host(5), files: { '/etc/k.conf': readFileSync(seed, 'utf8') } },
        s1: real(11),
        s2: real(12),
        client: host(20),
      },
    });
    const [d, s1, s2] = [lab.host('d'), lab.host('s1'), lab.host('s2')];
    for (const s of [s1, s2]) assert.equal((await s.run(['ip', 'addr', 'add', `${VIP}/32`, 'dev', 'lo'])).code, 0);
    const web1 = await start(s1, web('s1'));
    const web2 = await start(s2, web('s2'));
    await start(d, web('sorry'));
    const daemon = d.spawn(director(asked));
    const said = (): string => daemon.lines.map((l) => l.text).join('\n');
    await until(
      'the service is carried',
      async () => (await document(d))?.services[0]?.plane !== undefined,
      60_000,
    ).catch((e) => {
      throw new Error(`${e.message}\n${said()}`);
    });
    const plane = (await document(d))?.services[0]?.plane;
    t.diagnostic(`carried by ${plane}: ${(await document(d))?.services[0]?.planeBecause.en}`);
    assert.notEqual(plane, 'proxy', 'the proxy is never chosen silently');
    const visitor = lab.host('client').spawn([process.execPath, '-e', client]);
    await until('both serve', () => served(visitor, ['s1', 's2']), 60_000).catch((e) => {
      throw new Error(`${e.message}\n${said()}\n${visitor.lines.slice(-5).map((l) => l.text)}`);
    });

    assert.match((await d.run(['nft', 'list', 'tables'])).stdout, /holdfast-guard/);

    const pid = d.read('/run/a_checkers.pid')?.trim() as string;
    const killed = now();
    assert.equal((await d.run(['kill', '-9', pid])).code, 0);
    await until(
      'another director process',
      async () => {
        const there = d.read('/run/a_checkers.pid')?.trim();
        return there !== pid && (await document(d)) !== undefined;
      },
      60_000,
    );
    const meanwhile = (): string[] => answers(visitor, killed);
    // A hash chooses: 40 choose one alone once in 5 x 10^11 times.
    await until('more than 40 answers', () => meanwhile().length > 40, 60_000);
    assert.deepEqual(
      meanwhile().filter((x) => x !== 's1' && x !== 's2'),
      [],
      'an answer was missing while no director process ran',
    );
    assert.deepEqual([...new Set(meanwhile())].sort(), ['s1', 's2']);
    assert.match((await d.run(['ip', '-o', 'addr'])).stdout, /192\.168\.1\.99/);

    await web1.kill();
    await until('the first server is out', () => served(visitor, ['s2']), 60_000);
    await web2.kill();
    await until('the sorry page', () => served(visitor, ['sorry']), 60_000);
    await start(s1, web('s1'));
    await until('the first server is back', () => served(visitor, ['s1']), 60_000);

    await daemon.kill();
    await daemon.exited;
    assert.doesNotMatch((await d.run(['ip', '-o', 'addr'])).stdout, /192\.168\.1\.99/);
    assert.doesNotMatch(
      (await d.run(['nft', 'list', 'tables'])).stdout,
      /holdfast/,
      'nothing of ours is left in the kernel',
    );
  });
