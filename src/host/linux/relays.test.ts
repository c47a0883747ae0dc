import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type IpAddress, seconds } from '../../base/index.ts';
import type { RelayAnswer, RelayLimits, RelayQuestion, RelayServer } from '../index.ts';
import { packageRoot } from './native.ts';
import { relaysWith } from './relays.ts';

/** An address of the loopback that no other process has, so that a port that is free stays so. */
const HERE = `127.${64 + (process.pid >> 16)}.${(process.pid >> 8) & 255}.${process.pid & 255}` as IpAddress;
const LIMITS: RelayLimits = { most: 1000, connectTimeout: seconds(60), idleTimeout: seconds(600) };
/** Longer than anything here takes on a busy machine. Milliseconds. */
const PATIENCE = 60_000;
async function until(what: string, so: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE; !so(); await sleep(10))
    assert.ok(performance.now() < end, `waited ${PATIENCE} ms in vain: ${what}`);
}
/** Until it has not changed for a while; what it is then. */
async function settled(look: () => number): Promise<number> {
  let last = look();
  for (let same = 0; same < 10; same++) {
    await sleep(10);
    const next = look();
    if (next !== last) same = -1;
    last = next;
  }
  return last;
}
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const hash = (b: Buffer): string => createHash('sha256').update(b).digest('hex');

async function freePort(): Promise<number> {
  const free = createServer().listen(0, HERE);
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  await once(free, 'close');
  return port;
}
/** Two threads; many calls in one, or one by one as on a kernel without io_uring. */
const WAYS = [
  { how: '', batches: true },
  { how: ' (one call at a time)', batches: false },
] as const;
function hubOf(t: TestContext, limits: Partial<RelayLimits> = {}, batches = true) {
  const hub = relaysWith(2, batches).open({ ...LIMITS, ...limits });
  assert.ok(hub.ok);
  t.after(() => hub.value.close());
  return hub.value;
}
/** A relay in front of a server of node:net. */
async function relayed(t: TestContext, batches: boolean, serve: (s: Socket) => void) {
  const server = createServer({ allowHalfOpen: true }, serve).listen(0, HERE);
  await once(server, 'listening');
  t.after(() => server.close());
  const port = await freePort();
  const front = hubOf(t, {}, batches).front({ port, backlog: 4096 }, () => undefined);
  assert.ok(front.ok);
  const behind = front.value.server({ address: HERE, port: (server.address() as AddressInfo).port }, undefined);
  assert.ok(behind.ok);
  front.value.turns([behind.value]);
  assert.ok(front.value.listen(HERE).ok);
  return { port, server: behind.value };
}
/** Until nothing of a server stands or is being opened. */
const idle = (s: RelayServer): Promise<void> =>
  until('nothing stands or is being opened', () => s.tally().active + s.tally().opening === 0);
/** Not `once`: an error comes before it, and is expected. */
const closed = (s: Socket): Promise<void> => new Promise((resolve) => void s.on('close', () => resolve()));
/** Not `for await`, which destroys the socket at the end of reading, and what it has still to send with it. */
async function all(s: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  s.on('data', (d) => parts.push(d)).resume();
  await once(s, 'end');
  return Buffer.concat(parts);
}

