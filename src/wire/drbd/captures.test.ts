/** What two DRBD 8.4 kernels said to each other is read to the last byte, and written again byte for byte. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { golden } from '../../../test/golden/golden.ts';
import { drbdCaptures, drbdSights, listings, readDrbdCapture } from '../../../test/support/captures.ts';
import { type Random, Random as Seeded } from '../../base/index.ts';
import { type CapturedMessage, dissect, renderJson, renderMessage } from '../dissect/index.ts';
import { type DrbdPacket, DrbdStream, encodeHead, encodePacket, PUT_ROOM, putHead } from './index.ts';

const trouble = new Set(['error', 'skipped', 'gap', 'cut']);
/** The only packet that has no end: the peer was frozen and the connection given up in the middle of it. */
const unfinished: Readonly<Record<string, string>> = { '21-frozen-peer-ko-count-timeout': 'cut at=32928 bytes=14856' };

test('there are captures to be tried with', () => assert.equal(drbdCaptures.length, 24));

for (const name of drbdCaptures) {
  test(`capture ${name} is read to the last byte`, () => {
    const { messages, others } = dissect(readDrbdCapture(name));
    assert.equal(others, 0);
    const bad = messages.filter((m) => trouble.has(m.message));
    const words = bad.map((m) => [m.message, ...m.fields.map(([n, v]) => `${n}=${v}`)].join(' '));
    assert.deepEqual(words, unfinished[name] === undefined ? [] : [unfinished[name]]);
  });

  test(`capture ${name}: each packet is written as the same bytes`, () => {
    const sights = drbdSights(name);
    assert.ok(sights.length > 0);
    for (const s of sights) {
      assert.deepEqual(encodePacket(s.packet, s.dialect), Uint8Array.from(s.bytes), s.packet.kind);
      const head = encodeHead(s.packet, s.dialect);
      assert.deepEqual(head, Uint8Array.from(s.bytes.subarray(0, head.length)), `head of ${s.packet.kind}`);
      const room = new Uint8Array(PUT_ROOM + 3);
      const n = putHead(s.packet, s.dialect, room, new DataView(room.buffer), 3);
      if (n > 0) assert.deepEqual(room.subarray(3, 3 + n), head, `${s.packet.kind} in place`);
    }
  });

  test(`capture ${name}: a stream in pieces of any size yields the same packets`, () => {
    const random = new Seeded(7);
    const sights = drbdSights(name);
    const key = (s: (typeof sights)[number]): string => `${s.conversation} ${s.direction}`;
    for (const k of new Set(sights.map(key))) {
      const side = sights.filter((s) => key(s) === k);
      const whole = Buffer.concat(side.map((s) => s.bytes));
      const stream = new DrbdStream();
      const got: DrbdPacket[] = [];
      for (let at = 0; at < whole.length; ) {
        const n = piece(random);
        stream.feed(Uint8Array.from(whole.subarray(at, at + n)));
        at += n;
        for (;;) {
          // What the owner of a connection does: each packet is read as what came before it decided.
          stream.agree(side[Math.min(got.length, side.length - 1)]?.dialect ?? stream.dialect);
          const next = stream.next();
          if (!next.ok) assert.fail(`${k}: ${JSON.stringify(next.error)}`);
          if (next.value === undefined) break;
          got.push(next.value);
        }
      }
      assert.deepEqual(
        got,
        side.map((s) => s.packet),
      );
      assert.equal(stream.buffered, 0);
      assert.equal(stream.consumed, whole.length);
    }
  });

  test(`capture ${name}: names and counts are those of the listing that came with it`, (t) => {
    const file = join(listings, `${name}.txt`);
    if (!existsSync(file)) return t.skip('the listings are not here: set HOLDFAST_CORPUS');
    const expected = readFileSync(file, 'utf8').split('\n').flatMap(listed);
    const { messages } = dissect(readDrbdCapture(name));
    assert.deepEqual(messages.flatMap(ours).sort(), expected.sort());
    return undefined;
  });
}

const piece = (random: Random): number => random.pick([1, 3, 16, 17, 40, 41, 1460, 4136, 65536]);

/** `A->B h100 vol=0 DATA` of one line of a listing; other lines say what TCP did. */
function listed(line: string): string[] {
  const m = /^ *[\d.]+ ([AB]->[AB]) \S+ +(h\d+) (vol=\d+) (\w+)/.exec(line);
  return m ? [m.slice(1).join(' ')] : [];
}
function ours(m: CapturedMessage): string[] {
  if (m.protocol !== 'DRBD' || trouble.has(m.message)) return [];
  const field = (name: string): unknown => m.fields.find(([n]) => n === name)?.[1];
  const way = m.source.startsWith('10.99.0.1:') ? 'A->B' : 'B->A';
  return [`${way} ${field('header')} vol=${field('volume')} ${m.message.replace(/^P_/, '')}`];
}

for (const name of drbdCaptures.filter((n) => /^(01|04|05|12|13|14|18|20|21|23)-/.test(n)))
  test(`capture ${name} as text is the golden file`, (t) => {
    const capture = readDrbdCapture(name);
    const start = capture.packets[0]?.at ?? 0;
    golden(
      t,
      `drbd-${name.toLowerCase()}`,
      dissect(capture)
        .messages.map((m) => renderMessage(m, start))
        .join('\n'),
    );
  });

test('as JSON each line holds one message with its packet, time, ends and fields', () => {
  const { messages } = dissect(readDrbdCapture('05-disconnect-reconnect-bitmap-resync'));
  const uuid = messages.map((m) => JSON.parse(renderJson(m))).find((m) => m.message === 'P_SYNC_UUID');
  assert.deepEqual(uuid.fields, { socket: 'data', header: 'h100', volume: 0, uuid: '3563BBF2903F59B1' });
  assert.match(uuid.source, /^10\.99\.0\.1:\d+$/);
});
