/** What one client may do to the others, and for how long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryServer, type MemoryStream, negotiate, send } from '../../test/support/exports.ts';
import { NBD_COMMAND } from '../wire/index.ts';

const readOf = (cookie: bigint, offset: bigint, length: bigint) => ({
  flags: 0,
  type: NBD_COMMAND.read,
  cookie,
  offset,
  length,
});
/** Asks for more than it will ever take. */
function hog(w: MemoryServer, length: bigint): MemoryStream {
  const s = w.connect();
  negotiate(w, s, 'simple');
  s.room = 0;
  for (let i = 0n; i < 60n; i++) send(s, readOf(i, 0n, length), 'simple');
  return s;
}

for (const [what, length] of [
  ['small', 4096n],
  ['large', 32_768n],
] as const)
  test(`clients that never read leave a ${what} slot for who does`, () => {
    const w = new MemoryServer({
      requestsPerConnection: 12,
      slots: { small: 12, smallBytes: 4096, large: 6, largeBytes: 32_768 },
    });
    for (let i = 0; i < 2; i++) hog(w, length);
    w.run();
    const s = w.connect();
    negotiate(w, s, 'simple');
    send(s, readOf(1n, 0n, length), 'simple');
    w.run();
    assert.equal(s.output.length, 16 + Number(length));
  });

test('a client that takes nothing for a minute is cut off, and what it held is free', () => {
  const w = new MemoryServer();
  const s = hog(w, 8192n);
  w.run();
  w.advance(59);
  assert.ok(!s.closed);
  w.advance(2);
  assert.ok(s.closed);
  assert.ok(w.allSlotsFree);
});

test('a client that sends half a write and no more is cut off; one that only sends nothing is not', () => {
  const w = new MemoryServer();
  const half = w.connect();
  negotiate(w, half, 'simple');
  send(
    half,
    { flags: 0, type: NBD_COMMAND.write, cookie: 1n, offset: 0n, length: 4096n },
    'simple',
    new Uint8Array(100),
  );
  const idle = w.connect();
  negotiate(w, idle, 'simple');
  w.run();
  w.advance(3600);
  assert.ok(half.closed && !idle.closed);
  assert.ok(w.allSlotsFree);
});

test('a client that takes a little now and then is served for ever', () => {
  const w = new MemoryServer();
  const s = hog(w, 512n);
  for (let i = 0; i < 10; i++) {
    w.run();
    w.advance(50);
    s.room = 1;
  }
  assert.ok(!s.closed);
});

test('the end of the server does not wait for a client that takes nothing', () => {
  const w = new MemoryServer();
  hog(w, 8192n);
  w.run();
  let stopped = false;
  w.server.stop(() => {
    stopped = true;
  });
  w.run();
  assert.ok(!stopped, 'it has a moment to take its answers');
  w.advance(10);
  assert.ok(stopped);
});

test('when a client is cut off, who waited for its slots goes on', () => {
  const w = new MemoryServer({ slots: { small: 3, smallBytes: 4096, large: 1, largeBytes: 32_768 } });
  hog(w, 32_768n);
  w.run();
  const s = w.connect();
  negotiate(w, s, 'simple');
  send(s, readOf(1n, 0n, 32_768n), 'simple');
  w.run();
  assert.equal(s.output.length, 0);
  assert.equal(
    w.server.drop((c) => c.inFlight > 0),
    1,
  );
  w.run();
  assert.equal(s.output.length, 16 + 32_768);
});
