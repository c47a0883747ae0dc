/** Two drivers that look for each other over the loopback: both begin in the same moment, so that their calls cross. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type IpAddress, ms, type Text } from '../../base/index.ts';
import { linuxStreamServer } from '../../host/linux/index.ts';
import type { DrbdPacket, DrbdSocket } from '../../wire/index.ts';
import { PeerSockets } from './peer.ts';

const made = linuxStreamServer();
assert.ok(made.ok, 'npm run setup builds the addon');
const streams = made.value;
/** Addresses of the loopback that no other process has: a process number has 22 bits at most. */
const own = (side: 64 | 128): IpAddress =>
  `127.${side + (process.pid >> 16)}.${(process.pid >> 8) & 255}.${process.pid & 255}` as IpAddress;
const PORT = 7789;
const ends = [
  { address: own(64), port: PORT },
  { address: own(128), port: PORT },
] as const;
/** Longer than anything here takes on a busy machine. Milliseconds. */
const PATIENCE = 30_000;

type Side = {
  readonly peer: PeerSockets;
  readonly sockets: Partial<Record<DrbdSocket, 'here' | 'there'>>;
  readonly heard: { readonly socket: DrbdSocket; readonly packet: DrbdPacket }[];
  readonly closed: Text[];
  /** How often a socket was there and another took its place. */
  replaced: number;
};
function side(who: 0 | 1): Side {
  const sockets: Side['sockets'] = {};
  const peer: PeerSockets = new PeerSockets(
    {
      local: ends[who],
      remote: ends[1 - who] as (typeof ends)[0],
      // A second try would come long after the test has given up.
      net: { connectInterval: ms(600_000), pingTimeout: ms(500), sendBuffer: undefined, receiveBuffer: undefined },
    },
    streams,
    {
      socket: (socket, opened) => {
        if (sockets[socket] !== undefined) made.replaced++;
        sockets[socket] = opened;
        if (opened === 'here')
          peer.send(socket, { kind: socket === 'data' ? 'P_INITIAL_DATA' : 'P_INITIAL_META', volume: 0 });
        else if (socket === 'data' && sockets.meta === undefined) peer.open('meta');
      },
      packet: (socket, packet) => made.heard.push({ socket, packet }),
      closed: (because) => made.closed.push(because),
      settled: () => peer.flush(),
    },
    () => 0,
  );
  const made: Side = { peer, sockets, heard: [], closed: [], replaced: 0 };
  return made;
}
async function until(wanted: () => boolean): Promise<boolean> {
  for (const end = performance.now() + PATIENCE; performance.now() < end; await setTimeout(5))
    if (wanted()) return true;
  return wanted();
}

test('two sides that call each other in the same moment have both sockets at the first try, and packets go through', async () => {
  let crossings = 0;
  for (let round = 0; round < 20; round++) {
    const both = [side(0), side(1)] as const;
    try {
      for (const s of both) s.peer.listen((code) => assert.fail(code));
      for (const s of both) s.peer.seek();
      const there = (): boolean => both.every((s) => s.sockets.data !== undefined && s.sockets.meta !== undefined);
      assert.ok(await until(there), JSON.stringify(both.map((s) => s.sockets)));
      const settled = (): boolean =>
        (['data', 'meta'] as const).every((one) => both[0].sockets[one] !== both[1].sockets[one]);
      // What crossed is replaced on both sides, on one a little later.
      await until(settled);
      await setTimeout(30);
      assert.ok(await until(settled), JSON.stringify(both.map((s) => s.sockets)));
      for (const s of both) {
        s.peer.agree({ version: 101, features: 0, digestLength: 0 });
        for (const socket of ['data', 'meta'] as const) s.peer.send(socket, { kind: 'P_PING', volume: 0 });
        s.peer.flush();
      }
      assert.ok(await until(() => both.every((s) => s.heard.length === 2)), 'a ping on each socket');
      assert.deepEqual(
        both.map((s) => s.closed),
        [[], []],
      );
      crossings += both[0].replaced + both[1].replaced;
    } finally {
      for (const s of both) s.peer.stop();
    }
  }
  assert.ok(crossings > 5, `${crossings} of 20 crossed`);
});
