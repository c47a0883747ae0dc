/**
 * Writes blocks at random places of a device, several at once, each stamped with its place and a number that grows. What was
 * acknowledged (O_DSYNC) is printed: `PLACE NUMBER`. Arguments: device, blocks, seed, first number, and where writes are to be
 * of more than one block the largest, in blocks: then `PLACE NUMBER BLOCKS` is printed.
 *
 * With `check` in front it reads the device instead, and prints the stamp of every block: `PLACE NUMBER`, 0 where there is
 * none, -1 where a block is torn.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { Random } from '../../src/base/index.ts';

const BLOCK = 4096;
const WRITERS = 8;
const PAIR = 16;

/** The same stamp all over the block, so that half of one shows. */
function stamp(place: number, n: number): Buffer {
  const b = Buffer.alloc(BLOCK);
  for (let at = 0; at < BLOCK; at += PAIR) {
    b.writeDoubleLE(place, at);
    b.writeDoubleLE(n, at + 8);
  }
  return b;
}
function read(b: Buffer, place: number): number {
  const n = b.readDoubleLE(8);
  if (n === 0 && b.every((x) => x === 0)) return 0;
  return b.equals(stamp(place, n)) ? n : -1;
}

const words = process.argv.slice(2);
if (words[0] === 'check') {
  const [, device = '', blocks = '0'] = words;
  const f = await open(device, 'r');
  const b = Buffer.alloc(BLOCK);
  for (let place = 0; place < Number(blocks); place++) {
    await f.read(b, 0, BLOCK, place * BLOCK);
    process.stdout.write(`${place} ${read(b, place)}\n`);
  }
} else {
  const [device = '', blocks = '0', seed = '1', first = '1', largest = '1'] = words;
  const random = new Random(Number(seed));
  const f = await open(device, constants.O_RDWR | constants.O_DSYNC);
  let n = Number(first);
  const share = Math.floor(Number(blocks) / WRITERS);
  // Each keeps to its own part, so that no two write one block at once.
  const write = async (who: number): Promise<never> => {
    for (;;) {
      // Small ones as often as large ones: each power of two has the same chance.
      const count = Math.floor(Number(largest) ** random.unit());
      const place = who * share + Math.floor(random.unit() * (share - count + 1));
      const mine = n++;
      const b = Buffer.concat(Array.from({ length: count }, (_, i) => stamp(place + i, mine)));
      await f.write(b, 0, b.length, place * BLOCK);
      process.stdout.write(`${place} ${mine}${largest === '1' ? '' : ` ${count}`}\n`);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, who) => write(who)));
}
