import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  Answers,
  clientFlags,
  type Dialect,
  goRequest,
  MemoryServer,
  negotiate,
  send,
} from '../../test/support/exports.ts';
import { Random } from '../base/index.ts';
import {
  encodeOption,
  encodeRequest,
  NBD_CHUNK,
  NBD_COMMAND,
  NBD_COMMAND_FLAG,
  NBD_ERROR,
  NBD_OPTION,
} from '../wire/index.ts';

const dialects: readonly Dialect[] = ['simple', 'structured', 'extended'];
const { read, write, flush, trim, cache, writeZeroes, blockStatus, disconnect } = NBD_COMMAND;

/** One request alone, run to its answer. */
function ask(
  w: MemoryServer,
  s: ReturnType<MemoryServer['connect']>,
  dialect: Dialect,
  r: { type: number; offset?: number; length?: number; flags?: number; payload?: Uint8Array },
) {
  const answers = new Answers();
  answers.asked(7n, r.type, r.length ?? 0);
  const request = {
    flags: r.flags ?? 0,
    type: r.type,
    cookie: 7n,
    offset: BigInt(r.offset ?? 0),
    length: BigInt(r.length ?? 0),
  };
  send(s, request, dialect, r.payload);
  w.run();
  answers.take(s);
  return answers.finished.get(7n) ?? assert.fail('no answer');
}

for (const dialect of dialects) {
  test(`${dialect}: what is written is read back, smaller than a slot, larger, and in one piece with DF`, () => {
    const w = new MemoryServer();
    const s = w.connect();
    negotiate(w, s, dialect);
    for (const length of [512, 4096, 4608, 8192, 20480]) {
      const payload = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 0xff);
      assert.equal(ask(w, s, dialect, { type: write, offset: 1024, length, payload }).error, 0);
      for (const flags of dialect === 'simple' ? [0] : [0, NBD_COMMAND_FLAG.df]) {
        const got = ask(w, s, dialect, { type: read, offset: 1024, length, flags });
        assert.deepEqual(got.data, [...payload]);
        if (flags !== 0) assert.equal(got.chunks.length, 1, 'DF: one chunk');
      }
    }
    assert.ok(w.allSlotsFree);
  });

  test(`${dialect}: bad requests are answered with their error, and the connection lives`, () => {
    const w = new MemoryServer();
    const s = w.connect();
    negotiate(w, s, dialect);
    const size = 65536;
    const junk = new Uint8Array(512);
    const cases = [
      [{ type: read, offset: size, length: 512 }, NBD_ERROR.EINVAL],
      [{ type: read, offset: 0, length: 0 }, NBD_ERROR.EINVAL],
      [{ type: read, offset: 1, length: 512 }, NBD_ERROR.EINVAL],
      [{ type: write, offset: size, length: 512, payload: junk }, NBD_ERROR.ENOSPC],
      [{ type: write, offset: 0, length: 512, payload: junk, flags: NBD_COMMAND_FLAG.noHole }, NBD_ERROR.EINVAL],
      [{ type: trim, offset: size - 512, length: 1024 }, NBD_ERROR.ENOSPC],
      [{ type: 77, offset: 0, length: 512 }, NBD_ERROR.EINVAL],
      [{ type: 777, offset: 0, length: 512 }, NBD_ERROR.EINVAL],
      [{ type: NBD_COMMAND.resize, offset: 0, length: 512 }, NBD_ERROR.EINVAL],
    ] as const;
    for (const [r, error] of cases) assert.equal(ask(w, s, dialect, r).error, error, JSON.stringify(r));
    if (dialect === 'simple')
      assert.equal(ask(w, s, dialect, { type: blockStatus, length: 512 }).error, NBD_ERROR.EINVAL);
    assert.equal(ask(w, s, dialect, { type: read, length: 512 }).error, 0);
    assert.ok(w.allSlotsFree && !s.closed);
  });

  test(`${dialect}: the disk's error reaches the client, in the middle of a long request too`, () => {
    for (const type of [read, write, flush, trim, writeZeroes, cache]) {
      const w = new MemoryServer();
      const s = w.connect();
      negotiate(w, s, dialect);
      w.disk.fails = -5;
      const length = 20480;
      const r = type === write ? { type, length, payload: new Uint8Array(length) } : { type, length };
      assert.equal(ask(w, s, dialect, r).error, NBD_ERROR.EIO);
      w.disk.fails = 0;
      assert.equal(ask(w, s, dialect, { type: read, length: 512 }).error, 0);
      assert.ok(w.allSlotsFree);
    }
  });
}

