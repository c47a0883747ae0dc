import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes } from '../../base/index.ts';
import type { BlockDevice, BlockDone, BlockQueue, BlockRegion } from '../../host/index.ts';
import { DISK_NEEDS, MirrorDisk } from './disk.ts';

const EIO = -5;
const BLOCK = 4096;
const KIB = 1024;

type Asked = { readonly tag: number; readonly at: number; readonly length: number; readonly offset: number };
/** A device whose byte at each place says which block it belongs to; requests end when they are told to. */
function deviceOf(): {
  readonly disk: MirrorDisk;
  readonly asked: Asked[];
  readonly end: (a: Asked, result?: number) => void;
} {
  const slab = new Uint8Array(DISK_NEEDS.bytes);
  const asked: Asked[] = [];
  let done: BlockDone = () => {};
  const request = (tag: number, at: number, length: number, offset: number): void => {
    asked.push({ tag, at, length, offset });
  };
  const device: Partial<BlockDevice> = {
    size: bytes(1 << 30),
    onDone: (told) => {
      done = told;
    },
    read: request,
    write: request,
  };
  const queue: Partial<BlockQueue> = { slab };
  const region: BlockRegion = { at: 0, bytes: DISK_NEEDS.bytes, requests: DISK_NEEDS.requests };
  return {
    disk: new MirrorDisk(queue as BlockQueue, device as BlockDevice, region, false),
    asked,
    end: (a, result = 0) => {
      for (let i = 0; i < a.length; i++) slab[a.at + i] = contentAt(a.offset + i);
      done(a.tag, result);
    },
  };
}
const contentAt = (offset: number): number => Math.floor(offset / BLOCK) % 251;
type Read = { readonly offset: number; readonly into: Uint8Array; result: number | undefined };
function read(disk: MirrorDisk, offset: number, length: number): Read {
  const r: Read = { offset, into: new Uint8Array(length), result: undefined };
  disk.run({ op: 'read', offset, into: r.into }, (result) => {
    assert.equal(r.result, undefined, 'told once');
    r.result = result;
  });
  return r;
}
const right = (r: Read): boolean => r.result === 0 && r.into.every((b, i) => b === contentAt(r.offset + i));

test('reads that follow upon each other in a turn are one request, no larger than a slot; others are their own', () => {
  const { disk, asked, end } = deviceOf();
  const reads = Array.from({ length: 40 }, (_, n) => read(disk, n * BLOCK, BLOCK));
  reads.push(read(disk, 100 * BLOCK, BLOCK), read(disk, 99 * BLOCK, BLOCK));
  disk.begin();
  assert.deepEqual(
    asked.map((a) => [a.offset / BLOCK, a.length / BLOCK]),
    [
      [0, 32],
      [32, 8],
      [100, 1],
      [99, 1],
    ],
  );
  for (const a of asked.splice(0).reverse()) end(a);
  assert.ok(reads.every(right));
});

test('a read of more than a slot is read in pieces', () => {
  const { disk, asked, end } = deviceOf();
  const large = read(disk, 0, 300 * KIB);
  disk.begin();
  assert.deepEqual(
    asked.map((a) => a.length / KIB),
    [128, 128, 44],
  );
  for (const a of asked) end(a);
  assert.ok(right(large));
});

test('what cannot be read fails alone: those that were read with it are read again, each by itself', () => {
  const { disk, asked, end } = deviceOf();
  const reads = Array.from({ length: 3 }, (_, n) => read(disk, n * BLOCK, BLOCK));
  disk.begin();
  end(asked.splice(0)[0] as Asked, EIO);
  assert.equal(asked.length, 3);
  for (const a of asked) end(a, a.offset === BLOCK ? EIO : 0);
  assert.deepEqual(
    reads.map((r) => r.result),
    [0, EIO, 0],
  );
  assert.ok(right(reads[0] as Read) && right(reads[2] as Read));
});

test('what has not begun when the disk is abandoned never does, and what comes back is written nowhere', () => {
  const { disk, asked, end } = deviceOf();
  const begun = read(disk, BLOCK, BLOCK);
  disk.begin();
  const waits = read(disk, 2 * BLOCK, BLOCK);
  disk.abandon();
  disk.begin();
  assert.equal(waits.result, EIO);
  assert.equal(asked.length, 1);
  end(asked[0] as Asked);
  assert.equal(begun.result, 0);
  assert.ok(begun.into.every((b) => b === 0));
});

test('reads wait for a slot, in order, and all are told', () => {
  const { disk, asked, end } = deviceOf();
  const reads = Array.from({ length: 100 }, (_, n) => read(disk, 2 * n * BLOCK, BLOCK));
  disk.begin();
  assert.equal(asked.length, 32);
  while (asked.length > 0) end(asked.shift() as Asked);
  assert.ok(reads.every(right));
});
