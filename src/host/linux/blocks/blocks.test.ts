/** One suite for both back ends, on files and on a loop device where there is one. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import type { BlockDevice, BlockOpenOptions, BlockQueue } from '../../index.ts';
import { loadUringAddon } from './addon.ts';
import { linuxBlocks } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocks-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const MIB = 1 << 20;
let made = 0;
function file(size: number, fill = 0): string {
  const path = join(folder, `file-${made++}`);
  writeFileSync(path, Buffer.alloc(fill === 0 ? 0 : size, fill));
  truncateSync(path, size);
  return path;
}

/** A queue whose requests are promises. */
class Bench {
  readonly queue: BlockQueue;
  readonly #waiting = new Map<number, (result: number) => void>();
  #tag = 0;
  constructor(engine: 'io_uring' | 'fs', requests = 64, slabBytes = 4 * MIB) {
    const q = linuxBlocks({ requests, slabBytes, engine });
    assert.ok(q.ok, q.ok ? '' : `${q.error.code} ${q.error.doing.en}`);
    this.queue = q.value;
  }
  open(path: string, o: Partial<BlockOpenOptions> = {}): BlockDevice {
    const d = this.queue.open(path, { readOnly: false, direct: 'auto', ...o });
    assert.ok(d.ok, d.ok ? '' : `${d.error.code} ${d.error.doing.en}`);
    d.value.onDone((tag, result) => {
      const told = this.#waiting.get(tag) ?? assert.fail(`tag ${tag} was answered twice`);
      this.#waiting.delete(tag);
      told(result);
    });
    return d.value;
  }
  ask(run: (tag: number) => void): Promise<number> {
    const tag = this.#tag++;
    return new Promise((resolve) => {
      this.#waiting.set(tag, resolve);
      run(tag);
    });
  }
}

const loaded = loadUringAddon();
assert.ok(loaded.ok, 'npm run setup builds the addon');
const offered = linuxBlocks({ requests: 8, slabBytes: MIB, engine: 'io_uring' });
if (offered.ok) offered.value.close();