test('a read-only export refuses every change with EPERM, and takes the payload off the wire', () => {
  const w = new MemoryServer({ readOnly: true });
  const s = w.connect();
  negotiate(w, s, 'structured');
  const payload = new Uint8Array(20480).fill(9);
  assert.equal(ask(w, s, 'structured', { type: write, length: 20480, payload }).error, NBD_ERROR.EPERM);
  for (const type of [trim, writeZeroes])
    assert.equal(ask(w, s, 'structured', { type, length: 512 }).error, NBD_ERROR.EPERM);
  assert.equal(ask(w, s, 'structured', { type: read, length: 512 }).error, 0);
});

for (const dialect of ['structured', 'extended'] as const) {
  test(`${dialect}: block status tells holes from data, and one extent when only one is wanted`, () => {
    const w = new MemoryServer();
    const s = w.connect();
    negotiate(w, s, dialect);
    w.disk.cache.fill(1, 4096, 8192);
    const all = ask(w, s, dialect, { type: blockStatus, length: 16384 }).chunks[0];
    assert.ok(all && 'extents' in all);
    assert.deepEqual(
      all.extents.map((e) => [Number(e.length), Number(e.flags)]),
      [
        [4096, 3],
        [4096, 0],
        [8192, 3],
      ],
    );
    assert.equal(all.type, dialect === 'extended' ? NBD_CHUNK.extendedBlockStatus : NBD_CHUNK.blockStatus);
    const one = ask(w, s, dialect, { type: blockStatus, length: 16384, flags: NBD_COMMAND_FLAG.reqOne }).chunks[0];
    assert.ok(one && 'extents' in one && one.extents.length === 1);
  });
}

test('DISC: what is in flight is finished and flushed, and then the connection ends', () => {
  const w = new MemoryServer();
  const s = w.connect();
  negotiate(w, s, 'simple');
  send(s, { flags: 0, type: write, cookie: 1n, offset: 0n, length: 512n }, 'simple', new Uint8Array(512).fill(5));
  send(s, { flags: 0, type: disconnect, cookie: 2n, offset: 0n, length: 0n }, 'simple');
  send(s, { flags: 0, type: write, cookie: 3n, offset: 512n, length: 512n }, 'simple', new Uint8Array(512).fill(6));
  w.run();
  assert.equal(w.disk.durable[0], 5);
  assert.equal(w.disk.cache[512], 0, 'nothing behind DISC is carried out');
  assert.equal(s.output.length, 16, 'one reply, to the write');
  assert.ok(s.closed && w.allSlotsFree);
});

test('a wrong magic ends the connection: where the next request begins is unknown', () => {
  const w = new MemoryServer();
  const s = w.connect();
  negotiate(w, s, 'simple');
  s.push(new Uint8Array(28).fill(0x41));
  w.run();
  assert.ok(s.closed && w.allSlotsFree);
});

test('a client that never reads holds its own slots and no more, and the next one is served', () => {
  const w = new MemoryServer({ slots: { small: 8, smallBytes: 4096, large: 2, largeBytes: 8192 } });
  const greedy = w.connect();
  negotiate(w, greedy, 'simple');
  greedy.room = 0;
  for (let i = 0; i < 12_000; i++)
    send(greedy, { flags: 0, type: read, cookie: BigInt(i), offset: 0n, length: 4096n }, 'simple');
  w.run();
  assert.ok(greedy.input.length > 50_000, 'its requests wait in its own socket');
  assert.ok(w.server.clients().every((c) => c.inFlight <= 5));
  const other = w.connect();
  negotiate(w, other, 'simple');
  assert.equal(ask(w, other, 'simple', { type: read, length: 4096 }).error, 0);
  greedy.room = 1_000_000;
  w.run();
  assert.equal(greedy.output.length, 1_000_000, 'and it gets as much as it takes');
  w.server.drop((c) => c.inFlight > 0);
  assert.ok(w.allSlotsFree && greedy.closed && !other.closed);
});