for (const { how, batches } of WAYS) {
  test(`half-closed with megabytes on their way in both directions: every byte arrives, and the end behind it${how}`, async (t) => {
    const up = randomBytes(5_000_001);
    const down = randomBytes(7_000_003);
    const got = Promise.withResolvers<Buffer>();
    const { port, server } = await relayed(t, batches, (s) => {
      void all(s).then(got.resolve, got.reject);
      // Later than the client has ended its side, and with a reader that is slow to begin.
      setTimeout(() => s.end(down), 200);
    });
    const c = connect({ port, host: HERE, allowHalfOpen: true });
    c.pause();
    c.end(up);
    await sleep(500);
    const back = await all(c);
    assert.equal(hash(back), hash(down));
    assert.equal(hash(await got.promise), hash(up));
    await idle(server);
    assert.deepEqual(server.tally(), { opened: 1, in: up.length, out: down.length, active: 0, opening: 0 });
  });
  for (const side of ['client', 'server'] as const)
    test(`a reset by the ${side} cuts the other, also where nothing was sent${how}`, async (t) => {
      const other = Promise.withResolvers<Socket>();
      const { port, server } = await relayed(t, batches, (s) => {
        s.on('error', () => {});
        other.resolve(s);
      });
      const c = connect(port, HERE);
      c.on('error', () => {});
      await once(c, 'connect');
      const s = await other.promise;
      const cut = side === 'client' ? s : c;
      const error = once(cut, 'error');
      (side === 'client' ? c : s).resetAndDestroy();
      cut.resume();
      assert.equal((await error)[0].code, 'ECONNRESET');
      await closed(cut);
      await idle(server);
    });
  test(`a reset behind an end that was passed on cuts too${how}`, async (t) => {
    const other = Promise.withResolvers<Socket>();
    const { port, server } = await relayed(t, batches, (s) => {
      s.on('error', () => {});
      s.resume();
      other.resolve(s);
    });
    const c = connect({ port, host: HERE, allowHalfOpen: true });
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
    await idle(server);
  });
  test(`many small writes of either side are not held back by each other${how}`, async (t) => {
    // Each side answers the second of two writes alone: nothing goes back that would acknowledge the first by the way.
    const { port } = await relayed(t, batches, (s) => {
      s.setNoDelay(true).on('error', () => {});
      s.on('data', (d) => {
        if (!d.includes('b')) return;
        s.write('c');
        setTimeout(() => s.write('d'), 1);
      });
    });
    const c = connect({ port, host: HERE, noDelay: true });
    await once(c, 'connect');
    let got = 0;
    let more = (): void => {};
    c.on('data', (d) => {
      got += d.length;
      more();
    });
    const took: number[] = [];
    for (let i = 1; i <= 50; i++) {
      const begin = performance.now();
      c.write('a');
      await sleep(1); // a segment of its own, behind one that is not yet acknowledged
      c.write('b');
      while (got < 2 * i) {
        const next = Promise.withResolvers<void>();
        more = next.resolve;
        await next.promise;
      }
      took.push(performance.now() - begin);
    }
    // Nagle's algorithm against a delayed acknowledgement: 40 ms each, after the first ones, which are acknowledged at once.
    const late = took.slice(20).sort((x, y) => x - y);
    assert.ok((late[0] as number) < 30, `the quickest of ${late.length} took ${late[0]} ms`);
    c.destroy();
  });
  test(`a thousand connections, cut in all ways: no descriptor is left${how}`, async (t) => {
    const { port, server } = await relayed(t, batches, (s) => {
      s.on('error', () => {});
      s.on('data', (d) => s.write(d));
      s.on('end', () => s.end());
    });
    const hundred = (): Promise<void[]> =>
      Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const c = connect(port, HERE);
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
    await hundred(); // the threads have what they need
    await idle(server);
    const before = await settled(descriptors);
    for (let round = 0; round < 10; round++) await hundred();
    await until(`no more than the ${before} descriptors of before`, () => descriptors() <= before);
    await idle(server);
  });

  test(`forty connections at the same time, slow readers among them: every byte of each arrives in its order${how}`, async (t) => {
    const { port, server } = await relayed(t, batches, (s) => s.on('error', () => {}).pipe(s));
    const talk = async (i: number): Promise<void> => {
      const words = randomBytes(200_000 + i);
      const c = connect({ port, host: HERE, allowHalfOpen: true });
      if (i % 4 === 0) c.pause();
      for (let at = 0; at < words.length; at += 10_000) {
        c.write(words.subarray(at, at + 10_000));
        if (i % 3 === 0) await sleep(1);
      }
      c.end();
      if (i % 4 === 0) await sleep(300);
      assert.equal(hash(await all(c)), hash(words), `connection ${i}`);
    };
    await Promise.all(Array.from({ length: 40 }, (_, i) => talk(i)));
    await idle(server);
  });
}

