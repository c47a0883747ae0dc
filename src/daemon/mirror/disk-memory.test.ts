/**
 * The driver's way to a disk, over a device that moves bytes whenever it likes between the call and the answer, and answers in
 * any order. Whoever asked uses the memory for something else as soon as the answer is there, or the disk was abandoned.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, Random } from '../../base/index.ts';
import type { BlockDevice, BlockDone, BlockQueue, BlockRegion } from '../../host/index.ts';
import { DISK_NEEDS, MirrorDisk } from './disk.ts';

const KIB = 1024;
const UNIT = 512;
/** Each operation has a place of its own on the disk. */
const PLACE = 320 * KIB;
const PLACES = 40;
const EIO = -5;
/** Clients' memory lies in the slab too, behind the disk's own. */
const CLIENT = 256 * KIB;
const CLIENTS = 8;
const OTHERS = 0xee;

/** Whether it is made of these bytes alone. */
function only(bytesOf: Uint8Array, a: number, b = a): boolean {
  for (let i = 0; i < bytesOf.length; i++) if (bytesOf[i] !== a && bytesOf[i] !== b) return false;
  return true;
}
type Running = { readonly tag: number; readonly move: () => void; moved: boolean };
class Device {
  readonly content = new Uint8Array(PLACE * PLACES);
  readonly running: Running[] = [];
  most = 0;
  #done: BlockDone = () => {};
  readonly #random: Random;
  readonly #slab: Uint8Array;
  constructor(random: Random, slab: Uint8Array) {
    this.#random = random;
    this.#slab = slab;
  }
  port(): BlockDevice {
    const ask = (tag: number, move: () => void): void => {
      assert.ok(!this.running.some((r) => r.tag === tag), 'a tag is used twice at once');
      this.running.push({ tag, move, moved: false });
      this.most = Math.max(this.most, this.running.length);
    };
    const slab = this.#slab;
    return {
      path: 'test',
      size: bytes(this.content.length),
      unit: UNIT,
      physicalBlock: 4096,
      readOnly: false,
      rotational: false,
      isBlockDevice: true,
      direct: true,
      onDone: (done) => {
        this.#done = done;
      },
      read: (tag, at, length, offset) => ask(tag, () => slab.set(this.content.subarray(offset, offset + length), at)),
      write: (tag, at, length, offset) => ask(tag, () => this.content.set(slab.subarray(at, at + length), offset)),
      flush: (tag) => ask(tag, () => {}),
      discard: (tag) => ask(tag, () => {}),
      zero: (tag, length, offset) => ask(tag, () => this.content.fill(0, offset, offset + length)),
      extents: () => [],
      refresh: () => ({ ok: true, value: bytes(this.content.length) }),
      close: () => assert.equal(this.running.length, 0),
    };
  }
  /** One of those under way moves its bytes, or is answered: before that its bytes have moved, unless it fails. */
  turn(): void {
    const r = this.running[this.#random.between(0, this.running.length - 1)];
    if (r === undefined) return;
    if (!r.moved && this.#random.chance(0.5)) {
      r.move();
      r.moved = true;
      return;
    }
    const fails = !r.moved && this.#random.chance(0.2);
    if (!r.moved && !fails) r.move();
    this.running.splice(this.running.indexOf(r), 1);
    this.#done(r.tag, fails ? EIO : 0);
  }
}
type Asked = {
  readonly place: number;
  readonly memory: Uint8Array;
  readonly reads: boolean;
  told: boolean;
  left: boolean;
};

for (const copies of [false, true])
  for (let seed = 1; seed <= 25; seed++)
    test(`memory is used from the call to the answer and no longer${copies ? ', or until the disk is abandoned' : ''}: seed ${seed}`, () => {
      const random = new Random(seed);
      const slab = new Uint8Array(DISK_NEEDS.bytes + CLIENT * CLIENTS);
      const device = new Device(random, slab);
      for (let p = 0; p < PLACES; p++) device.content.fill(p + 1, p * PLACE, (p + 1) * PLACE);
      const region: BlockRegion = { at: 0, ...DISK_NEEDS };
      const queue = { slab, release: () => {} } as unknown as BlockQueue;
      const disk = new MirrorDisk(queue, device.port(), region, copies);
      const clients = Array.from({ length: CLIENTS }, (_, i) =>
        slab.subarray(DISK_NEEDS.bytes + i * CLIENT, DISK_NEEDS.bytes + (i + 1) * CLIENT),
      );
      const asked: Asked[] = [];
      let abandoned = false;
      const use = (a: Asked): void => {
        a.left = true;
        a.memory.fill(OTHERS);
      };
      const begin = (place: number): void => {
        if (random.chance(0.4)) {
          // Reads that follow upon each other.
          for (let n = random.between(2, 8), from = 0; n > 0; n--) {
            const length = UNIT * random.between(1, 60);
            ask(place, from, new Uint8Array(length), true);
            from += length;
          }
          return;
        }
        const client = random.chance(0.6) ? clients.pop() : undefined;
        const length = UNIT * random.between(1, (client === undefined ? PLACE : CLIENT) / UNIT);
        ask(place, 0, client?.subarray(0, length) ?? new Uint8Array(length), random.chance(0.4), client);
      };
      const ask = (
        place: number,
        from: number,
        memory: Uint8Array,
        reads: boolean,
        client?: (typeof clients)[number],
      ): void => {
        const a: Asked = { place, memory, reads, told: false, left: false };
        asked.push(a);
        memory.fill(a.reads ? 0 : 100 + place);
        const offset = place * PLACE + from;
        disk.run(
          a.reads ? { op: 'read', offset, into: memory } : { op: 'write', offset, bytes: memory, through: false },
          (result) => {
            assert.ok(!a.told, 'told twice');
            a.told = true;
            const there = device.content.subarray(offset, offset + memory.length);
            if (result === 0 && !abandoned) assert.ok(a.reads ? only(memory, place + 1) : only(there, 100 + place));
            if (!a.left) use(a);
            if (client !== undefined && !abandoned) clients.push(client);
          },
        );
      };
      for (let place = 0; place < PLACES; place++) {
        begin(place);
        if (random.chance(0.7)) disk.begin();
        for (let n = random.between(0, random.pick([2, 12])); n > 0; n--) device.turn();
        if (copies && !abandoned && place > PLACES / 4 && random.chance(0.15)) {
          // Whoever waits is told that it failed, and uses its memory again, whatever is still under way.
          abandoned = true;
          disk.abandon();
          for (const a of asked) if (!a.left) use(a);
          break;
        }
      }
      disk.begin();
      for (let n = 0; device.running.length > 0; n++) {
        assert.ok(n < 100_000);
        device.turn();
      }
      assert.ok(
        asked.every((a) => a.told && only(a.memory, OTHERS)),
        'memory that was given back was written to',
      );
      assert.ok(device.most <= DISK_NEEDS.requests);
      // Of what was asked for: whole bytes of it or of what was there, and never what came to lie in the memory later.
      for (const a of asked) {
        const now = device.content.subarray(a.place * PLACE, (a.place + 1) * PLACE);
        assert.ok(only(now, a.place + 1, a.reads ? a.place + 1 : 100 + a.place), `place ${a.place}`);
      }
      disk.close();
    });
