import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Addon, type EpollHandle, errnoName, loadAddon, type SocketHandle, type TimerHandle } from './addon.ts';
import { Batch } from './batch.ts';
import { AF_INET, AF_UNIX, SOCK_DGRAM, sockaddrIp } from './sockaddr.ts';

const loadedAddon = loadAddon();
assert.ok(loadedAddon.ok, 'npm run setup builds the addon');
const addon: Addon = loadedAddon.value;
const LOOPBACK = '127.0.0.1' as Parameters<typeof sockaddrIp>[0];

function udp(): { socket: SocketHandle; batch: Batch; name: Uint8Array } {
  const socket = addon.open(AF_INET, SOCK_DGRAM, 0);
  assert.ok(typeof socket !== 'number');
  const name = sockaddrIp(LOOPBACK, 0, 0);
  assert.equal(addon.bind(socket, name), 0);
  assert.equal(addon.localName(socket, name), 16);
  return { socket, batch: new Batch(addon, socket, 8, 512, 0), name };
}
const timer = (): TimerHandle => {
  const t = addon.timer();
  assert.ok(typeof t !== 'number');
  return t;
};
const epoll = (): EpollHandle => {
  const e = addon.epoll();
  assert.ok(typeof e !== 'number');
  return e;
};
const openFiles = (): number => readdirSync('/proc/self/fd').length;

test('every function refuses every wrong kind of argument in every place, and never crashes', () => {
  const { socket, name } = udp();
  const clock = timer();
  const poll = epoll();
  const nothing = (): void => {};
  const four = new Uint8Array(4);
  /** Arguments that would do, chosen so that the few calls that still fit change nothing. */
  const good: Record<keyof Addon, readonly unknown[]> = {
    open: [AF_INET, SOCK_DGRAM, 0],
    close: [socket],
    bind: [socket, name],
    connect: [socket, name],
    localName: [socket, new Uint8Array(16)],
    setOption: [socket, 1, 6, four],
    getOption: [socket, 1, 6, four],
    ioctl: [socket, 0x8913, new Uint8Array(40)],
    send: [socket, four, name, undefined, 0],
    batch: [socket, 4, 64, 0],
    receive: [socket],
    receiveInto: [socket, four],
    detach: [socket],
    epoll: [],
    epollMemory: [poll, 4],
    epollSet: [poll, socket, 1, 1],
    epollTake: [poll],
    watch: [socket, nothing],
    unwatch: [socket],
    keepAlive: [socket, true],
    now: [],
    wallOffset: [],
    timer: [],
    arm: [clock, 0],
    setScheduler: [0, 0],
    getScheduler: [],
    setNice: [0],
    setAffinity: [four],
    getAffinity: [four],
    enterNetwork: ['/proc/self/ns/net'],
  };
  assert.deepEqual(Object.keys(good).sort(), Object.keys(addon).sort(), 'the table names every function');
  const foreign = Object.create(socket as object) as object;
  const wrong: readonly unknown[] = [
    undefined,
    null,
    true,
    'text',
    '',
    'nul\0inside',
    'x'.repeat(10_000),
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 31,
    2 ** 53,
    10n,
    Symbol('s'),
    {},
    [],
    foreign,
    new Proxy({}, {}),
    new Proxy(socket as object, {}),
    () => 1,
    new Uint8Array(0),
    new Uint8Array(1),
    new Uint8Array(1 << 20),
    new Int8Array(16),
    new Uint16Array(16),
    new Float64Array(4),
    new DataView(new ArrayBuffer(16)),
    new ArrayBuffer(16),
    clock,
  ];
  const codes = new Set<string>();
  let refused = 0;
  for (const [f, fits] of Object.entries(good)) {
    if (f === 'setScheduler' || f === 'setNice' || f === 'setAffinity' || f === 'close') continue;
    const call = (addon as unknown as Record<string, (...a: unknown[]) => unknown>)[f]!;
    for (let i = 0; i < fits.length; i++) {
      for (const w of wrong) {
        const a = [...fits];
        a[i] = w;
        try {
          call(...a);
        } catch (e) {
          refused++;
          codes.add((e as { code: string }).code);
        }
      }
    }
    if (f === 'now' || f === 'wallOffset') continue;
    assert.throws(() => call(...fits, 1), { code: 'ERR_MISSING_ARGS' }, f);
    if (fits.length > 0) assert.throws(() => call(...fits.slice(0, -1)), { code: 'ERR_MISSING_ARGS' }, f);
  }
  for (const f of ['setScheduler', 'setNice', 'setAffinity', 'close'] as const) {
    const call = addon[f] as (...a: unknown[]) => unknown;
    for (const w of [undefined, null, 'text', {}, -100, 1.5, 1000, new Int8Array(4)])
      assert.throws(() => call(w, ...good[f].slice(1)), Error, `${f} ${String(w)}`);
  }
  assert.ok(refused > 900, `${refused} refused`);
  assert.deepEqual([...codes].sort(), ['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE']);
  addon.close(socket);
  addon.close(poll);
  addon.close(clock);
});

