import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryStream } from '../../../test/support/exports.ts';
import type { ClientStream } from '../../host/index.ts';
import { decodeRequest, encodeReplyHeader, NBD_COMMAND, NBD_FLAG, REQUEST_BYTES } from '../../wire/index.ts';
import { Holder } from './holder.ts';

class Wire extends MemoryStream implements ClientStream {
  watchEnd(): void {}
  lend<T>(use: (descriptor: number) => T): T {
    return use(-1);
  }
}
const BLOCK = 512;
const TAGS = 8;
const FLAGS = NBD_FLAG.hasFlags | NBD_FLAG.flush | NBD_FLAG.fua | NBD_FLAG.trim;

/** Carries out the first whole request of what the client sent; false when there is none. */
function serveOne(wire: Wire, disk: Uint8Array, answers: boolean): boolean {
  const b = Uint8Array.from(wire.output);
  const r = b.length >= REQUEST_BYTES ? decodeRequest(b.subarray(0, REQUEST_BYTES)) : undefined;
  if (!r?.ok) return false;
  const { type, cookie, offset, length } = r.value;
  const at = Number(offset);
  const carried = type === NBD_COMMAND.write ? Number(length) : 0;
  if (b.length < REQUEST_BYTES + carried) return false;
  wire.output = wire.output.slice(REQUEST_BYTES + carried);
  if (type === NBD_COMMAND.write) disk.set(b.subarray(REQUEST_BYTES, REQUEST_BYTES + carried), at);
  if (!answers) return true;
  wire.push(encodeReplyHeader({ kind: 'simple', error: 0, cookie }));
  if (type === NBD_COMMAND.read) wire.push(disk.slice(at, at + Number(length)));
  return true;
}

test('however often the server dies, each request is answered once, and what was answered is on the disk', () =>
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('ask', 'serve', 'swallow', 'die', 'come'), fc.nat(7), fc.nat(250)), {
        maxLength: 80,
      }),
      (deeds) => {
        const slab = new Uint8Array(TAGS * BLOCK);
        const disk = new Uint8Array(TAGS * BLOCK);
        const asked = new Map<number, { readonly write: boolean; readonly value: number }>();
        const known = new Uint8Array(TAGS);
        let wire: Wire | undefined;
        const offer = { size: disk.length, flags: FLAGS, minimumBlock: BLOCK, preferredBlock: BLOCK };
        const broken = (): void => {
          wire = undefined;
        };
        const holder = new Holder(slab, TAGS, offer, { settle: () => {}, broken });
        holder.onDone((tag, result) => {
          const a = asked.get(tag) ?? assert.fail(`tag ${tag} was answered, and nobody had asked`);
          asked.delete(tag);
          assert.equal(result, 0);
          if (a.write) known[tag] = a.value;
          else assert.equal(slab[tag * BLOCK], known[tag], 'a read returned what was never written last');
        });
        const come = (): void => {
          const w = new Wire();
          wire = w;
          w.watch(holder.connect(w));
        };
        const wake = (): void => {
          if (wire?.due) wire.wake();
        };
        for (const [deed, tag, value] of deeds) {
          // One block a tag: requests that overlap and run beside each other have no order.
          if (deed === 'ask' && !asked.has(tag)) {
            const write = value % 2 === 1;
            asked.set(tag, { write, value });
            if (write) slab.fill(value, tag * BLOCK, (tag + 1) * BLOCK);
            if (write) holder.write(tag, tag * BLOCK, BLOCK, tag * BLOCK, value % 3 === 0);
            else holder.read(tag, tag * BLOCK, BLOCK, tag * BLOCK);
            holder.submit();
          } else if (deed === 'serve' && wire && serveOne(wire, disk, true)) wake();
          else if (deed === 'swallow' && wire) serveOne(wire, disk, false);
          else if (deed === 'die' && wire) {
            // Its last words may be cut anywhere.
            wire.input.length = Math.min(wire.input.length, value * 4);
            wire.ended = true;
            wake();
            wake();
            wire = undefined;
          } else if (deed === 'come' && wire === undefined) come();
        }
        if (wire) {
          wire.ended = true;
          wake();
        }
        come();
        for (let i = 0; i < 100 && wire && serveOne(wire, disk, true); i++) wake();
        assert.equal(asked.size, 0);
        assert.equal(holder.held, 0);
        for (let tag = 0; tag < TAGS; tag++) assert.equal(disk[tag * BLOCK], known[tag]);
      },
    ),
    { numRuns: 300 },
  ));

test('what is asked from within an answer, as the next piece of a long read, goes out though nobody submits it', async () => {
  const disk = new Uint8Array(TAGS * BLOCK).fill(7);
  const offer = { size: disk.length, flags: FLAGS, minimumBlock: BLOCK, preferredBlock: BLOCK };
  const holder = new Holder(new Uint8Array(BLOCK), 1, offer, { settle: () => {}, broken: () => {} });
  const answered: number[] = [];
  holder.onDone((tag) => {
    answered.push(tag);
    if (answered.length === 1) holder.read(tag, 0, BLOCK, BLOCK);
  });
  const wire = new Wire();
  wire.watch(holder.connect(wire));
  holder.read(0, 0, BLOCK, 0);
  holder.submit();
  assert.ok(serveOne(wire, disk, true));
  wire.wake();
  await Promise.resolve();
  assert.ok(serveOne(wire, disk, true), 'the second piece was never asked for');
  wire.wake();
  assert.deepEqual([answered, holder.held], [[0, 0], 0]);
});
