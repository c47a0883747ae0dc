import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import type { LbDocument, LbServer, LbService } from '../../api/index.ts';
import { text } from '../../base/index.ts';
import { parseProblem } from '../parse-error.ts';
import { parseDuration, readLbArguments } from './arguments.ts';
import { connectionsLeft } from './change.ts';
import { renderFindings } from './check.ts';
import { lbHelp } from './index.ts';
import { ipvsTable } from './ipvsadm.ts';
import { metrics } from './metrics.ts';
import { findServer, findService } from './names.ts';
import { ratesOf } from './rates.ts';
import { lbTroubles, renderConns, renderLb, renderTop } from './render.ts';
import { parsePlace, serveMetrics } from './serve.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const counters = {
  connections: 120,
  packetsIn: 1000,
  bytesIn: 2e8,
  packetsOut: 0,
  bytesOut: 0,
  active: 3,
  inactive: 1,
};
const server = (last: number, more: Partial<LbServer> = {}): LbServer => ({
  key: `192.168.1.${last}:80`,
  address: `192.168.1.${last}`,
  port: 80,
  forwarding: 'direct-routing',
  role: 'real',
  state: 'up',
  since: NOW - 60_000,
  because: text('http answered 200', 'http 返回 200'),
  weight: 1,
  planeWeight: 1,
  drained: undefined,
  checks: [
    {
      name: `http 192.168.1.${last}:80`,
      verdict: 'up',
      since: NOW,
      unasked: false,
      reason: undefined,
      latencyMs: 1.5,
      lastAt: NOW,
    },
  ],
  counters,
  ...more,
});
const service = (servers: readonly LbServer[], more: Partial<LbService> = {}): LbService => ({
  key: 'tcp 192.168.1.99:80',
  matches: [{ by: 'address', protocol: 'tcp', from: '192.168.1.99', to: '192.168.1.99', port: 80 }],
  scheduler: 'wrr',
  flags: [],
  onePacket: false,
  persistence: undefined,
  plane: 'nft',
  planeBecause: text('the best', '最佳'),
  refused: undefined,
  quorum: { up: true, since: NOW, sum: 2, quorum: 1, hysteresis: 0 },
  sorryServes: false,
  suspended: false,
  servers,
  ...more,
});
const document = (services: readonly LbService[], at = NOW): LbDocument => ({
  schema: 1,
  pid: 7,
  at,
  planes: ['nft', 'proxy'],
  services,
  peer: undefined,
  sync: [],
});
const sorry = server(13, {
  key: '127.0.0.1:80',
  address: '127.0.0.1',
  role: 'sorry',
  state: 'standby',
  planeWeight: undefined,
  checks: [],
  counters: undefined,
});
const good = document([service([server(11), server(12), sorry])]);

test('a host that hears late of connections needs somebody, and is told why', () => {
  const peer = {
    address: '192.168.1.2',
    port: 1,
    state: 'heard',
    heardAt: NOW,
    own: 3,
    acknowledged: 3,
    held: 0,
    leftOut: 0,
    refused: 0,
    late: { en: 'it is late', zh: '迟了' },
  } as const;
  assert.match(renderLb({ ...good, peer }, 'en'), /^director: degraded\n(.|\n)*Needs you \(1\)\n 1\. it is late\n$/);
  assert.match(renderLb({ ...good, peer }, 'zh'), / 1\. 迟了\n$/);
  assert.match(renderLb({ ...good, peer: { ...peer, late: undefined } }, 'en'), /Nothing needs you/);
});