for (const engine of ['io_uring', 'fs'] as const) {
  const options = { skip: engine === 'io_uring' && !offered.ok ? 'io_uring is switched off here' : false };
  const direct = ['no', 'auto'] as const;

  for (const way of direct) {
    test(
      `${engine}, direct ${way}: what is written is read back, at the edges and in the middle`,
      options,
      async () => {
        const b = new Bench(engine);
        const d = b.open(file(MIB), { direct: way });
        const region = b.queue.reserve(8, 256 * 1024) ?? assert.fail('no room');
        for (const [offset, length] of [
          [0, 4096],
          [MIB - 4096, 4096],
          [512 * 100, 65536],
        ] as const) {
          const pattern = Buffer.alloc(length, offset % 251 || 7);
          b.queue.slab.set(pattern, region.at);
          assert.equal(await b.ask((t) => d.write(t, region.at, length, offset, false)), 0);
          b.queue.slab.fill(0, region.at + length, region.at + 2 * length);
          const to = region.at + 65536;
          assert.equal(await b.ask((t) => d.read(t, to, length, offset)), 0);
          assert.ok(Buffer.compare(b.queue.slab.subarray(to, to + length), pattern) === 0);
        }
        assert.equal(await b.ask((t) => d.flush(t)), 0);
        b.queue.close();
      },
    );
  }

  test(`${engine}: any mixture of writes beside each other ends as the same bytes`, options, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.record({ block: fc.nat(63), fill: fc.integer({ min: 1, max: 255 }) }), {
          selector: (w) => w.block,
          maxLength: 40,
        }),
        async (writes) => {
          const b = new Bench(engine);
          const path = file(64 * 4096);
          const d = b.open(path);
          const region = b.queue.reserve(40, 40 * 4096) ?? assert.fail('no room');
          const expected = Buffer.alloc(64 * 4096);
          await Promise.all(
            writes.map(({ block, fill }, i) => {
              const at = region.at + i * 4096;
              b.queue.slab.fill(fill, at, at + 4096);
              expected.fill(fill, block * 4096, block * 4096 + 4096);
              return b.ask((t) => d.write(t, at, 4096, block * 4096, i % 3 === 0));
            }),
          ).then((results) => assert.ok(results.every((r) => r === 0)));
          assert.equal(await b.ask((t) => d.flush(t)), 0);
          assert.ok(Buffer.compare(readFileSync(path), expected) === 0);
          b.queue.close();
        },
      ),
      { numRuns: 20 },
    );
  });

  test(`${engine}: a discarded part is a hole and reads as zeros`, options, async () => {
    const b = new Bench(engine);
    const path = file(MIB, 0x55);
    const d = b.open(path);
    const before = statSync(path).blocks;
    assert.equal(await b.ask((t) => d.discard(t, 512 * 1024, 65536)), 0);
    assert.ok(statSync(path).blocks < before, 'the file gave space back');
    assert.equal(
      readFileSync(path)
        .subarray(65536, 65536 + 512 * 1024)
        .findIndex((x) => x !== 0),
      -1,
    );
    assert.deepEqual(d.extents(0, MIB, 10), [
      { length: 65536, hole: false },
      { length: 512 * 1024, hole: true },
      { length: MIB - 65536 - 512 * 1024, hole: false },
    ]);
    assert.deepEqual(d.extents(0, MIB, 1), [{ length: 65536, hole: false }], 'not more pieces than asked for');
    b.queue.close();
  });

  for (const keep of [true, false]) {
    test(`${engine}: zeroing with keep=${keep} reads as zeros and leaves the neighbours`, options, async () => {
      const b = new Bench(engine);
      const path = file(MIB, 0x55);
      const d = b.open(path);
      assert.equal(await b.ask((t) => d.zero(t, 300 * 1024, 4096, { keep, fast: false })), 0);
      const now = readFileSync(path);
      assert.equal(
        now.subarray(4096, 4096 + 300 * 1024).findIndex((x) => x !== 0),
        -1,
      );
      assert.equal(now[4095], 0x55);
      assert.equal(now[4096 + 300 * 1024], 0x55);
      b.queue.close();
    });
  }

  test(`${engine}: requests outside the device are refused, and the device goes on`, options, async () => {
    const b = new Bench(engine);
    const d = b.open(file(65536));
    for (const [offset, length] of [
      [65536, 4096],
      [61440, 8192],
      [-4096, 4096],
      [0, 0],
    ] as const)
      assert.equal(await b.ask((t) => d.read(t, 0, length, offset)), -22);
    if (d.unit > 1) assert.equal(await b.ask((t) => d.read(t, 0, 100, 0)), -22);
    assert.equal(await b.ask((t) => d.read(t, 0, 4096, 0)), 0);
    b.queue.close();
  });

  test(`${engine}: a file cut short under us is an I/O error, not an endless loop`, options, async () => {
    const b = new Bench(engine);
    const path = file(65536);
    const d = b.open(path);
    truncateSync(path, 4096);
    assert.equal(await b.ask((t) => d.read(t, 0, 8192, 0)), -5);
    const grown = d.refresh();
    assert.ok(grown.ok && grown.value === 4096);
    b.queue.close();
  });

  test(`${engine}: a read-only device refuses writes`, options, async () => {
    const b = new Bench(engine);
    const d = b.open(file(65536), { readOnly: true });
    assert.equal(d.readOnly, true);
    assert.ok((await b.ask((t) => d.write(t, 0, 4096, 0, false))) < 0);
    b.queue.close();
  });

  test(`${engine}: a full disk is told, and the flush after it is not poisoned by it`, options, async (t) => {
    const small = smallDisk(t.signal);
    if (small === undefined) return t.skip('needs root');
    const b = new Bench(engine);
    const path = `${await small}/f`;
    writeFileSync(path, '');
    truncateSync(path, 8 * MIB);
    const d = b.open(path);
    b.queue.slab.fill(1, 0, MIB);
    const results: number[] = [];
    for (let i = 0; i < 8; i++) results.push(await b.ask((g) => d.write(g, 0, MIB, i * MIB, false)));
    assert.ok(results.includes(-28), results.join());
    assert.equal(await b.ask((g) => d.flush(g)), 0);
    b.queue.close();
  });

  test(`${engine}: reservations bound the requests and the slab, and come back`, options, () => {
    const b = new Bench(engine, 16, MIB);
    const one = b.queue.reserve(10, 256 * 1024) ?? assert.fail('no room');
    assert.equal(one.at % 4096, 0);
    assert.equal(b.queue.reserve(7, 4096), undefined, 'no more requests');
    assert.equal(b.queue.reserve(1, MIB), undefined, 'no more memory');
    b.queue.release(one);
    assert.ok(b.queue.reserve(16, 512 * 1024));
    b.queue.close();
  });
}

