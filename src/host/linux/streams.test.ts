import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttp2Server, createSecureServer } from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import type { IpAddress } from '../../base/index.ts';
import type { StreamEvents, StreamTarget, TlsSettings } from '../index.ts';
import { loadAddon } from './addon.ts';
import { linuxStreams } from './streams.ts';

const loaded = loadAddon();
assert.ok(loaded.ok, 'npm run setup builds the addon');
const streams = linuxStreams(loaded.value);
const LOOPBACK = '127.0.0.1' as IpAddress;

const folder = mkdtempSync(join(tmpdir(), 'holdfast-streams-'));
after(() => rmSync(folder, { recursive: true }));
const certificate = (() => {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=checked.example';
  execFileSync('openssl', [...words.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
})();

async function until(what: string, so: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !so(); await setTimeout(10))
    assert.ok(performance.now() < end, `waited a minute in vain: ${what}`);
}
async function listening(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
const tcp = (port: number, o: Partial<StreamTarget> = {}): StreamTarget => ({
  transport: 'tcp',
  address: LOOPBACK,
  port,
  ...o,
});
/** What a connection did until it failed, ended or `until` said enough. */
function story(
  to: StreamTarget,
  o: { readonly tls?: TlsSettings; readonly say?: string; readonly until?: (s: string) => boolean } = {},
): Promise<{ readonly events: string[]; readonly text: string; readonly code: string | undefined }> {
  return new Promise((resolve) => {
    const events: string[] = [];
    let text = '';
    let code: string | undefined;
    const finish = (): void => {
      stream.close();
      resolve({ events, text, code });
    };
    const on: StreamEvents = {
      opened() {
        events.push('opened');
        if (o.say !== undefined) stream.send(Buffer.from(o.say));
        else if (!o.until) finish();
      },
      received(bytes) {
        if (events.at(-1) !== 'received') events.push('received');
        text += Buffer.from(bytes).toString('latin1');
        if (o.until?.(text)) finish();
      },
      ended() {
        events.push('ended');
        finish();
      },
      failed(e) {
        events.push('failed');
        code = e.code;
        finish();
      },
    };
    const stream = streams.connect(to, o.tls, on);
  });
}

test('a connection is opened, spoken on, and its end is told', async (t) => {
  const server = createServer((s) => s.on('data', (d) => s.end(`you said ${d}`)));
  t.after(() => server.close());
  const port = await listening(server);
  assert.deepEqual(await story(tcp(port), { say: 'hello' }), {
    events: ['opened', 'received', 'ended'],
    text: 'you said hello',
    code: undefined,
  });
});

test('a megabyte goes out and comes back, in pieces that the kernel takes', async (t) => {
  const server = createServer((s) => s.pipe(s));
  t.after(() => server.close());
  const port = await listening(server);
  const say = 'x'.repeat(1 << 20);
  const { text } = await story(tcp(port), { say, until: (s) => s.length >= say.length });
  assert.equal(text, say);
});

test('refused, no such interface, a foreign source: each is told by its own name, and later than the call', async (t) => {
  const server = createServer();
  const port = await listening(server);
  server.close();
  await once(server, 'close');
  t.diagnostic(`nobody listens on ${port}`);
  assert.equal((await story(tcp(port))).code, 'ECONNREFUSED');
  assert.equal((await story(tcp(port, { interface: 'nosuch0' }))).code, 'ENODEV');
  assert.equal((await story(tcp(port, { source: '192.0.2.77' as IpAddress }))).code, 'EADDRNOTAVAIL');
});

test('a probe connects without the program behind the port seeing it', async (t) => {
  const seen: Socket[] = [];
  const server = createServer((s) => void seen.push(s.on('error', () => {})));
  t.after(() => server.close());
  const port = await listening(server);
  for (let i = 0; i < 20; i++) assert.deepEqual((await story(tcp(port, { probe: true }))).events, ['opened']);
  await setTimeout(50);
  assert.equal(seen.length, 0, 'nothing was accepted');
  await story(tcp(port));
  await until('an ordinary connection is accepted', () => seen.length === 1);
});

test('the source address and port are those that were asked for', async (t) => {
  const from: string[] = [];
  const server = createServer((s) => {
    from.push(`${s.remoteAddress}:${s.remotePort}`);
    s.end();
  });
  t.after(() => server.close());
  const port = await listening(server);
  await story(tcp(port, { source: '127.0.0.9' as IpAddress }), { until: () => false });
  await story(tcp(port, { source: '127.0.0.8' as IpAddress, sourcePort: 31999 }), { until: () => false });
  assert.match(from[0] ?? '', /^127\.0\.0\.9:/);
  assert.equal(from[1], '127.0.0.8:31999');
});

test('UDP: an answer comes back, and a port that nobody has is refused by ICMP', async (t) => {
  const server = createSocket('udp4', (m, from) => server.send(`got ${m}`, from.port, from.address));
  t.after(() => server.close());
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const to: StreamTarget = { transport: 'udp', address: LOOPBACK, port: server.address().port };
  assert.equal((await story(to, { say: 'ping', until: () => true })).text, 'got ping');
  const other = createSocket('udp4');
  other.bind(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address();
  other.close();
  await once(other, 'close');
  assert.equal((await story({ ...to, port }, { say: 'ping', until: () => true })).code, 'ECONNREFUSED');
});

test('TLS: the server name is sent, and nothing is verified unless an authority is given', async (t) => {
  const names: (string | false | null | undefined)[] = [];
  const server = createTlsServer(certificate, (s) => {
    names.push(s.servername);
    s.on('error', () => {}).end('secret');
  });
  t.after(() => server.close());
  const port = await listening(server);
  const got = await story(tcp(port), { tls: { serverName: 'checked.example' }, until: () => false });
  assert.deepEqual([got.events, got.text], [['opened', 'received', 'ended'], 'secret']);
  assert.equal(names[0], 'checked.example');
  const wrong = await story(tcp(port), {
    tls: { serverName: 'other.example', ca: certificate.cert },
    until: () => false,
  });
  assert.equal(wrong.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
  const right = await story(tcp(port), {
    tls: { serverName: 'checked.example', ca: certificate.cert },
    until: () => false,
  });
  assert.equal(right.text, 'secret');
});

test('TLS to a server that speaks none is a failure, not a crash', async (t) => {
  const server = createServer((s) => s.on('error', () => {}).end('220 not TLS at all\r\n'));
  t.after(() => server.close());
  const port = await listening(server);
  const { events, code } = await story(tcp(port), { tls: {}, until: () => false });
  assert.deepEqual(events, ['failed']);
  assert.match(code ?? '', /^ERR_SSL|^ECONN/);
});

for (const secure of [false, true])
  test(`HTTP/2 ${secure ? 'by ALPN' : 'with prior knowledge'}: status, body and trailers`, async (t) => {
    const server = secure ? createSecureServer(certificate) : createHttp2Server();
    server.on('stream', (s, h) => {
      s.respond({ ':status': 203, 'x-path': String(h[':path']) }, { waitForTrailers: true });
      s.on('wantTrailers', () => s.sendTrailers({ 'x-end': 'yes' }));
      s.end('body');
    });
    t.after(() => server.close());
    const port = await listening(server as unknown as Server);
    const got = await new Promise<unknown[]>((resolve) => {
      const seen: unknown[] = [];
      const headers = { ':method': 'GET', ':path': '/x', ':scheme': 'http', ':authority': 'a' };
      streams.http2(
        tcp(port),
        secure ? {} : undefined,
        { headers },
        {
          answered: (status, h) => seen.push(status, h['x-path']),
          received: (b) => seen.push(Buffer.from(b).toString()),
          ended: (trailers) => resolve([...seen, trailers['x-end']]),
          failed: (e) => resolve([e.code]),
        },
      );
    });
    assert.deepEqual(got, [203, '/x', 'body', 'yes']);
  });

test('a thousand connections, closed in the middle of their callbacks or never answered, leave no file open', async (t) => {
  const server = createServer((s) => s.on('error', () => {}));
  t.after(() => server.close());
  const port = await listening(server);
  await story(tcp(port));
  await setTimeout(20);
  const before = readdirSync('/proc/self/fd').length;
  await Promise.all(
    Array.from({ length: 1000 }, (_, i) => (i % 4 === 0 ? story(tcp(port, { probe: true })) : story(tcp(1)))),
  );
  await until(`no more than ${before + 2} files`, () => readdirSync('/proc/self/fd').length <= before + 2);
});

test('what has come while this thread was busy is there when it is asked for, before the event loop has its turn', async (t) => {
  const server = createServer((s) => s.on('error', () => {}));
  t.after(() => server.close());
  const port = await listening(server);
  const seen: string[] = [];
  const stream = streams.connect(tcp(port), undefined, {
    opened: () => seen.push('opened'),
    received: () => {},
    ended: () => {},
    failed: (e) => seen.push(e.code),
  });
  const until = performance.now() + 50;
  while (performance.now() < until);
  assert.deepEqual(seen, []);
  streams.drain();
  assert.deepEqual(seen, ['opened']);
  stream.close();
});
