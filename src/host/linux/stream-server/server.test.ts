import assert from 'node:assert/strict';
import { once } from 'node:events';
import { lstatSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { IpAddress } from '../../../base/index.ts';
import type { ServerStream, StreamAddress } from '../../index.ts';
import { loadNative } from '../native.ts';
import type { StreamsAddon } from './addon.ts';
import { linuxStreamServer } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'streams-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const opened = linuxStreamServer();
const streams = opened.ok ? opened.value : assert.fail('npm run setup builds the addon');
const none = new Uint8Array(0);
const EAGAIN = -11;
const local = (port = 0): StreamAddress => ({ kind: 'tcp', address: '127.0.0.1' as IpAddress, port });
const descriptors = (): number => readdirSync('/proc/self/fd').length;

async function pair(address: StreamAddress): Promise<{ server: ServerStream; client: Socket; close: () => void }> {
  let accepted: (s: ServerStream) => void = () => {};
  const arrived = new Promise<ServerStream>((resolve) => {
    accepted = resolve;
  });
  const l = streams.listen(address, (s) => accepted(s));
  assert.ok(l.ok, l.ok ? '' : l.error.code);
  const client = address.kind === 'unix' ? connect(address.path) : connect(l.value.port, '127.0.0.1');
  client.on('error', () => {});
  const server = await arrived;
  return { server, client, close: () => l.value.close() };
}

for (const address of [local(), { kind: 'unix', path: join(folder, 's') }] as const) {
  test(`${address.kind}: bytes go both ways, from two places at once, and the end is seen`, async () => {
    const { server, client, close } = await pair(address);
    const room = new Uint8Array(64);
    let wakes = 0;
    server.watch(() => wakes++);
    assert.equal(server.receive(room, 0, 64), EAGAIN);
    client.write('hello');
    while (wakes === 0) await sleep(1);
    assert.equal(server.receive(room, 10, 64), 5);
    assert.equal(Buffer.from(room.subarray(10, 15)).toString(), 'hello');
    const head = Buffer.from('..head..');
    const tail = Buffer.from('..tail..');
    assert.equal(server.send(head, 2, 6, tail, 2, 6), 8);
    assert.equal((await once(client, 'data'))[0].toString(), 'headtail');
    client.end();
    wakes = 0;
    while (wakes === 0) await sleep(1);
    assert.equal(server.receive(room, 0, 64), 0);
    server.close();
    server.close();
    assert.ok(server.receive(room, 0, 64) < 0 && server.send(room, 0, 1, none, 0, 0) < 0);
    close();
    client.destroy();
  });

  test(`${address.kind}: a full peer is told, waited for, and gets every byte in order`, async () => {
    const { server, client, close } = await pair(address);
    const all = Uint8Array.from({ length: 4 << 20 }, (_, i) => (i * 31) & 0xff);
    let from = 0;
    let full = 0;
    client.pause();
    const push = (): void => {
      while (from < all.length) {
        const n = server.send(all, from, Math.min(from + 65536, all.length), none, 0, 0);
        if (n === EAGAIN) {
          full++;
          server.interest(false, true);
          return;
        }
        assert.ok(n > 0);
        from += n;
      }
      server.interest(false, false);
      server.close();
    };
    server.watch(push);
    push();
    assert.ok(full > 0 && from < all.length);
    // The kernel may make room once more when it has passed on what it took; then there is none, and nobody is woken.
    for (let before = 0, i = 0; before !== full; i++) {
      assert.ok(i < 100, `a stream that is not writable woke ${full} times`);
      before = full;
      await sleep(50);
    }
    assert.ok(from < all.length);
    const got: Buffer[] = [];
    client.on('data', (b: Buffer) => got.push(b));
    client.resume();
    await once(client, 'end');
    assert.ok(Buffer.compare(Buffer.concat(got), all) === 0);
    close();
    client.destroy();
  });
}

test('without interest in reading nothing is read, and nobody woken', async () => {
  const { server, client, close } = await pair(local());
  let wakes = 0;
  server.watch(() => wakes++);
  server.interest(false, false);
  client.write('x');
  await sleep(30);
  assert.equal(wakes, 0);
  server.interest(true, false);
  while (wakes === 0) await sleep(1);
  server.close();
  close();
  client.destroy();
});

test('a reset peer is an error, not an endless wake', async () => {
  const { server, client, close } = await pair(local());
  const room = new Uint8Array(8);
  let seen = 1;
  let wakes = 0;
  server.watch(() => {
    wakes++;
    seen = server.receive(room, 0, 8);
    if (seen <= 0 && seen !== EAGAIN) server.close();
  });
  client.resetAndDestroy();
  while (seen > 0 || seen === EAGAIN) await sleep(1);
  await sleep(20);
  assert.ok(wakes < 5);
  close();
});

test('a unix socket is 0600 from the start, a stale one is replaced, a living one or a file is not', async () => {
  const path = join(folder, 'own');
  const first = streams.listen({ kind: 'unix', path }, () => {});
  assert.ok(first.ok);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const second = streams.listen({ kind: 'unix', path }, () => {});
  assert.ok(!second.ok && second.error.code === 'EADDRINUSE');
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  const third = streams.listen({ kind: 'unix', path: file }, () => {});
  assert.ok(!third.ok);
  assert.ok(statSync(file).isFile());
  first.value.close();
  assert.throws(() => statSync(path), { code: 'ENOENT' });
});

test('a listener that closes takes away its own name, and not that of one who came after it', () => {
  const path = join(folder, 'renewed');
  const first = streams.listen({ kind: 'unix', path }, () => {});
  assert.ok(first.ok);
  rmSync(path);
  const second = streams.listen({ kind: 'unix', path }, () => {});
  assert.ok(second.ok);
  first.value.close();
  assert.ok(statSync(path).isSocket());
  second.value.close();
  assert.throws(() => statSync(path), { code: 'ENOENT' });
});

test('a link in the place of the socket is neither followed nor removed', () => {
  const path = join(folder, 'link');
  const target = join(folder, 'target');
  writeFileSync(target, 'precious');
  symlinkSync(target, path);
  assert.ok(!streams.listen({ kind: 'unix', path }, () => {}).ok);
  assert.ok(lstatSync(path).isSymbolicLink() && statSync(target).size === 8);
});

test('a client finds a server, is told of its end, and lends its connection to another', async () => {
  const path = join(folder, 'client');
  assert.ok(!streams.connect({ kind: 'unix', path }).ok);
  let served: ServerStream | undefined;
  const l = streams.listen({ kind: 'unix', path }, (s) => {
    served = s;
  });
  const c = streams.connect({ kind: 'unix', path });
  assert.ok(l.ok && c.ok);
  const before = descriptors();
  assert.ok(c.value.lend((fd) => fd) > 2);
  assert.equal(descriptors(), before);
  let wakes = 0;
  c.value.watch(() => wakes++);
  c.value.watchEnd();
  while (served === undefined) await sleep(1);
  served.send(Buffer.from('for another'), 0, 11, none, 0, 0);
  await sleep(30);
  assert.equal(wakes, 0, 'data are the business of another');
  served.close();
  while (wakes === 0) await sleep(1);
  c.value.close();
  l.value.close();
});

test('the addon refuses wrong arguments with a code, and never crashes', () => {
  const loaded = loadNative<StreamsAddon>('streams');
  assert.ok(loaded.ok);
  const addon = loaded.value as unknown as Record<string, (...a: unknown[]) => unknown>;
  const counts: Record<string, number> = {
    listen: 4,
    accept: 1,
    name: 4,
    peer: 4,
    receive: 4,
    send: 7,
    watch: 3,
    attend: 3,
    interest: 2,
    detach: 1,
    close: 1,
    dismiss: 1,
    connect: 3,
    duplicate: 1,
    dial: 8,
    buffers: 3,
  };
  assert.deepEqual(Object.keys(addon).sort(), Object.keys(counts).sort());
  const wrong = [
    undefined,
    null,
    -1,
    1.5,
    Number.NaN,
    2 ** 60,
    'x',
    {},
    [],
    new Uint8Array(4),
    new Int32Array(4),
    () => {},
  ];
  for (const [name, count] of Object.entries(counts)) {
    const call = addon[name] as (...a: unknown[]) => unknown;
    for (let n = 0; n <= 8; n++)
      if (n !== count) assert.throws(() => call(...Array(n).fill(0)), { code: 'ERR_MISSING_ARGS' });
    for (const bad of wrong)
      for (let place = 0; place < count; place++) {
        const args: unknown[] = Array(count).fill(0);
        args[place] = bad;
        assert.throws(
          () => call(...args),
          (e: NodeJS.ErrnoException) => e.code?.startsWith('ERR_') === true,
          `${name} ${place} ${String(bad)}`,
        );
      }
  }
  const short = new Uint8Array(1);
  assert.throws(() => addon['listen']?.(short, 0, 1, 5), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => addon['listen']?.(new Uint8Array(16), 0, 17, 5), { code: 'ERR_OUT_OF_RANGE' });
});

test('connections that are closed, collected or detached leave no descriptor behind', async () => {
  const before = descriptors();
  for (let i = 0; i < 20; i++) {
    const { server, client, close } = await pair(local());
    server.close();
    close();
    client.destroy();
  }
  for (let i = 0; i < 6000 && descriptors() > before + 2; i++) await sleep(10);
  assert.ok(descriptors() <= before + 2, `${before} became ${descriptors()}`);
});

test('a worker that ends while it listens and serves takes all along, and the process lives', async () => {
  for (let i = 0; i < 3; i++) {
    const path = join(folder, `worker-${i}`);
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       import('${import.meta.dirname}/index.ts').then(({ linuxStreamServer }) => {
        const { value } = linuxStreamServer();
        value.listen({ kind: 'unix', path: ${JSON.stringify(path)} }, (s) => { s.watch(() => {}); parentPort.postMessage('accepted'); });
        parentPort.postMessage('listening');
      })`,
      { eval: true },
    );
    await once(worker, 'message');
    const client = connect(path);
    client.on('error', () => {});
    await once(worker, 'message');
    await worker.terminate();
    client.destroy();
  }
});
