import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodeGreeting,
  encodeInfo,
  encodeInfoRequest,
  encodeOption,
  encodeOptionReply,
  encodeReplyHeader,
  encodeRequest,
  NBD_COMMAND,
  NBD_OPTION,
  NBD_REPLY,
} from '../nbd/index.ts';
import { NbdConversation, nbdProtocol } from './nbd.ts';
import type { Direction, Message } from './types.ts';

const request = (type: number, cookie: bigint, length: bigint): Uint8Array =>
  encodeRequest({ extended: false, flags: 0, type, cookie, offset: 4096n, length });
/** A client reads 512 bytes and writes 600; the server greets first. */
const TALK: readonly (readonly [Direction, Uint8Array])[] = [
  ['back', encodeGreeting({ flags: 3 })],
  ['forward', new Uint8Array([0, 0, 0, 3])],
  ['forward', encodeOption({ option: NBD_OPTION.go, data: encodeInfoRequest({ name: 'disk', wanted: [3] }) })],
  [
    'back',
    encodeOptionReply({
      option: NBD_OPTION.go,
      type: NBD_REPLY.info,
      data: encodeInfo({ kind: 'export', size: 8192n, flags: 1 }),
    }),
  ],
  ['back', encodeOptionReply({ option: NBD_OPTION.go, type: NBD_REPLY.ack, data: new Uint8Array(0) })],
  ['forward', request(NBD_COMMAND.read, 7n, 512n)],
  ['forward', request(NBD_COMMAND.write, 8n, 600n)],
  ['forward', new Uint8Array(600).fill(0x25)],
  ['back', encodeReplyHeader({ kind: 'simple', error: 0, cookie: 7n })],
  ['back', new Uint8Array(512).fill(0x67)],
  ['back', encodeReplyHeader({ kind: 'simple', error: 28, cookie: 8n })],
  ['forward', request(NBD_COMMAND.disconnect, 9n, 0n)],
];
const WORDS = [
  'greeting flags=3',
  'client-flags flags=3',
  'option go name=disk',
  'reply info option=go size=8192 flags=1',
  'reply ack option=go',
  'read cookie=0x7 flags=0 offset=4096 length=512',
  'write cookie=0x8 flags=0 offset=4096 length=600',
  'reply cookie=0x7 error=none length=512',
  'reply cookie=0x8 error=ENOSPC length=0',
  'disconnect cookie=0x9 flags=0 offset=4096 length=0',
];
const words = (m: Message): string => [m.message, ...m.fields.map(([k, v]) => `${k}=${v}`)].join(' ');

test('a conversation is told message by message, however it is cut into pieces', () => {
  assert.ok(nbdProtocol.recognises(TALK[0]?.[1] ?? new Uint8Array(0)));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 700 }), (piece) => {
      const c = new NbdConversation();
      const said: Message[] = [];
      for (const [direction, bytes] of TALK)
        for (let at = 0; at < bytes.length; at += piece)
          said.push(...c.feed(direction, bytes.subarray(at, at + piece)));
      said.push(...c.end('forward'), ...c.end('back'));
      assert.deepEqual(said.map(words), WORDS);
    }),
  );
});

test('no bytes make it throw, or never end', () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom<Direction>('forward', 'back'),
          fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...TALK.map(([, b]) => b))),
        ),
        { maxLength: 12 },
      ),
      (talk) => {
        const c = new NbdConversation();
        for (const [d, b] of talk) c.feed(d, b);
        c.gap('back', 10);
        c.end('forward');
      },
    ),
  ));