/** A file system of 4 MiB that vanishes with its process: where it is, or undefined without root. */
function smallDisk(signal: AbortSignal): Promise<string> | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const child: ChildProcess = spawn(
    'unshare',
    ['--mount', '--kill-child', 'sh', '-c', `mount -t tmpfs -o size=4m tmpfs ${folder}; echo ready; exec cat`],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const end = (): void => {
    child.kill('SIGKILL');
  };
  signal.addEventListener('abort', end);
  after(end);
  return once(child.stdout ?? assert.fail(), 'data').then(() => `/proc/${child.pid}/root${folder}`);
}

test('the addon refuses wrong arguments with a code, and never crashes', () => {
  const addon = loaded.value as unknown as Record<string, (...a: unknown[]) => unknown>;
  const closed = loaded.value.ring(8, 65536);
  if (typeof closed !== 'number') loaded.value.close(closed);
  const wrong = [undefined, null, -1, 1.5, Number.NaN, 2 ** 60, 'x', {}, [], new Uint8Array(4), () => {}, closed];
  const counts: Record<string, number> = {
    pages: 1,
    ring: 2,
    memory: 1,
    submit: 2,
    watch: 2,
    deferred: 1,
    locked: 1,
    geometry: 2,
    seek: 3,
    allocate: 5,
  };
  for (const [name, count] of Object.entries(counts)) {
    const call = addon[name] as (...a: unknown[]) => unknown;
    for (let n = 0; n <= 8; n++) {
      if (n !== count) assert.throws(() => call(...Array(n).fill(1)), { code: 'ERR_MISSING_ARGS' }, name);
    }
    for (const bad of wrong)
      for (let place = 0; place < count; place++) {
        const args: unknown[] = Array(count).fill(-1);
        args[place] = bad;
        if (name === 'pages' || (name === 'ring' && place === 0)) continue;
        assert.throws(
          () => call(...args),
          (e: NodeJS.ErrnoException) => e.code?.startsWith('ERR_') === true,
          name,
        );
      }
  }
  assert.throws(() => addon['pages']?.(0), { code: 'ERR_OUT_OF_RANGE' });
});

test('descriptors that point outside the slab never reach the kernel', { skip: !offered.ok }, () => {
  const addon = loaded.value;
  const ring = addon.ring(8, 65536);
  assert.ok(typeof ring !== 'number');
  const d = new Int32Array(addon.memory(ring), 0, 64);
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer(), fc.integer({ min: -8, max: 8 })), { minLength: 8, maxLength: 8 }),
      (n) => {
        d.set(n);
        if (n[0]! >= 3)
          d[1] = 1_000_000; // operations without memory: on a descriptor that is none
        else if (n[2]! >= 0 && n[2]! <= 65536 && n[3]! > 0 && n[2]! + n[3]! <= 65536) d[1] = 1_000_000;
        try {
          addon.submit(ring, 1);
        } catch (e) {
          assert.equal((e as NodeJS.ErrnoException).code, 'ERR_OUT_OF_RANGE');
        }
      },
    ),
    { numRuns: 2000 },
  );
  addon.close(ring);
  assert.throws(() => addon.submit(ring, 0), { code: 'ERR_HANDLE_CLOSED' });
  d[0] = 1; // the memory outlives the ring
});

test('a worker that ends with requests in flight takes its ring along, and the process lives', {
  skip: !offered.ok,
}, async () => {
  const path = file(MIB);
  const descriptors = (): number => readFileSync('/proc/self/limits').length; // keeps the fs module busy on purpose
  for (let i = 0; i < 5; i++) {
    const worker = new Worker(
      `import('${import.meta.dirname}/index.ts').then(({ linuxBlocks }) => {
        const q = linuxBlocks({ requests: 64, slabBytes: 1 << 20, engine: 'io_uring' }).value;
        const d = q.open(${JSON.stringify(path)}, { readOnly: false, direct: 'no' }).value;
        d.onDone(() => {});
        for (let i = 0; i < 60; i++) d.write(i, 524288 + i * 4096, 4096, i * 4096, true);
        q.submit();
        process.exit(0);
      })`,
      { eval: true },
    );
    const [code] = await once(worker, 'exit');
    assert.equal(code, 0);
    descriptors();
  }
});