test('a server that stops answers what is in flight, and tells when all are gone', () => {
  const w = new MemoryServer();
  const s = w.connect();
  negotiate(w, s, 'simple');
  const idle = w.connect();
  send(s, { flags: 0, type: write, cookie: 1n, offset: 0n, length: 512n }, 'simple', new Uint8Array(512).fill(5));
  s.wake();
  let done = 0;
  w.server.stop(() => done++);
  assert.equal(done, 0);
  w.run();
  assert.equal(done, 1);
  assert.equal(s.output.length, 16);
  assert.ok(s.closed && idle.closed && w.allSlotsFree);
});

test('a dropped client is gone at once, and what it had in flight holds nothing', () => {
  const w = new MemoryServer();
  const s = w.connect();
  negotiate(w, s, 'simple');
  send(s, { flags: 0, type: write, cookie: 1n, offset: 0n, length: 512n }, 'simple', new Uint8Array(512));
  s.wake();
  assert.equal(
    w.server.drop((c) => c.export === 'x'),
    1,
  );
  assert.ok(s.closed);
  w.run();
  assert.ok(w.allSlotsFree);
});

const operation = fc.record({
  type: fc.constantFrom(read, read, write, write, write, flush, trim, cache, writeZeroes, blockStatus, 9, 300),
  flags: fc.constantFrom(
    0,
    0,
    0,
    NBD_COMMAND_FLAG.fua,
    NBD_COMMAND_FLAG.noHole,
    NBD_COMMAND_FLAG.df,
    NBD_COMMAND_FLAG.reqOne,
  ),
  block: fc.nat(130),
  blocks: fc.nat(45),
});

test('whatever several clients ask, cut anywhere and answered in any order, each request is answered once and no slot is lost', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...dialects), fc.array(operation, { maxLength: 40 })), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.integer(),
      fc.boolean(),
      (clients, seed, leave) => {
        const random = new Random(seed);
        const w = new MemoryServer();
        const open = clients.map(([dialect, operations]) => {
          const s = w.connect();
          negotiate(w, s, dialect);
          s.gulp = 1 + (random.u32() % 3000);
          const answers = new Answers();
          operations.forEach((o, i) => {
            const length = o.blocks * 512;
            const payload = o.type === write ? new Uint8Array(length).fill(i + 1) : undefined;
            answers.asked(BigInt(i), o.type, length);
            send(
              s,
              {
                flags: o.flags,
                type: o.type,
                cookie: BigInt(i),
                offset: BigInt(o.block * 512),
                length: BigInt(length),
              },
              dialect,
              payload,
            );
          });
          return { s, answers };
        });
        const end = leave ? random.u32() % 200 : Number.POSITIVE_INFINITY;
        for (let i = 0; ; i++) {
          // Readers of any appetite.
          for (const { s } of open) s.room = random.u32() % 4 === 0 ? 0 : random.u32() % 9000;
          const due = open.filter(({ s }) => s.due);
          const idle = due.length === 0 && w.disk.pending.length === 0;
          if (idle && open.every(({ s, answers }) => s.closed || answers.open === 0)) break;
          if (i === end) for (const { s } of open) s.ended = true;
          if (due.length > 0 && (random.u32() & 1) === 1) due[random.u32() % due.length]?.s.wake();
          else if (w.disk.pending.length > 0) w.answer(random.u32());
          for (const { s, answers } of open) answers.take(s);
          assert.ok(i < 200_000, 'it never comes to rest');
        }
        if (leave) {
          for (const { s } of open) s.ended = true;
          w.run(() => random.u32());
        }
        assert.ok(w.allSlotsFree, 'a slot was lost');
        if (!leave) assert.ok(open.every(({ s }) => !s.closed));
      },
    ),
    { numRuns: 150 },
  );
});

