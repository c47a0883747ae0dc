import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type IpAddress, us } from '../../base/index.ts';
import type { RelayStream } from '../index.ts';
import { packageRoot } from './native.ts';
import { linuxRelays } from './relays.ts';

const HERE = '127.0.0.1' as IpAddress;
const SECOND = us(1_000_000);
const hash = (b: Buffer): string => createHash('sha256').update(b).digest('hex');

/** A relay in front of a server of node:net: what each of its two ends said, by connection. */
async function relayed(t: TestContext, serve: (s: Socket) => void) {
  const server = createServer({ allowHalfOpen: true }, serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const said: string[] = [];
  const ends: RelayStream[] = [];
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const mine = (free.address() as AddressInfo).port;
  free.close();
  await once(free, 'close');
  const listener = linuxRelays.listen({ address: HERE, port: mine, backlog: 4096 }, (client) => {
    ends.push(client);
    linuxRelays.connect({ to: { address: HERE, port }, source: undefined, timeout: SECOND }, (r) => {
      if (!r.ok) return client.destroy('reset');
      const other = r.value;
      ends.push(other);
      for (const [name, one, two] of [
        ['client', client, other],
        ['server', other, client],
      ] as const)
        one.on({
          ended: () => said.push(`${name} ended`),
          closed: () => {
            said.push(`${name} closed`);
            two.destroy(said.includes('client ended') && said.includes('server ended') ? 'close' : 'reset');
          },
        });
      client.relayWith(other);
    });
  });
  assert.ok(listener.ok);
  t.after(() => {
    listener.value.close();
    for (const e of ends) e.destroy('reset');
    server.close();
  });
  return { port: mine, said, ends };
}
/** Not `once`: an error comes before it, and is expected. */
const closed = (s: Socket): Promise<void> => new Promise((resolve) => void s.on('close', () => resolve()));
async function all(s: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const p of s) parts.push(p as Buffer);
  return Buffer.concat(parts);
}

test('half-closed with megabytes on their way in both directions: every byte arrives, and the end behind it', async (t) => {
  const up = randomBytes(5_000_001);
  const down = randomBytes(7_000_003);
  const got = Promise.withResolvers<Buffer>();
  const { port, said, ends } = await relayed(t, (s) => {
    void all(s).then(got.resolve, got.reject);
    // Later than the client has ended its side, and with a reader that is slow to begin.
    setTimeout(() => s.end(down), 200);
  });
  const c = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  c.pause();
  c.end(up);
  await sleep(500);
  const back = await all(c);
  assert.equal(hash(back), hash(down));
  assert.equal(hash(await got.promise), hash(up));
  await sleep(50);
  assert.deepEqual(said.slice(0, 2), ['client ended', 'server ended']);
  assert.deepEqual([ends[0]?.received, ends[0]?.sent], [up.length, down.length]);
});
for (const side of ['client', 'server'] as const)
  test(`a reset by the ${side} is told once, also where nothing was sent`, async (t) => {
    const other = Promise.withResolvers<Socket>();
    const { port, said } = await relayed(t, (s) => {
      s.on('error', () => {});
      other.resolve(s);
    });
    const c = connect(port, '127.0.0.1');
    c.on('error', () => {});
    await once(c, 'connect');
    const s = await other.promise;
    (side === 'client' ? c : s).resetAndDestroy();
    const cut = side === 'client' ? s : c;
    cut.resume();
    await closed(cut);
    assert.deepEqual(said, [`${side} closed`]);
  });