/** A front that asks, with servers at these ports; what it was asked. */
async function asking(
  t: TestContext,
  ports: readonly number[],
  who: (q: RelayQuestion, servers: readonly RelayServer[]) => RelayAnswer | undefined,
  limits: Partial<RelayLimits> = {},
) {
  const port = await freePort();
  const asked: RelayQuestion[] = [];
  const servers: RelayServer[] = [];
  const front = hubOf(t, limits).front({ port, backlog: 16 }, (q) => {
    asked.push({ ...q, tried: new Set(q.tried) });
    return who(q, servers);
  });
  assert.ok(front.ok);
  for (const p of ports) {
    const made = front.value.server({ address: HERE, port: p }, undefined);
    assert.ok(made.ok);
    servers.push(made.value);
  }
  front.value.turns('ask');
  assert.ok(front.value.listen(HERE).ok);
  return { port, asked, servers, front: front.value };
}
test('a question has the addresses of both ends, the answer its header, and a refusal is a new question', async (t) => {
  const got: Buffer[] = [];
  const behind = createServer((s) => s.on('data', (d) => got.push(d))).listen(0, HERE);
  await once(behind, 'listening');
  const alive = (behind.address() as AddressInfo).port;
  const { port, asked, servers } = await asking(t, [1, alive], (q, all) => {
    const server = all.find((s) => !q.tried.has(s));
    return server && { server, header: Buffer.from('head ') };
  });
  const c = connect({ port, host: HERE, localAddress: HERE });
  await once(c, 'connect');
  const mine = c.localPort;
  c.end('body');
  await closed(c.resume());
  behind.close();
  assert.equal(Buffer.concat(got).toString(), 'head body');
  const client = { address: HERE, port: mine };
  const local = { address: HERE, port };
  assert.deepEqual(asked, [
    { client, local, tried: new Set() },
    { client, local, tried: new Set([servers[0]]) },
  ]);
  assert.deepEqual(
    servers.map((s) => s.tally().opened),
    [0, 1],
  );
});
test('nobody takes it: the client is reset; a server that does not answer in time is passed over', async (t) => {
  // Stopped, it accepts nothing: once its queue is full the kernel answers no SYN any more.
  const silent = spawn(process.execPath, [
    '-e',
    `const s = require('net').createServer().listen({ port: 0, host: '${HERE}', backlog: 1 }, () => console.log(s.address().port))`,
  ]);
  t.after(() => silent.kill('SIGKILL'));
  const at = Number(String((await once(silent.stdout, 'data'))[0]));
  silent.kill('SIGSTOP');
  const filling = [1, 2, 3].map(() => connect(at, HERE).on('error', () => {}));
  t.after(() => filling.forEach((f) => void f.destroy()));
  await until('the queue is full', () => filling.filter((f) => !f.connecting).length >= 2);
  const refused = await asking(t, [at], () => undefined);
  const asked = performance.now();
  await closed(connect({ port: refused.port, host: HERE }).on('error', () => {}));
  // At once: not after the minute that a server has to answer.
  assert.ok(performance.now() - asked < 30_000, `${performance.now() - asked} ms`);
  assert.deepEqual(
    refused.asked.map((q) => q.tried.size),
    [0],
  );
  const {
    port,
    asked: questions,
    front,
    servers,
  } = await asking(t, [at], () => undefined, { connectTimeout: seconds(0.1) });
  const [server] = servers as [RelayServer];
  const begin = performance.now();
  front.turns([server]);
  await closed(connect({ port, host: HERE }).on('error', () => {}));
  assert.ok(performance.now() - begin > 90);
  assert.deepEqual(
    questions.map((q) => q.tried.size),
    [1],
  );
  await idle(server);
});
test('a server that is dropped, and a front that is closed, have cut everything when the call returns', async (t) => {
  const behind = createServer((s) => s.on('data', (d) => s.write(d)).on('error', () => {})).listen(0, HERE);
  await once(behind, 'listening');
  t.after(() => behind.close());
  const at = (behind.address() as AddressInfo).port;
  const { port, servers, front } = await asking(t, [at, at], () => undefined);
  const [one, two] = servers as [RelayServer, RelayServer];
  front.turns([one, two]);
  const clients: Socket[] = [];
  for (let i = 0; i < 20; i++) {
    const c = connect({ port, host: HERE });
    c.on('error', () => {});
    clients.push(c);
    c.write('x');
    await once(c, 'data');
  }
  assert.deepEqual([one.tally().active, two.tally().active], [10, 10]);
  front.turns([two]);
  const gone = clients.filter((_, i) => i % 2 === 0).map(closed);
  one.drop();
  await Promise.all(gone);
  assert.equal(two.tally().active, 10);
  const rest = clients.filter((_, i) => i % 2 === 1).map(closed);
  front.close();
  await Promise.all(rest);
  const again = createServer().listen(port, HERE);
  await once(again, 'listening'); // the port is free at once
  again.close();
});
test('half a second of connections that come and go while servers come and go: none hangs, and nothing is left', async (t) => {
  const behind = createServer((s) => s.on('data', (d) => s.end(d)).on('error', () => {})).listen(0, HERE);
  await once(behind, 'listening');
  t.after(() => behind.close());
  const at = { address: HERE, port: (behind.address() as AddressInfo).port };
  const { port, front, servers } = await asking(t, [at.port], (_, all) => ({ server: all[0] as RelayServer }));
  let on = true;
  const client = async (): Promise<void> => {
    while (on) {
      const c = connect({ port, host: HERE });
      c.on('error', () => {});
      const gone = closed(c);
      c.end('x');
      c.resume();
      await gone;
    }
  };
  const clients = Array.from({ length: 20 }, client);
  for (let i = 0; i < 50; i++) {
    const made = front.server(at, undefined);
    assert.ok(made.ok);
    front.turns(i % 3 === 0 ? 'ask' : [made.value, servers[0] as RelayServer]);
    await sleep(10);
    front.turns(i % 2 === 0 ? [] : [servers[0] as RelayServer]);
    made.value.drop();
  }
  on = false;
  await Promise.all(clients);
  await idle(servers[0] as RelayServer);
});