test('a closed handle is refused with its own code, and closing again is harmless', () => {
  const { socket, name } = udp();
  const t = timer();
  for (const h of [socket, t, socket, t]) addon.close(h);
  const b = new Uint8Array(40);
  for (const use of [
    () => addon.bind(socket, name),
    () => addon.connect(socket, name),
    () => addon.localName(socket, b),
    () => addon.setOption(socket, 1, 6, b),
    () => addon.getOption(socket, 1, 6, b),
    () => addon.ioctl(socket, 0x8913, b),
    () => addon.send(socket, b, name, undefined, 0),
    () => addon.batch(socket, 1, 64, 0),
    () => addon.receive(socket),
    () => addon.watch(socket, () => {}),
    () => addon.unwatch(socket),
    () => addon.keepAlive(socket, true),
    () => addon.arm(t, 1),
    () => addon.watch(t, () => {}),
  ])
    assert.throws(use, { code: 'ERR_HANDLE_CLOSED' });
});

test('options and requests whose value is a pointer are refused', () => {
  const { socket } = udp();
  const b = new Uint8Array(40);
  for (const [level, option] of [
    [1, 26],
    [1, 51],
    [0, 64],
    [41, 64],
  ] as const)
    assert.throws(() => addon.setOption(socket, level, option, b), { code: 'ERR_OPTION_HOLDS_POINTER' });
  assert.throws(() => addon.ioctl(socket, 0x8946, b), { code: 'ERR_OPTION_HOLDS_POINTER' });
  addon.close(socket);
});

test('what the kernel refuses is the negative errno', () => {
  const r = addon.open(255, SOCK_DGRAM, 0);
  assert.equal(typeof r, 'number');
  assert.equal(errnoName(r as number), 'EAFNOSUPPORT');
  const { socket } = udp();
  assert.equal(errnoName(addon.connect(socket, new Uint8Array(2).fill(255))), 'EINVAL');
  addon.close(socket);
  assert.equal(errnoName(addon.enterNetwork('/nowhere')), 'ENOENT');
});

test('packets come in batches with their source, and one wake is one call', async () => {
  const { socket, batch, name } = udp();
  for (const word of ['one', 'two', 'three']) addon.send(socket, Buffer.from(word), name, undefined, 0);
  const n = await new Promise<number>((r) => addon.watch(socket, r));
  assert.equal(n, 3);
  assert.deepEqual(
    [0, 1, 2].map((i) => Buffer.from(batch.payload(i)).toString()),
    ['one', 'two', 'three'],
  );
  const at = batch.nameAt(0);
  assert.deepEqual(batch.bytes.subarray(at, at + batch.nameLength(0)), name);
  assert.equal(addon.receive(socket), 0);
  addon.close(socket);
});

test('a batch whose memory was transferred away is an error, not a crash', () => {
  const { socket, batch, name } = udp();
  structuredClone(batch.bytes.buffer, { transfer: [batch.bytes.buffer as ArrayBuffer] });
  addon.send(socket, name, name, undefined, 0);
  assert.equal(errnoName(addon.receive(socket)), 'ENOBUFS');
  addon.close(socket);
});

test('a new batch in the middle of a callback is served from then on', async () => {
  const { socket, name } = udp();
  let batch: Batch | undefined;
  addon.send(socket, Buffer.from('a'), name, undefined, 0);
  const second = await new Promise<string>((done) => {
    addon.watch(socket, () => {
      if (batch) return done(Buffer.from(batch.payload(0)).toString());
      batch = new Batch(addon, socket, 2, 64, 0);
      addon.send(socket, Buffer.from('b'), name, undefined, 0);
    });
  });
  assert.equal(second, 'b');
  addon.close(socket);
});

test('a handle may be closed, unwatched and watched again inside its own callback', async () => {
  const { socket, name } = udp();
  addon.send(socket, name, name, undefined, 0);
  await new Promise<void>((done) => {
    addon.watch(socket, () => {
      addon.unwatch(socket);
      addon.send(socket, name, name, undefined, 0);
      addon.watch(socket, () => {
        addon.close(socket);
        addon.close(socket);
        done();
      });
    });
  });
  assert.throws(() => addon.receive(socket), { code: 'ERR_HANDLE_CLOSED' });
});