test('a reset behind an end that was passed on is told too', async (t) => {
  const other = Promise.withResolvers<Socket>();
  const { port, said } = await relayed(t, (s) => {
    s.on('error', () => {});
    s.resume();
    other.resolve(s);
  });
  const c = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  c.on('error', () => {});
  c.resume();
  c.end('x');
  const s = await other.promise;
  await once(s, 'end');
  const gone = closed(s);
  c.resetAndDestroy();
  // Who has read the end looks no more: it finds out by writing.
  const writing = setInterval(() => s.write('the rest'), 10);
  await gone;
  clearInterval(writing);
  assert.deepEqual(said, ['client ended', 'client closed']);
});
test('two thousand connections, cut in all ways: no descriptor is left', async (t) => {
  const { port, ends } = await relayed(t, (s) => {
    s.on('error', () => {});
    s.on('data', (d) => s.write(d));
    s.on('end', () => s.end());
  });
  const before = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 20; round++)
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const c = connect(port, '127.0.0.1');
        c.on('error', () => {});
        await once(c, 'connect');
        const gone = closed(c);
        c.write(Buffer.alloc(1 + ((i * 997) % 100_000)));
        if (i % 4 !== 0) await once(c, 'data');
        if (i % 4 === 1) c.end();
        else if (i % 4 === 2) c.resetAndDestroy();
        else c.destroy();
        c.resume();
        await gone;
      }),
    );
  for (let i = 0; i < 100 && readdirSync('/proc/self/fd').length > before; i++) await sleep(50);
  assert.ok(readdirSync('/proc/self/fd').length <= before);
  assert.ok(ends.length >= 2000);
});
test('nobody listens: told later, once; a connection that is given up is not told of', async () => {
  const nobody = { address: HERE, port: 1 };
  const told: string[] = [];
  linuxRelays.connect({ to: nobody, source: undefined, timeout: SECOND }, (r) =>
    told.push(r.ok ? 'open' : r.error.code),
  );
  const giveUp = linuxRelays.connect({ to: nobody, source: undefined, timeout: SECOND }, () => told.push('given up'));
  giveUp();
  linuxRelays.connect({ to: nobody, source: '192.0.2.1' as IpAddress, timeout: SECOND }, (r) =>
    told.push(r.ok ? 'open' : r.error.code),
  );
  assert.deepEqual(told, []);
  await sleep(100);
  assert.deepEqual(told.toSorted(), ['EADDRNOTAVAIL', 'ECONNREFUSED']);
});

const ADDON = join(packageRoot(), 'build/native/relay.node');
type Raw = Record<string, (...a: unknown[]) => unknown>;
test('misuse throws, numbers of nobody are refused, and a closed hub too', () => {
  const raw = createRequire(import.meta.url)(ADDON) as Raw;
  const call = (name: string, ...a: unknown[]): unknown => (raw[name] as Raw[string])(...a);
  const h = call('hub');
  assert.throws(() => call('listen', h, new Uint8Array(16), 1), { code: 'ERR_NOT_WATCHED' });
  assert.throws(() => call('watch', {}, () => {}), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => call('watch', h, 1));
  call('watch', h, () => {});
  assert.throws(() => call('watch', h, () => {}), { code: 'ERR_WATCHED' });
  assert.throws(() => call('listen', h, new Uint8Array(3), 1), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => call('listen', h, new Uint8Array(200), 1), { code: 'ERR_OUT_OF_RANGE' });
  assert.ok((call('listen', h, new Uint8Array(16), 1) as number) < 0);
  for (const [name, ...a] of [
    ['write', 5, new Uint8Array(1)],
    ['relay', 5, 6],
    ['names', 5, new Uint8Array(56)],
    ['received', 5],
    ['end', 5, true],
    ['resume', 5],
  ] as const)
    assert.equal(call(name, h, ...a), -9, name);
  assert.throws(() => call('relay', h, -1, 2), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => call('write', h, 5, new Uint8Array(0)), { code: 'ERR_OUT_OF_RANGE' });
  call('close', h);
  call('close', h);
  assert.throws(() => call('end', h, 5, true), { code: 'ERR_HANDLE_CLOSED' });
});
test('a worker that ends in the midst of it closes all its ends', async () => {
  const code = `
    const { connect } = require('node:net');
    const { parentPort } = require('node:worker_threads');
    const raw = require(${JSON.stringify(ADDON)});
    const h = raw.hub();
    raw.watch(h, () => parentPort.postMessage('accepted'));
    const name = new Uint8Array(16); name[0] = 2; name.set([127, 0, 0, 1], 4);
    const view = new DataView(name.buffer);
    for (let port = 20000; ; port++) { view.setUint16(2, port); if (raw.listen(h, name, 5) >= 0) { connect(port, '127.0.0.1'); break; } }`;
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 10; i++) {
    const w = new Worker(code, { eval: true });
    await once(w, 'message');
    await w.terminate();
  }
  for (let i = 0; i < 40 && readdirSync('/proc/self/fd').length > before; i++) await sleep(50);
  assert.ok(readdirSync('/proc/self/fd').length <= before);
});
