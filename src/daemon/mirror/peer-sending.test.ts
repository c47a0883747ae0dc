/**
 * Payloads that are sent from where they are: whoever owns one uses its memory again as soon as it is told, whatever the
 * socket does. Pieces of any length, a peer that takes nothing, an end or a failure in the middle.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/index.ts';
import type { ServerStream } from '../../host/index.ts';
import {
  type BarrierId,
  type BlockId,
  type DrbdDialect,
  type DrbdPacket,
  encodePacket,
  sector,
} from '../../wire/index.ts';
import { PeerStream } from './peer-stream.ts';

const EAGAIN = -11;
const ENOMEM = -12;
const KIB = 1024;
const dialect: DrbdDialect = { version: 101, features: 0, digestLength: 0 };

/** Takes what `takes` says of what is offered: bytes, or a negative errno. */
class Socket implements ServerStream {
  readonly peer = 'test';
  readonly taken: Uint8Array[] = [];
  readonly #takes: () => number;
  closed = false;
  wake = (): void => {};
  constructor(takes: () => number) {
    this.#takes = takes;
  }
  receive(): number {
    return EAGAIN;
  }
  send(first: Uint8Array, from: number, to: number, second: Uint8Array, from2: number, to2: number): number {
    assert.ok(!this.closed, 'nothing is sent over a socket that is closed');
    const n = this.#takes();
    if (n < 0) return n;
    const offered = Buffer.concat([first.subarray(from, to), second.subarray(from2, to2)]);
    this.taken.push(Uint8Array.from(offered.subarray(0, n)));
    return Math.min(n, offered.length);
  }
  watch(ready: () => void): void {
    this.wake = ready;
  }
  interest(): void {}
  startTls(): void {}
  close(): void {
    this.closed = true;
  }
}
type Sent = { readonly memory: Uint8Array; told: number };

function packetOf(random: Random, n: number): DrbdPacket {
  if (random.chance(0.3)) return { kind: 'P_BARRIER', volume: 0, barrier: n as BarrierId, pad: 0 };
  const size = random.pick([512, 4 * KIB, 16 * KIB, 20 * KIB, 64 * KIB, 300 * KIB]);
  const data = new Uint8Array(size).fill(1 + (n % 250));
  const block = { volume: 0, sector: sector(n * 8), id: BigInt(n) as BlockId, seq: n, flags: 0 };
  return { kind: 'P_RS_DATA_REPLY', ...block, digest: new Uint8Array(0), data };
}

for (const ends of [
  'all is taken',
  'it fails in the middle',
  'it fails once and works again',
  'it is closed in the middle',
])
  for (let seed = 1; seed <= 15; seed++)
    test(`${ends}: what the peer has is a beginning of what was sent, and each owner is told once, seed ${seed}`, () => {
      const random = new Random(seed);
      let fails = false;
      let failed = false;
      const socket = new Socket(() => {
        if (fails) {
          failed = true;
          fails = ends === 'it fails in the middle';
          return ENOMEM;
        }
        return random.chance(0.4) ? EAGAIN : random.between(1, random.pick([100, 20 * KIB, 600 * KIB]));
      });
      const stream = new PeerStream(socket, dialect, 64 * KIB, {
        packet: () => assert.fail('nothing comes'),
        closed: () => {
          lost++;
        },
        settled: () => {},
      });
      let lost = 0;
      stream.begin();
      const expected: Uint8Array[] = [];
      const owners: Sent[] = [];
      const turns = random.between(20, 120);
      const at = random.between(0, turns);
      for (let turn = 0; turn < turns; turn++) {
        if (turn === at && ends.startsWith('it fails')) fails = true;
        if (turn === at && ends === 'it is closed in the middle') stream.close();
        for (let i = random.between(0, 3); i > 0; i--) {
          const p = packetOf(random, turn);
          if (turn < at || !ends.includes('closed')) expected.push(encodePacket(p, dialect));
          if (!('data' in p)) stream.send(p);
          else if (random.chance(0.5)) {
            // Its owner has it back when the call returns.
            stream.send(p);
            p.data.fill(0xee);
          } else {
            const owner: Sent = { memory: p.data, told: 0 };
            owners.push(owner);
            stream.send(p, () => {
              owner.told++;
              owner.memory.fill(0xff);
            });
          }
          assert.ok(stream.untaken >= 0, `${stream.untaken} bytes wait`);
        }
        if (random.chance(0.5)) stream.flush();
        else if (!socket.closed) socket.wake();
        assert.ok(stream.untaken >= 0, `${stream.untaken} bytes wait`);
      }
      for (let n = 0; n < 100_000 && stream.untaken > 0; n++) stream.flush();
      if (!socket.closed) socket.wake();
      assert.equal(lost, failed ? 1 : 0, 'a connection over which nothing can be sent ends');
      stream.close();
      const all = Buffer.concat(expected);
      const there = Buffer.concat(socket.taken);
      assert.ok(Buffer.compare(there, all.subarray(0, there.length)) === 0, 'other bytes than those that were sent');
      if (!failed) assert.equal(there.length, all.length);
      assert.deepEqual([...new Set(owners.map((o) => o.told))], owners.length > 0 ? [1] : []);
    });
