/** The proxy over real sockets on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type IpAddress, seconds, us } from '../../../base/index.ts';
import { linuxRelays, loadAddon } from '../../../host/linux/index.ts';
import { decodeProxyHeader, decodeProxyLine } from '../../../wire/index.ts';
import type { Wanted, WantedServer, WantedService } from '../../types.ts';
import { PROXY_DEFAULTS, type ProxyOptions, ProxyPlane } from './index.ts';

const skip = loadAddon().ok ? false : 'needs the native addon (npm run setup)';
const VIP = '127.0.0.99' as IpAddress;
const RIP = '127.0.0.11' as IpAddress;

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const s = createServer().listen(0, VIP);
  await once(s, 'listening');
  const { port } = s.address() as AddressInfo;
  s.close();
  await once(s, 'close');
  return port;
}
async function server(t: TestContext, serve: (s: Socket) => void): Promise<number> {
  const open = new Set<Socket>();
  const s = createServer({ allowHalfOpen: true }, (c) => {
    open.add(c);
    c.on('error', () => {});
    serve(c);
  }).listen(0, RIP);
  await once(s, 'listening');
  t.after(() => {
    s.close();
    for (const c of open) c.destroy();
  });
  return (s.address() as AddressInfo).port;
}
const at = (port: number, weight = 1): WantedServer => ({
  key: `${RIP}:${port}`,
  address: RIP,
  port,
  weight,
  forwarding: { method: 'nat' },
});
const service = (port: number, servers: WantedServer[], more: Partial<WantedService> = {}): WantedService => ({
  key: `tcp ${VIP}:${port}`,
  match: { by: 'address', protocol: 'tcp', ranges: [{ from: VIP, to: VIP }], port },
  scheduler: 'rr',
  flags: [],
  onePacket: false,
  servers,
  ...more,
});
const wanted = (...services: WantedService[]): Wanted => ({ services, timeouts: {}, sync: [] });
function plane(t: TestContext, options: Partial<ProxyOptions> = {}): ProxyPlane {
  const clock = { now: () => us(Math.round(performance.now() * 1000)) };
  const p = new ProxyPlane(
    { clock, entropy: { u32: () => 7 }, relays: linuxRelays },
    { ...PROXY_DEFAULTS, ...options },
  );
  t.after(() => p.close());
  return p;
}
/** Sends, ends its direction, and reads to the end; what went wrong is thrown. */
async function talk(port: number, words: string): Promise<string> {
  const c = connect({ host: VIP, port, allowHalfOpen: true });
  c.end(words);
  let got = '';
  for await (const chunk of c.setEncoding('utf8')) got += chunk;
  return got;
}
const echo = (name: string) => (c: Socket) => {
  let got = '';
  c.setEncoding('utf8').on('data', (d) => {
    got += d;
  });
  c.on('end', () => c.end(`${name}:${got}`)); // answers only when the client has ended: half-close must be passed on
};
const closed = (c: Socket): Promise<unknown> => new Promise((done) => c.on('close', done).on('error', () => {}));

test('bytes go both ways, an end of one direction is passed on, and each server has its turn', { skip }, async (t) => {
  const p = plane(t);
  const port = await freePort();
  const [a, b] = [await server(t, echo('a')), await server(t, echo('b'))];
  const w = wanted(service(port, [at(a), at(b)]));
  assert.deepEqual(p.apply(w), [{ key: w.services[0]?.key, result: { ok: true, value: 'changed' } }]);
  assert.deepEqual(p.apply(w), [{ key: w.services[0]?.key, result: { ok: true, value: 'kept' } }]);
  const answers = [];
  for (const word of ['1', '2', '3', '4']) answers.push(await talk(port, word));
  assert.deepEqual(answers, ['a:1', 'b:2', 'a:3', 'b:4']);
  const counters = p.counters();
  assert.ok(counters.ok);
  const first = counters.value[0]?.servers[0];
  assert.deepEqual([first?.connections, first?.bytesIn, first?.bytesOut], [2, 2, 6]);
});
for (const header of ['v1', 'v2'] as const)
  test(`PROXY protocol ${header}: the server is told the client's address before the first byte`, {
    skip,
  }, async (t) => {
    const p = plane(t, { header });
    const port = await freePort();
    let got = Buffer.alloc(0);
    const s = await server(t, (c) => {
      c.on('data', (d) => {
        got = Buffer.concat([got, d]);
      });
      c.on('end', () => c.end('done'));
    });
    p.apply(wanted(service(port, [at(s)])));
    assert.equal(await talk(port, 'hello'), 'done');
    const head = got.subarray(0, got.length - 5);
    assert.equal(got.subarray(-5).toString(), 'hello');
    const decoded = header === 'v1' ? decodeProxyLine(head) : decodeProxyHeader(head);
    assert.ok(decoded.ok && 'path' in decoded.value && decoded.value.path);
    const { source, destination, destinationPort } = decoded.value.path;
    assert.deepEqual([source, destination, destinationPort], ['127.0.0.1', VIP, port]);
  });