test('at a power cut everything is there that FUA or an answered flush promised, over all connections', () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(...dialects), (seed, dialect) => {
      const random = new Random(seed);
      const w = new MemoryServer();
      const clients = [w.connect(), w.connect()];
      for (const s of clients) negotiate(w, s, dialect);
      const answers = clients.map(() => new Answers());
      /** Blocks that must be durable now, and those that a flush under way will promise. */
      const promised = new Map<number, number>();
      const written = new Map<number, number>();
      const asked = new Map<string, { block: number; value: number; fua: boolean } | { covers: Map<number, number> }>();
      let block = 0;
      for (let i = 0; i < 120; i++) {
        const c = random.u32() & 1;
        const s = clients[c] ?? assert.fail();
        const mine = answers[c] ?? assert.fail();
        const cookie = BigInt(i);
        const kind = random.u32() % 6;
        if (kind === 0) {
          asked.set(`${c}:${cookie}`, { covers: new Map(written) });
          mine.asked(cookie, flush, 0);
          send(s, { flags: 0, type: flush, cookie, offset: 0n, length: 0n }, dialect);
        } else if (block < 126) {
          // Each block is written once, so that there is one right value.
          const fua = kind === 1;
          const zero = kind === 2;
          const value = zero ? 0 : 1 + (i % 255);
          if (zero) for (const b of [w.disk.cache, w.disk.durable]) b.fill(7, block * 512, block * 512 + 512);
          asked.set(`${c}:${cookie}`, { block, value, fua: fua || zero });
          const type = zero ? writeZeroes : write;
          mine.asked(cookie, type, 512);
          const flags = fua || zero ? NBD_COMMAND_FLAG.fua : 0;
          send(
            s,
            { flags, type, cookie, offset: BigInt(block * 512), length: 512n },
            dialect,
            zero ? undefined : new Uint8Array(512).fill(value),
          );
          block++;
        }
        for (let n = random.u32() % 4; n > 0; n--) {
          const due = clients.find((x) => x.due);
          if (due) due.wake();
          else if (w.disk.pending.length > 0) w.answer(random.u32());
        }
        // What has been answered has been promised; then the power goes, and only `durable` is left.
        clients.forEach((x, k) => {
          const a = answers[k] ?? assert.fail();
          a.take(x);
          for (const [done, { error }] of a.finished) {
            assert.equal(error, 0);
            const what = asked.get(`${k}:${done}`);
            if (what && 'covers' in what) for (const [b, v] of what.covers) promised.set(b, v);
            else if (what) (what.fua ? promised : written).set(what.block, what.value);
          }
          a.finished.clear();
        });
        for (const [b, v] of promised) assert.equal(w.disk.durable[b * 512], v, `block ${b} was promised`);
      }
    }),
    { numRuns: 60 },
  );
});

test('no bytes whatever crash the server, in the handshake or behind it', () => {
  const valid = [
    ...[1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12].map((option) => encodeOption({ option, data: goRequest('x') })),
    ...[0, 1, 2, 3, 4, 5, 6, 7, 8].map((type) =>
      encodeRequest({ extended: type % 2 === 0, flags: 0, type, cookie: 5n, offset: 0n, length: 512n }),
    ),
  ];
  fc.assert(
    fc.property(
      fc.constantFrom('raw', 'flags', ...dialects),
      fc.array(fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(...valid)), { maxLength: 12 }),
      fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 3 }),
      (start, parts, damage) => {
        const w = new MemoryServer();
        const s = w.connect();
        if (start === 'flags') s.push(clientFlags(1));
        else if (start !== 'raw') negotiate(w, s, start as Dialect);
        const all = Buffer.concat(parts);
        for (const [at, value] of damage) if (at < all.length) all[at] = value;
        s.push(all);
        w.run();
        s.ended = true;
        w.run();
        assert.ok(s.closed, 'its end is seen');
        assert.ok(w.allSlotsFree, 'a slot was lost');
        assert.equal(w.server.clients().length, 0);
      },
    ),
    { numRuns: 2000 },
  );
});

test('an option with more data than anybody needs is read past and refused', () => {
  const w = new MemoryServer();
  const s = w.connect();
  s.push(clientFlags(3));
  s.push(encodeOption({ option: NBD_OPTION.go, data: new Uint8Array(200_000) }));
  s.push(encodeOption({ option: NBD_OPTION.list, data: new Uint8Array(0) }));
  w.run();
  assert.ok(!s.closed);
  const said = Buffer.from(s.output).toString('latin1');
  assert.ok(said.includes('200000 bytes'));
  assert.ok(said.includes('a test'), 'and the list came behind it');
});
