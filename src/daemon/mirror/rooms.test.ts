import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BlockId, type DataPacket, sector } from '../../wire/index.ts';
import { Rooms } from './rooms.ts';

const write = (data: Uint8Array): DataPacket => ({
  kind: 'P_DATA',
  volume: 0,
  sector: sector(0),
  id: 1n as BlockId,
  seq: 1,
  flags: 0,
  digest: new Uint8Array(0),
  data,
});

test('a room comes back when it is full and the disk has every payload that lies in it, and not before', () => {
  const rooms = new Rooms(65536);
  const room = rooms.take();
  const [one, two] = [room.subarray(0, 4096), room.subarray(4096, 8192)];
  rooms.hold(write(one));
  rooms.hold(write(two));
  rooms.release(one);
  rooms.full(room);
  assert.notEqual(rooms.take().buffer, room.buffer, 'the second payload is still there');
  rooms.release(two);
  assert.equal(rooms.take().buffer, room.buffer);
  assert.notEqual(rooms.take().buffer, room.buffer, 'nobody else gets it');
});

test('a room in which something lies that is looked at later never comes back', () => {
  const rooms = new Rooms(65536);
  const room = rooms.take();
  rooms.hold({ kind: 'P_BITMAP', volume: 0, words: room.subarray(0, 8) });
  rooms.full(room);
  assert.notEqual(rooms.take().buffer, room.buffer);
});

test('a payload that arrives in pieces has memory of its own, which comes back when it is written', () => {
  const rooms = new Rooms(65536);
  const payload = rooms.place(400_000);
  assert.equal(payload.length, 400_000);
  rooms.hold(write(payload));
  assert.notEqual(rooms.place(400_000).buffer, payload.buffer);
  rooms.release(payload);
  const next = rooms.place(300_000);
  assert.equal(next.buffer, payload.buffer);
  assert.equal(next.length, 300_000);
  assert.notEqual(rooms.take().buffer, payload.buffer, 'packets are received elsewhere');
  rooms.hold(write(next));
  rooms.release(next);
  assert.equal(rooms.place(400_000).buffer, payload.buffer);
});

test('what lies elsewhere is left alone', () => {
  const rooms = new Rooms(65536);
  rooms.release(new Uint8Array(8));
  rooms.full(new Uint8Array(8));
  assert.equal(rooms.place(16).length, 16);
  assert.equal(rooms.place(1 << 20).length, 1 << 20);
});