test('a server that refuses is passed over within the same connection', { skip }, async (t) => {
  const p = plane(t);
  const port = await freePort();
  const dead = await freePort();
  const alive = await server(t, echo('alive'));
  p.apply(wanted(service(port, [at(dead), at(alive)])));
  assert.deepEqual([await talk(port, 'x'), await talk(port, 'y')], ['alive:x', 'alive:y']);
});
test('weight 0 takes no new connection and leaves the old one; removal cuts it', { skip }, async (t) => {
  const p = plane(t);
  const port = await freePort();
  const old = await server(t, (c) => c.on('data', (d) => c.write(d)));
  const other = await server(t, echo('other'));
  p.apply(wanted(service(port, [at(old)])));
  const c = connect({ host: VIP, port });
  c.write('1');
  assert.equal(String((await once(c, 'data'))[0]), '1');
  p.apply(wanted(service(port, [at(old, 0), at(other)])));
  assert.equal(await talk(port, 'x'), 'other:x');
  c.write('2');
  assert.equal(String((await once(c, 'data'))[0]), '2');
  const end = closed(c);
  p.apply(wanted(service(port, [at(other)])));
  await end;
});
test('a slow reader holds the sender back: memory is bounded, and every byte arrives', { skip }, async (t) => {
  const p = plane(t);
  const port = await freePort();
  const SIZE = 64 * 1024 * 1024;
  let sent = 0;
  const chunk = Buffer.alloc(1 << 16, 'x');
  const s = await server(t, (c) => {
    const more = (): void => {
      while (sent < SIZE) {
        sent += chunk.length;
        if (!c.write(chunk)) return void c.once('drain', more);
      }
      c.end();
    };
    more();
  });
  p.apply(wanted(service(port, [at(s)])));
  const c = connect({ host: VIP, port });
  await once(c, 'connect');
  await sleep(300); // the kernel's buffers on the way fill up, and then nothing moves
  const held = sent;
  assert.ok(held < SIZE / 2, `${held} bytes were taken although nobody read`);
  let got = 0;
  for await (const d of c) got += (d as Buffer).length;
  assert.equal(got, SIZE);
});
test('connections beyond the limit are reset, and the place is free again after one has ended', { skip }, async (t) => {
  const p = plane(t, { most: 1 });
  const port = await freePort();
  const s = await server(t, (c) => c.on('data', (d) => c.write(d)).on('end', () => c.end()));
  p.apply(wanted(service(port, [at(s)])));
  const first = connect({ host: VIP, port });
  first.write('1');
  await once(first, 'data');
  await closed(connect({ host: VIP, port }));
  first.end();
  await closed(first);
  // The place is given back by another thread than the one that told the client.
  for (let i = 0; ; i++)
    try {
      assert.equal(await talk(port, '2'), '2');
      break;
    } catch (e) {
      if (i === 1000) throw e;
      await sleep(10);
    }
});
test('a quiet connection is ended after the idle timeout', { skip }, async (t) => {
  const p = plane(t, { idleTimeout: seconds(1) });
  const port = await freePort();
  const s = await server(t, (c) => c.on('data', (d) => c.write(d)));
  p.apply(wanted(service(port, [at(s)])));
  const c = connect({ host: VIP, port });
  c.write('1');
  await once(c, 'data');
  const end = closed(c);
  const ticking = setInterval(() => p.tick(), 100);
  t.after(() => clearInterval(ticking));
  await end;
});
test('it listens on an address that is not here yet', { skip }, (t) => {
  const p = plane(t);
  const away = '192.0.2.77' as IpAddress;
  const s = service(8080, [at(1)], {
    match: { by: 'address', protocol: 'tcp', ranges: [{ from: away, to: away }], port: 8080 },
  });
  assert.ok(p.apply(wanted(s))[0]?.result.ok);
});
test("a taken port is that service's error and no other's, and goes when the port is free", { skip }, async (t) => {
  const p = plane(t);
  const blocker = createServer().listen(0, VIP);
  await once(blocker, 'listening');
  const { port } = blocker.address() as AddressInfo;
  const s = await server(t, echo('s'));
  const free = await freePort();
  const [taken, fine] = p.apply(wanted(service(port, [at(s)]), service(free, [at(s)])));
  assert.equal(taken?.result.ok === false && taken.result.error.code, 'EADDRINUSE');
  assert.ok(fine?.result.ok);
  blocker.close();
  await once(blocker, 'close');
  p.tick();
  assert.equal(await talk(port, 'x'), 's:x');
});
test('persistence keeps the clients of one network on one server', { skip }, async (t) => {
  const p = plane(t);
  const port = await freePort();
  const [a, b] = [await server(t, echo('a')), await server(t, echo('b'))];
  p.apply(wanted(service(port, [at(a), at(b)], { persistence: { seconds: 60, granularity: 24 } })));
  assert.deepEqual([await talk(port, '1'), await talk(port, '2')], ['a:1', 'a:2']);
});
test('what a proxy cannot carry is refused with the reason', (t) => {
  const p = plane(t);
  const code = (more: Partial<WantedService>): string | undefined => p.refuses(service(80, [], more))?.code;
  const range = (to: string): WantedService['match'] => ({
    by: 'address',
    protocol: 'tcp',
    ranges: [{ from: '10.0.0.0' as IpAddress, to: to as IpAddress }],
    port: 80,
  });
  assert.deepEqual(
    [
      code({}),
      code({ match: { by: 'fwmark', mark: 1, family: 4 } }),
      code({ match: { ...range('10.0.0.1'), protocol: 'udp' } as WantedService['match'] }),
      code({ match: { ...range('10.0.0.1'), port: 0 } as WantedService['match'] }),
      code({ scheduler: 'lblc' }),
      code({ match: range('10.0.0.255') }),
      code({ match: range('10.255.255.255') }),
    ],
    [undefined, 'proxy.mark', 'proxy.protocol', 'proxy.port', 'proxy.scheduler', undefined, 'proxy.addresses'],
  );
});
