/** The checkers over Linux's own ports against real servers: nginx, Node's TLS and HTTP/2, the kernel. In a network namespace of its own. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { seconds } from '../../src/base/index.ts';
import type { Checker } from '../../src/director/index.ts';
import { loadAddon } from '../../src/host/linux/index.ts';
import { ownNetwork } from '../../src/host/linux/namespace.fixture.ts';
import { ip } from '../support/wire.ts';
import { at, first, said, timing } from './live.ts';

const loaded = loadAddon();
assert.ok(loaded.ok, 'npm run setup builds the addon');
const addon = loaded.value;
const folder = mkdtempSync(join(tmpdir(), 'holdfast-checkers-'));
chmodSync(folder, 0o755); // nginx's workers are another user
after(() => rmSync(folder, { recursive: true, force: true }));
const ipCommand = (line: string): void => void execFileSync('ip', line.split(' '));

const url = (o: object = {}) => ({ path: '/', statusCodes: [{ from: 200, to: 299 }], tlsCompliant: false, ...o });
const http = (port: number, o: object = {}, u: object = {}): Checker => ({
  kind: 'http',
  tls: false,
  timing,
  connection: at(port),
  protocol: '1.0',
  urls: [url(u)],
  fastRecovery: false,
  ...o,
});

test('checkers against real servers', { concurrency: true }, async (t) => {
  if (!(await ownNetwork(t, addon))) return;
  // Each attempt comes a second after its start: all of them together.
  const tests: Promise<void>[] = [];
  ipCommand('link add left type veth peer name right');
  ipCommand('link set right up');
  ipCommand('addr add 192.0.2.1/24 dev left');
  ipCommand('link set left up');
  // Who is not there is silent for longer than any check here: else the kernel would say after 3 s that there is nobody.
  ipCommand('ntable change name arp_cache dev left retrans 60000');
  ipCommand('rule add fwmark 77 prohibit');
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const openssl = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=www.example';
  execFileSync(
    'openssl',
    [...openssl.split(' '), '-addext', 'subjectAltName=DNS:www.example', '-keyout', key, '-out', cert],
    {
      stdio: 'ignore',
    },
  );
  const page = `<h1>It works</h1>\n${'x'.repeat(100_000)}`;
  writeFileSync(join(folder, 'page.html'), page);
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; pid ${folder}/pid; error_log /dev/null; events {}
http { access_log off; client_body_temp_path ${folder}/1; proxy_temp_path ${folder}/2; fastcgi_temp_path ${folder}/3;
 uwsgi_temp_path ${folder}/4; scgi_temp_path ${folder}/5;
 server { listen 127.0.0.1:8080 default_server; return 404; }
 server { listen 127.0.0.1:8080; server_name www.example; root ${folder}; location /old { return 302 /new; } }
 server { listen 127.0.0.1:8443 ssl http2; server_name www.example; ssl_certificate ${cert}; ssl_certificate_key ${key}; root ${folder}; } }
`,
  );
  const nginx = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: 'ignore',
  });
  t.after(() => nginx.kill('SIGKILL'));
  for (let i = 0; i < 100; i++) {
    if ((await said({ kind: 'tcp', timing: { ...timing }, connection: at(8080) })).startsWith('up')) break;
  }
  const www = { path: '/page.html', virtualHost: 'www.example' };
  // What `md5sum` says of the file is what keepalived's genhash says of the page.
  const digest = execFileSync('md5sum', [join(folder, 'page.html')], { encoding: 'utf8' }).slice(0, 32);
  assert.equal(digest, createHash('md5').update(page).digest('hex'));

  for (const protocol of ['1.0', '1.0C', '1.1'])
    tests.push(
      t.test(`nginx by HTTP/${protocol}: status, virtual host, digest, text`, async () => {
        const regex = { pattern: '<H1>it\\s+works', mustNotMatch: false, options: ['caseless'] };
        assert.equal(await said(http(8080, { protocol }, { ...www, digest, regex })), 'up: /page.html: answered 200');
        assert.equal(await said(http(8080, { protocol })), 'down: /: status 404 instead of 200-299');
        assert.equal(
          await said(http(8080, { protocol }, { ...www, path: '/old' })),
          'down: /old: status 302 instead of 200-299',
        );
        const wrong = 'd41d8cd98f00b204e9800998ecf8427e';
        assert.equal(
          await said(http(8080, { protocol }, { ...www, digest: wrong })),
          `down: /page.html: digest ${digest} instead of ${wrong}`,
        );
      }),
    );

  for (const protocol of ['1.0', '1.1', '2'])
    tests.push(
      t.test(`nginx by HTTP/${protocol} over TLS: SNI, and an authority that is or is not the server's`, async () => {
        const tls = { tls: true, protocol, connection: at(8443), sni: { name: 'www.example' } };
        assert.equal(await said(http(8443, tls, { ...www, digest })), 'up: /page.html: answered 200');
        assert.equal(await said(http(8443, tls, www), { ca: cert }), 'up: /page.html: answered 200');
        const other = { ...tls, sni: { name: 'other.example' } };
        assert.match(await said(http(8443, other, www), { ca: cert }), /^down: .*ERR_TLS_CERT_ALTNAME_INVALID$/);
        assert.match(await said(http(8080, { ...tls, connection: at(8080) }, www)), /^down: .*ERR_SSL/);
      }),
    );

  tests.push(
    t.test('TCP: connected, refused, and a host that nobody answers for', async () => {
      assert.equal(await said({ kind: 'tcp', timing, connection: at(8080) }), 'up: connected');
      assert.equal(await said({ kind: 'tcp', timing, connection: at(9) }), 'down: connection refused');
      const silent = { ...at(80), address: ip('192.0.2.10'), timeout: seconds(0.3) };
      assert.equal(await said({ kind: 'tcp', timing, connection: silent }), 'down: not connected within 0.3 s');
      const bound = { ...at(8080), timeout: seconds(0.3), bindInterface: 'left' };
      assert.equal(
        await said({ kind: 'tcp', timing, connection: bound }),
        'down: not connected within 0.3 s',
        'by that interface alone',
      );
      const right = { ...at(8080), bindInterface: 'lo' };
      assert.equal(await said({ kind: 'tcp', timing, connection: right }), 'up: connected');
    }),
  );

  tests.push(
    t.test('a mark steers the packets by the rules of the host', async () => {
      const c = (fwmark: number): Checker => ({
        kind: 'tcp',
        timing,
        connection: { ...at(80), address: ip('192.0.2.9'), timeout: seconds(0.3), fwmark },
      });
      assert.match(await said(c(77)), /EACCES$/);
      assert.equal(await said(c(78)), 'down: not connected within 0.3 s');
    }),
  );

  tests.push(
    t.test('ping of both families', async () => {
      assert.equal(await said({ kind: 'ping', timing, connection: at(0) }), 'up: echo reply');
      assert.equal(
        await said({ kind: 'ping', timing, connection: { ...at(0), address: ip('::1') } }),
        'up: echo reply',
      );
      const silent = { ...at(0), address: ip('192.0.2.11'), timeout: seconds(0.2) };
      assert.equal(await said({ kind: 'ping', timing, connection: silent }), 'down: no answer within 0.2 s');
    }),
  );

  tests.push(
    t.test('UDP and DNS: an answer, silence, and a port that nobody has', async () => {
      const server = createSocket('udp4', (m, from) => {
        const answer = Buffer.from(m);
        answer[2] = 0x81;
        answer[3] = m.includes('down') ? 0x82 : 0x80;
        server.send(answer, from.port, from.address);
      });
      server.bind(5353, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      const dns = (name: string): Checker => ({ kind: 'dns', timing, connection: at(5353), type: 'SOA', name });
      assert.equal(await said(dns('.')), 'up: answered without an error code');
      assert.equal(await said(dns('down.example')), 'down: the server answered SERVFAIL');
      assert.equal(await said({ kind: 'udp', timing, connection: at(9) }), 'down: connection refused');
      const quiet = createSocket('udp4');
      quiet.bind(5354, '127.0.0.1');
      await once(quiet, 'listening');
      t.after(() => quiet.close());
      const silent = { ...at(5354), timeout: seconds(0.2) };
      assert.equal(await said({ kind: 'udp', timing, connection: silent }), 'up: no error within the timeout');
      const reply = { minLength: 1, maxLength: 9 };
      assert.equal(await said({ kind: 'udp', timing, connection: silent, reply }), 'down: no answer within 0.2 s');
    }),
  );

  tests.push(
    t.test('gRPC health over HTTP/2 without TLS', async () => {
      const server = createHttp2Server();
      server.on('stream', (s) => {
        s.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        s.on('wantTrailers', () => s.sendTrailers({ 'grpc-status': '0' }));
        const chunks: Buffer[] = [];
        s.on('data', (b: Buffer) => chunks.push(b));
        s.on('end', () => s.end(Buffer.from([0, 0, 0, 0, 2, 8, Buffer.concat(chunks).includes('good') ? 1 : 2])));
      });
      server.listen(5051, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      const grpc = (service: string): Checker => ({ kind: 'grpc', timing, connection: at(5051), tls: false, service });
      assert.equal(await said(grpc('good')), 'up: SERVING');
      assert.equal(await said(grpc('bad')), 'down: NOT_SERVING');
    }),
  );

  tests.push(
    t.test('a server that accepts and says nothing, one that hangs up, one that never ends', async () => {
      const behaviours = { quiet: 0, 'hangs up': 0, 'never ends': 0 };
      for (const name of Object.keys(behaviours) as (keyof typeof behaviours)[]) {
        const server = createServer((s) => {
          s.on('error', () => {});
          if (name === 'hangs up') s.end();
          if (name !== 'never ends') return;
          s.write('HTTP/1.0 200 OK\r\n\r\n');
          const flood = (): void => {
            while (!s.destroyed && s.write(Buffer.alloc(1 << 16)));
          };
          s.on('drain', flood);
          flood();
        });
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        t.after(() => server.close());
        behaviours[name] = (server.address() as AddressInfo).port;
      }
      // Long enough that the connection is there before, on a busy machine too.
      const c = (port: number): Checker => http(port, { connection: { ...at(port), timeout: seconds(3) } });
      assert.equal(await said(c(behaviours.quiet)), 'down: no answer within 3 s');
      assert.equal(await said(c(behaviours['hangs up'])), 'down: the server closed the connection without an answer');
      assert.match(
        await said(c(behaviours['never ends'])),
        /^down: (the server sends more than a check reads|the answer was not complete after 30 s)$/,
      );
    }),
  );

  tests.push(
    t.test('a script and its weight', async () => {
      const script = join(folder, 'check');
      writeFileSync(script, '#!/bin/sh\nexit "$1"\n');
      chmodSync(script, 0o755);
      const misc = (code: string, dynamic = true): Checker => ({
        kind: 'misc',
        timing,
        script: { argv: [script, code] },
        timeout: seconds(30),
        dynamic,
      });
      assert.equal(await said(misc('0')), 'up: exit status 0');
      assert.equal(await said(misc('1')), 'down: exit status 1');
      assert.deepEqual((await first(misc('52'))).weight, { kind: 'is', value: 50 });
      assert.equal(await said(misc('52', false)), 'down: exit status 52');
      const slow: Checker = {
        kind: 'misc',
        timing,
        script: { argv: ['/bin/sleep', '30'] },
        timeout: seconds(0.2),
        dynamic: false,
      };
      assert.equal(await said(slow), 'down: it ran longer than 0.2 s');
    }),
  );
  await Promise.all(tests);
});