test('a pending socket error is reported, and watching goes on', async () => {
  const { socket, name } = udp();
  const other = udp();
  addon.close(other.socket); // a port where nobody listens
  addon.connect(socket, other.name);
  const seen: number[] = [];
  let told = (): void => {};
  addon.watch(socket, (n) => {
    seen.push(n);
    told();
  });
  // A packet behind an error that nobody has heard of is not sent: it is told of the error instead.
  for (let i = 0; i < 2; i++) {
    const reported = new Promise<void>((done) => {
      told = done;
    });
    addon.send(socket, name, undefined, undefined, 0);
    await reported;
  }
  assert.deepEqual(seen.map(errnoName), ['ECONNREFUSED', 'ECONNREFUSED']);
  addon.close(socket);
});

test('10,000 handles opened and closed leave no file open', async () => {
  await new Promise((r) => setTimeout(r, 10));
  const before = openFiles();
  for (let i = 0; i < 10_000; i++) {
    const s = i % 2 === 0 ? addon.open(AF_UNIX, SOCK_DGRAM, 0) : addon.timer();
    assert.ok(typeof s !== 'number');
    if (i % 4 === 1) addon.watch(s, () => {});
    addon.close(s);
    if (i % 1000 === 0) await new Promise((r) => setImmediate(r));
  }
  assert.ok(openFiles() <= before);
});

/** Runs a module that has `addon`, `udp` and `openFiles`, in a process of its own. */
function child(body: string, ...flags: string[]): string {
  const source = `
    import { readdirSync } from 'node:fs';
    import { Worker } from 'node:worker_threads';
    import { loadAddon } from ${JSON.stringify(join(import.meta.dirname, 'addon.ts'))};
    const addon = loadAddon().value;
    const openFiles = () => readdirSync('/proc/self/fd').length;
    const udp = () => { const s = addon.open(2, 2, 0); const n = new Uint8Array(16); n[0] = 2; n[4] = 127; n[7] = 1;
      addon.bind(s, n); addon.localName(s, n); addon.batch(s, 4, 64, 0); return { s, n }; };
    ${body}`;
  return execFileSync(process.execPath, [...flags, '--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: 120_000,
  });
}

test('garbage collection closes a handle that nobody watches, and spares one that is watched', () => {
  const out = child(
    `const turn = () => new Promise((r) => setTimeout(r, 5));
     const { s, n } = udp();
     await turn();
     const before = openFiles();
     for (let i = 0; i < 100; i++) udp();
     (() => { const { s } = udp(); addon.watch(s, () => {}); addon.keepAlive(s, false); })();
     for (let i = 0; i < 5; i++) { gc(); await turn(); }
     console.log(openFiles() - before);`,
    '--expose-gc',
  );
  assert.equal(out, '1\n');
});

test('a callback that throws is an uncaught exception, and the socket goes on', () => {
  const out = child(`process.on('uncaughtException', (e) => console.log(e.message));
    const { s, n } = udp(); let calls = 0;
    addon.watch(s, () => { if (++calls === 2) { addon.close(s); console.log('second'); return; }
      addon.send(s, n, n, undefined, 0); throw new Error('boom'); });
    addon.send(s, n, n, undefined, 0);`);
  assert.equal(out, 'boom\nsecond\n');
});

test('process.exit inside a callback, with watched sockets and an armed timer, ends the process orderly', () => {
  const out = child(`const { s, n } = udp(); const t = addon.timer(); addon.watch(t, () => {}); addon.arm(t, 9e15);
    addon.watch(s, () => { console.log('exit'); process.exit(0); }); addon.send(s, n, n, undefined, 0);`);
  assert.equal(out, 'exit\n');
});

test('workers that end, are terminated or exit with open handles leave none, and the process lives', async () => {
  const before = openFiles();
  const source = `
    const { createRequire } = require('node:module');
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.addon).then(({ loadAddon }) => {
      const addon = loadAddon().value;
      for (let i = 0; i < 20; i++) {
        const s = addon.open(2, 2, 0);
        addon.batch(s, 4, 64, 0);
        if (i % 2) { addon.watch(s, () => {}); addon.keepAlive(s, workerData.how === 'terminate'); }
        const t = addon.timer();
        addon.watch(t, () => {});
        addon.arm(t, addon.now() + 1000 * i);
        addon.keepAlive(t, workerData.how === 'terminate');
      }
      parentPort.postMessage('ready');
      if (workerData.how === 'exit') process.exit(0);
    });`;
  for (const how of ['end', 'terminate', 'exit', 'terminate']) {
    const w = new Worker(source, { eval: true, workerData: { addon: join(import.meta.dirname, 'addon.ts'), how } });
    const exit = once(w, 'exit');
    const [first] = await once(w, 'message');
    assert.equal(first, 'ready');
    if (how === 'terminate') void w.terminate();
    await exit;
  }
  assert.ok(openFiles() <= before + 2, `${openFiles()} open, ${before} before`);
});
