/** What a socket brings in pieces of any length, into memory that is used again as soon as the disk has a payload. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { drbdPacket } from '../../../test/support/drbd.ts';
import { Random } from '../../base/index.ts';
import type { ServerStream } from '../../host/index.ts';
import {
  type BarrierId,
  type BlockId,
  type DataPacket,
  type DrbdDialect,
  type DrbdPacket,
  encodePacket,
  NO_BLOCK_ID,
  sector,
} from '../../wire/index.ts';
import { PeerStream } from './peer-stream.ts';

const EAGAIN = -11;
const KIB = 1024;
const ROOM = 64 * KIB;
const dialect: DrbdDialect = { version: 101, features: 0, digestLength: 0 };

/** A socket that has at most `piece` bytes ready for each call. */
function socketOf(bytes: Uint8Array, piece: () => number): ServerStream & { readonly wake: () => void } {
  let at = 0;
  let wake = (): void => {};
  return {
    peer: 'test',
    receive: (into, from, to) => {
      const n = Math.min(to - from, piece(), bytes.length - at);
      if (n === 0) return EAGAIN;
      into.set(bytes.subarray(at, at + n), from);
      at += n;
      return n;
    },
    send: (_first, from, to, _second, from2, to2) => to - from + to2 - from2,
    watch: (ready) => {
      wake = ready;
    },
    interest: () => {},
    startTls: () => assert.fail('no TLS here'),
    close: () => {},
    wake: () => wake(),
  };
}

/** Each payload says which packet it belongs to, in every byte. */
function packetsOf(random: Random): DrbdPacket[] {
  const packets: DrbdPacket[] = [];
  for (let n = 1; n <= 500; n++) {
    const kind = random.between(0, 3);
    if (kind === 0) packets.push({ kind: 'P_BARRIER', volume: 0, barrier: n as BarrierId, pad: 0 });
    else if (kind === 1) {
      const block = { volume: 0, sector: sector(n * 8), id: NO_BLOCK_ID, size: 4096, pad: 0 };
      packets.push({ kind: 'P_RS_DATA_REQUEST', ...block });
    } else {
      const size = random.pick([4, 4, 4, 8, 20, 60, 200]);
      packets.push({
        kind: kind === 2 ? 'P_DATA' : 'P_RS_DATA_REPLY',
        volume: 0,
        sector: sector(n * 8),
        id: BigInt(n) as BlockId,
        seq: n,
        flags: 0,
        digest: new Uint8Array(0),
        data: new Uint8Array(size * KIB).fill(n % 251),
      });
    }
  }
  return packets;
}
const joined = (packets: readonly DrbdPacket[]): Uint8Array =>
  Buffer.concat(packets.map((p) => encodePacket(p, dialect)));
const facts = (p: DrbdPacket): unknown => ('data' in p ? { ...p, data: p.data.length, digest: 0 } : p);
function whole(p: DataPacket): boolean {
  for (let i = 0; i < p.data.length; i++) if (p.data[i] !== p.seq % 251) return false;
  return true;
}

for (let seed = 1; seed <= 40; seed++)
  test(`every packet is what was sent, and its payload until it is released: seed ${seed}`, () => {
    const random = new Random(seed);
    const sent = packetsOf(random);
    // Now and then a whole room at once, right after a few bytes.
    const socket = socketOf(joined(sent), () => random.between(1, random.pick([100, 9 * KIB, 2 * ROOM])));
    const held: DataPacket[] = [];
    const told: DrbdPacket[] = [];
    const release = (keep: number): void => {
      while (held.length > keep) {
        const [p] = held.splice(random.between(0, held.length - 1), 1) as [DataPacket];
        assert.ok(whole(p), `the payload of packet ${p.seq} is another's`);
        stream.release(p.data);
      }
    };
    const stream = new PeerStream(socket, dialect, ROOM, {
      packet: (p) => {
        assert.deepEqual(facts(p), facts(sent[told.length] as DrbdPacket));
        told.push(p);
        if (p.kind === 'P_DATA' || p.kind === 'P_RS_DATA_REPLY') held.push(p);
      },
      closed: (because) => assert.fail(because.en),
      settled: () => release(random.chance(0.3) ? 0 : random.between(0, 7)),
    });
    stream.begin();
    for (let turns = 0; told.length < sent.length; turns++) {
      assert.ok(turns < 1_000_000, `${told.length} of ${sent.length} packets came`);
      socket.wake();
    }
    release(0);
  });

const integral: DrbdDialect = { ...dialect, digestLength: 20 };
const kinds = Map.groupBy(fc.sample(drbdPacket(integral), { numRuns: 2000, seed: 1 }), (p) => p.kind);
// Whatever of a packet is a view of memory that is received into: the packet may wait here for something durable.
// What a read is answered with is copied when it is told of.
for (const [kind, samples] of kinds)
  if (kind !== 'P_DATA_REPLY')
    test(`a packet stays as it was told while the memory around it is used again: ${kind}`, () => {
      const random = new Random(kind.length);
      const sent = Array.from({ length: 600 }, (_, n): DrbdPacket => {
        if (random.chance(0.5)) return samples[n % samples.length] as DrbdPacket;
        const data = new Uint8Array(random.pick([1, 2, 17]) * KIB).fill(n);
        const block = { volume: 0, sector: sector(n), id: BigInt(n) as BlockId, seq: n, flags: 0 };
        return { kind: 'P_DATA', ...block, digest: new Uint8Array(20).fill(n), data };
      });
      const socket = socketOf(Buffer.concat(sent.map((p) => encodePacket(p, integral))), () =>
        random.between(1, random.pick([500, 2 * KIB, 2 * ROOM])),
      );
      const kept: [DrbdPacket, DrbdPacket][] = [];
      let told = 0;
      const stream = new PeerStream(socket, integral, 16 * KIB, {
        packet: (p) => {
          kept.push([p, sent[told++] as DrbdPacket]);
        },
        closed: (because) => assert.fail(because.en),
        settled: () => {
          // Payloads go soon, the others wait.
          for (const [i, [p, was]] of [...kept.entries()].reverse())
            if (p.kind === 'P_DATA' || p.kind === 'P_RS_DATA_REPLY') {
              assert.deepEqual(p, was);
              kept.splice(i, 1);
              stream.release(p.data);
            }
        },
      });
      stream.begin();
      for (let turns = 0; told < sent.length; turns++) {
        assert.ok(turns < 1_000_000, `${told} of ${sent.length} packets came`);
        socket.wake();
      }
      for (const [p, was] of kept) assert.deepEqual(p, was);
    });