test('a healthy director needs nobody, in both languages', () => {
  assert.equal(
    renderLb(good, 'en'),
    `director: healthy

tcp 192.168.1.99:80  wrr  by nft (the best), weight 2, quorum 1
 SERVER                MODE  STATE      SINCE  WEIGHT  ACTIVE  TOTAL  BECAUSE
 192.168.1.11:80       DR    ✓ up       60 s   1       3       120    http answered 200
 192.168.1.12:80       DR    ✓ up       60 s   1       3       120    http answered 200
 127.0.0.1:80 (sorry)  DR    - standby  60 s   - (1)   -       -      http answered 200

Nothing needs you.
`,
  );
  assert.match(renderLb(good, 'zh'), /调度器：正常[\s\S]*无需处理。\n$/);
});
test('checks that this host cannot make need somebody, in one line for each service', () => {
  const unasked = [11, 12].map((n) => {
    const x = server(n);
    return { ...x, checks: x.checks.map((k) => ({ ...k, unasked: true, reason: text('no files', '无文件') })) };
  });
  assert.deepEqual(lbTroubles(document([service(unasked)])), [
    text(
      'tcp 192.168.1.99:80: this host cannot make 2 of its checks: no files',
      'tcp 192.168.1.99:80：本机无法进行其中 2 项检查：无文件',
    ),
  ]);
});
test('dead servers, a lost quorum, a service without a plane and a refusing kernel need somebody; a drain does not', () => {
  const bad = document([
    service([server(11, { state: 'down' }), server(12, { state: 'refused' })], {
      quorum: { up: false, since: NOW, sum: 0, quorum: 1, hysteresis: 0 },
      refused: text('EPERM', 'EPERM'),
    }),
    service([server(13, { drained: { since: NOW, until: undefined } })], {
      key: 'tcp 192.168.1.98:80',
      plane: undefined,
    }),
  ]);
  assert.deepEqual(
    lbTroubles(bad).map((t) => t.en),
    [
      'tcp 192.168.1.99:80: EPERM',
      'tcp 192.168.1.99:80 has lost its quorum: weight 0 of 1',
      'tcp 192.168.1.99:80: 192.168.1.11:80 is down: http answered 200',
      'tcp 192.168.1.99:80: 192.168.1.12:80 is refused: http answered 200',
      'tcp 192.168.1.98:80 is carried by no plane: the best',
    ],
  );
  assert.match(renderLb(bad, 'en'), /~ drained/);
});
test('a service and a server are found by key, without the protocol, or by address; what is ambiguous is refused with the choices', () => {
  const d = document([
    service([server(11)]),
    service([], { key: 'udp 192.168.1.99:53' }),
    service([], { key: 'fwmark 3 ipv4' }),
  ]);
  for (const word of ['tcp 192.168.1.99:80', 'tcp/192.168.1.99:80', '192.168.1.99:80']) {
    const found = findService(d, word);
    assert.ok(found.ok && found.value.key === 'tcp 192.168.1.99:80', word);
  }
  assert.ok(findService(d, 'fwmark=3').ok);
  const both = findService(d, '192.168.1.99');
  assert.match(both.ok ? '' : both.error.en, /any of: tcp .*, udp /);
  const none = findService(d, '10.0.0.1:80');
  assert.match(none.ok ? '' : none.error.en, /there are: tcp/);
  const [first] = d.services;
  assert.ok(first && findServer(first, '192.168.1.11').ok && !findServer(first, '192.168.1.1').ok);
});
test('rates are differences by time, and a counter that went back begins anew', () => {
  const more = (n: number): LbDocument =>
    document([service([server(11, { counters: { ...counters, connections: n, bytesIn: n * 1000 } })])], NOW + 2000);
  const before = document([service([server(11)])]);
  const rate = (after: LbDocument): number | undefined =>
    ratesOf(before, after).get('tcp 192.168.1.99:80')?.get('192.168.1.11:80')?.connections;
  assert.deepEqual([rate(more(320)), rate(more(10))], [100, 5]);
  assert.match(renderTop(more(320), ratesOf(before, more(320)), 'en'), /CONN\/S[\s\S]* 100 /);
});
test('the tables of ipvsadm list what is in the plane, with the words of the kernel', () => {
  assert.equal(
    ipvsTable(good, 'list'),
    `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.168.1.99:80 wrr
  -> 192.168.1.11:80              Route   1      3          1         
  -> 192.168.1.12:80              Route   1      3          1         
`,
  );
  assert.match(ipvsTable(good, 'stats'), /^TCP {2}192\.168\.1\.99:80 +240 +2000 +0 +400000K +0$/m);
});
test('metrics: every family has its help and type once, labels are escaped, and what is not there is left out', () => {
  const out = metrics(document([service([server(11), sorry], { key: 'tcp "a\\b"\n:80' })]));
  assert.match(
    out,
    /^holdfast_lb_server_weight\{service="tcp \\"a\\\\b\\"\\n:80",server="192\.168\.1\.11:80",role="real"\} 1$/m,
  );
  assert.doesNotMatch(out, /holdfast_lb_server_weight\{[^}]*sorry/);
  const types = out.match(/^# TYPE \S+/gm) ?? [];
  assert.equal(new Set(types).size, types.length);
  for (const line of out.trimEnd().split('\n'))
    assert.match(line, /^(# (HELP|TYPE) \S+ .+|[a-z_]+(\{.*\})? -?[\d.e+]+)$/);
});
test('metrics are served on a unix socket or loopback, and nowhere else', () => {
  assert.deepEqual(parsePlace('unix:/run/m.sock'), { path: '/run/m.sock' });
  assert.deepEqual(parsePlace('[::1]:9650'), { host: '::1', port: 9650 });
  assert.deepEqual(parsePlace('127.0.0.1:9650'), { host: '127.0.0.1', port: 9650 });
  for (const word of ['0.0.0.0:9650', '192.168.1.1:80', '127.0.0.1', '127.0.0.1:99999', 'unix:'])
    assert.equal(parsePlace(word), undefined, word);
});
test('times have their unit', () => {
  assert.deepEqual(['500ms', '30s', '5m', '1.5h', '30', 's', '-1s'].map(parseDuration), [
    500,
    30_000,
    300_000,
    5_400_000,
    undefined,
    undefined,
    undefined,
  ]);
});
test('findings show cause and way out; help names every verb', () => {
  const found = [
    { severity: 'error', code: 'vip-missing', server: 's', text: text('cause', '原因'), hint: text('cure', '办法') },
  ] as const;
  assert.equal(renderFindings(found, 'en'), '✗ s: cause [vip-missing]\n    cure\n');
  assert.match(lbHelp('zh'), /用法[\s\S]*drain[\s\S]*ipvsadm/);
  assert.match(renderConns(good.services, 'en'), /192\.168\.1\.12:80 +3 +1 +120/);
});

const problem = (argv: readonly string[], takes: readonly string[] = ['for', 'json', 'interval']): string => {
  const a = readLbArguments(argv, takes);
  return a.ok ? '' : `${a.error.en} / ${a.error.zh}`;
};
test('wrong words are told in both languages: unknown options, missing values, options of other verbs, times of nothing', () => {
  assert.equal(problem(['--frob']), 'there is no option --frob / 没有选项 --frob');
  assert.equal(problem(['a', '-1']), 'there is no option -1 / 没有选项 -1');
  assert.equal(problem(['--for']), '--for needs a value / --for 需要参数值');
  assert.equal(problem(['--json=yes']), '--json takes no value / --json 不带参数值');
  assert.equal(problem(['--force']), '--force means nothing here / --force 在此没有意义');
  for (const none of ['0s', '0', '-5s', '5']) assert.match(problem([`--interval=${none}`]), /is not a time/);
  assert.equal(problem(['x', '--json', '--for', '5m', '--lang', 'zh', '-p', '/x']), '');
  assert.deepEqual(parseProblem(new Error('else')), text('else', 'else'));
});
test('what a plane cannot count is not taken for nothing left', () => {
  const left = (x: Partial<LbServer>, s: Partial<LbService> = {}): number | undefined =>
    connectionsLeft({ service: service([], s), server: server(11, x) });
  assert.equal(left({}), 4);
  assert.equal(left({ counters: undefined }), undefined);
  assert.equal(left({ counters: undefined, planeWeight: undefined }), 0);
  assert.equal(left({ counters: undefined }, { plane: undefined }), 0);
});
test('a socket that a killed listener left behind is taken over; a file, or one that answers, is not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hf-metrics-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'm.sock');
  const die = `require('net').createServer().listen(${JSON.stringify(path)},()=>process.kill(process.pid,'SIGKILL'))`;
  assert.throws(() => execFileSync(process.execPath, ['-e', die]));
  assert.ok(existsSync(path));
  const argv = ['--socket', join(folder, 'none.sock')];
  const a = readLbArguments(argv, []);
  assert.ok(a.ok);
  const main = resolve(import.meta.dirname, '../main.ts');
  const child = spawn(process.execPath, [main, 'lb', 'metrics', '--serve', `unix:${path}`, ...argv]);
  t.after(() => child.kill('SIGKILL'));
  const answer = await new Promise<string>((done) => {
    const ask = (): void => {
      const socket = connect(path, () => socket.end('GET /metrics HTTP/1.0\r\n\r\n'));
      socket.on('data', (b) => done(String(b)));
      socket.on('error', () => setTimeout(ask, 20));
    };
    ask();
  });
  assert.match(answer, /^HTTP\/1\.1 503 [\s\S]*nothing runs here/);
  const second = await serveMetrics(`unix:${path}`, a.value, metrics);
  assert.equal(second.ok, false);
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  const third = await serveMetrics(`unix:${file}`, a.value, metrics);
  assert.ok(!third.ok && existsSync(file));
});