test('while no descriptor is free, clients wait in the kernel and are served later; none hangs', async (t) => {
  const behind = createServer((s) => s.on('error', () => {}).on('data', (d) => s.write(d))).listen(0, HERE);
  await once(behind, 'listening');
  t.after(() => behind.close());
  const port = await freePort();
  const code = `
    import { relaysWith } from ${JSON.stringify(join(import.meta.dirname, 'relays.ts'))};
    const hub = relaysWith(2, true).open({ most: 1000, connectTimeout: 6e7, idleTimeout: 6e8 }).value;
    const front = hub.front({ port: ${port}, backlog: 100 }, () => undefined).value;
    front.turns([front.server({ address: '${HERE}', port: ${(behind.address() as AddressInfo).port} }, undefined).value]);
    console.log(front.listen('${HERE}').ok);`;
  const limited = ['-c', 'ulimit -n 80; exec "$0" "$@"', process.execPath, '--input-type=module', '-e', code];
  const child = spawn('sh', limited, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  assert.equal(String((await once(child.stdout, 'data'))[0]), 'true\n');
  let answered = 0;
  const full = Promise.withResolvers<void>();
  const talk = async (): Promise<void> => {
    const c = connect({ port, host: HERE }).on('error', () => {});
    const gone = closed(c);
    c.once('data', () => {
      answered++;
      void full.promise.then(() => c.destroy());
    });
    c.write('x');
    await gone;
  };
  const clients = Array.from({ length: 80 }, talk);
  await until('some are served', () => answered > 0);
  await settled(() => answered);
  assert.ok(answered < 80, 'some wait');
  full.resolve();
  await Promise.all(clients);
  assert.equal(answered, 80);
});

const ADDON = join(packageRoot(), 'build/native/relay.node');
type Raw = Record<string, (...a: unknown[]) => unknown>;
test('misuse throws, numbers of nobody are refused, and a closed hub too', () => {
  const raw = createRequire(import.meta.url)(ADDON) as Raw;
  const call = (name: string, ...a: unknown[]): unknown => (raw[name] as Raw[string])(...a);
  assert.throws(() => call('hub', 0, true, 1, 1, 1), { code: 'ERR_OUT_OF_RANGE' });
  const h = call('hub', 2, true, 100, 1000, 1000);
  assert.throws(() => call('front', h), { code: 'ERR_NOT_WATCHED' });
  assert.throws(() => call('watch', {}, () => {}), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => call('watch', h, 1));
  call('watch', h, () => {});
  assert.throws(() => call('watch', h, () => {}), { code: 'ERR_WATCHED' });
  const f = call('front', h);
  assert.throws(() => call('listen', h, f, new Uint8Array(3), 1), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => call('listen', h, f, new Uint8Array(200), 1), { code: 'ERR_OUT_OF_RANGE' });
  assert.ok((call('listen', h, f, new Uint8Array(16), 1) as number) < 0);
  const name = new Uint8Array(16);
  name[0] = 2;
  const s = call('server', h, f, name, undefined) as number;
  assert.equal(call('turns', h, f, new Uint8Array(Uint32Array.of(s).buffer)), 0);
  assert.equal(call('dropServer', h, s), -16); // it has a turn
  for (const [name, ...a] of [
    ['listen', 5, new Uint8Array(16), 1],
    ['server', 5, new Uint8Array(16), undefined],
    ['turns', 5, undefined],
    ['turns', f, new Uint8Array(Uint32Array.of(77).buffer)],
    ['take', 5, s, undefined],
    ['tally', 77, new Uint8Array(40)],
    ['dropServer', 77],
    ['dropFront', 77],
  ] as const)
    assert.equal(call(name, h, ...a), -9, name);
  assert.throws(() => call('take', h, -1, s, undefined), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => call('tally', h, s, new Uint8Array(8)), { code: 'ERR_OUT_OF_RANGE' });
  call('close', h);
  call('close', h);
  assert.throws(() => call('front', h), { code: 'ERR_HANDLE_CLOSED' });
});
test('a worker that ends in the midst of it closes all its ends', async () => {
  const code = `
    const { connect } = require('node:net');
    const { parentPort } = require('node:worker_threads');
    const raw = require(${JSON.stringify(ADDON)});
    const h = raw.hub(2, true, 100, 1000, 1000);
    raw.watch(h, () => parentPort.postMessage('asked'));
    const f = raw.front(h);
    raw.turns(h, f, undefined);
    const name = new Uint8Array(16); name[0] = 2; name.set([127, 0, 0, 1], 4);
    const view = new DataView(name.buffer);
    for (let port = 20000; ; port++) { view.setUint16(2, port); if (raw.listen(h, f, name, 5) >= 0) { connect(port, '127.0.0.1'); break; } }`;
  const before = await settled(descriptors);
  for (let i = 0; i < 10; i++) {
    const w = new Worker(code, { eval: true });
    await once(w, 'message');
    await w.terminate();
  }
  await until(`no more than the ${before} descriptors of before`, () => descriptors() <= before);
});