test('discard and zero reach a block device', async (t) => {
  const path = file(4 * MIB, 0x55);
  const loop = await loopDevice(path);
  if (loop === undefined) return t.skip('no loop device here');
  for (const engine of ['io_uring', 'fs'] as const) {
    if (engine === 'io_uring' && !offered.ok) continue;
    const b = new Bench(engine);
    const d = b.open(loop.device);
    assert.deepEqual([d.isBlockDevice, d.direct, d.size], [true, true, 4 * MIB]);
    b.queue.slab.fill(0x66, 0, 65536);
    assert.equal(await b.ask((g) => d.write(g, 0, 65536, 0, true)), 0);
    assert.equal(await b.ask((g) => d.zero(g, 65536, 65536, { keep: true, fast: false })), 0);
    assert.equal(await b.ask((g) => d.zero(g, 65536, 131072, { keep: true, fast: true })), -95);
    assert.equal(await b.ask((g) => d.discard(g, 65536, 262144)), 0);
    assert.equal(await b.ask((g) => d.flush(g)), 0);
    assert.equal(await b.ask((g) => d.read(g, 0, 131072, 0)), 0);
    assert.equal(b.queue.slab[65535], 0x66);
    assert.equal(b.queue.slab[65536], 0);
    b.queue.close();
  }
  loop.end();
});

/** Held by a child alone: the kernel takes it down when that child ends, however it ends. */
async function loopDevice(path: string): Promise<{ device: string; end: () => void } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const script = `d=$(losetup -f --show "$1") || exit 1; exec 3<"$d"; losetup -d "$d"; echo "$d"; exec cat`;
  const child = spawn('sh', ['-c', script, 'sh', path], { stdio: ['pipe', 'pipe', 'ignore'] });
  const said = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  if (!(said[0] instanceof Buffer)) return undefined;
  const device = said[0].toString().trim();
  try {
    openSync(device, 'r');
  } catch {
    child.kill();
    return undefined;
  }
  return { device, end: () => child.kill() };
}

test('of the slab no more is locked than requests have touched', { skip: !offered.ok }, async () => {
  const ring = loaded.value.ring(8, MIB);
  if (typeof ring === 'number') assert.fail(`${ring}`);
  assert.equal(loaded.value.locked(ring), 0);
  const path = openSync(file(MIB), 'r+');
  const read = (tag: number, at: number, length: number): void => {
    new Int32Array(loaded.value.memory(ring), tag * 32, 8).set([0, path, at, length, 0, 0, tag, 0]);
  };
  read(0, 4096, 8192);
  read(1, 131_072, 131_072);
  read(2, 393_216 - 4096, 8192);
  loaded.value.submit(ring, 3);
  // The last one lies in two chunks, and goes without.
  assert.equal(loaded.value.locked(ring), 262_144);
  loaded.value.close(ring);
});

test('where memory may not be locked the ring serves all the same', { skip: !offered.ok }, (t) => {
  const path = file(MIB);
  const script = `
    import { linuxBlocks } from '${import.meta.dirname}/index.ts';
    const queue = linuxBlocks({ requests: 8, slabBytes: 1 << 20, engine: 'io_uring' }).value;
    const device = queue.open(${JSON.stringify(path)}, { readOnly: false, direct: 'auto' }).value;
    queue.slab.fill(0x77, 524288, 524288 + 8192);
    device.onDone((tag, result) => {
      if (result !== 0) throw new Error('result ' + result);
      if (tag === 1) device.read(2, 786432, 8192, 4096);
      else { process.stdout.write(String(queue.slab[786432 + 8191])); process.exit(0); }
    });
    device.write(1, 524288, 8192, 4096, true);
  `;
  // The first of the two requests may lock its chunk, the second may not; then neither.
  for (const limit of [131_072, 65_536]) {
    const argv = ['--user', '--map-root-user', 'prlimit', `--memlock=${limit}`];
    const ran = spawnSync('unshare', [...argv, process.execPath, '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    if (ran.stderr.startsWith('unshare:')) return t.skip('no user namespaces here');
    assert.equal(ran.stdout, `${0x77}`, ran.stderr);
  }
});
