/** RADIUS (RFC 2865): one Access-Request with a Message-Authenticator (RFC 3579 section 3.2), without which servers may not answer. */
import { createHash, createHmac } from 'node:crypto';
import { ByteReader, ByteWriter, text } from '../../base/index.ts';
import { bytesOf } from './bytes.ts';
import { type Finding, fail, pass } from './conversation.ts';

const ACCESS_REQUEST = 1;
const ACCESS_ACCEPT = 2;
const ACCESS_REJECT = 3;
const ACCESS_CHALLENGE = 11;
const USER_NAME = 1;
const USER_PASSWORD = 2;
const NAS_IDENTIFIER = 32;
const MESSAGE_AUTHENTICATOR = 80;

export type RadiusQuestion = {
  readonly login: string;
  readonly password: string | undefined;
  readonly secret: string;
  /** One random byte, and sixteen. */
  readonly id: number;
  readonly authenticator: Uint8Array;
};
const md5 = (...parts: Uint8Array[]): Uint8Array => {
  const h = createHash('md5');
  for (const p of parts) h.update(p);
  return h.digest();
};

/** RFC 2865 section 5.2. */
function hiddenPassword(q: RadiusQuestion): Uint8Array {
  const plain = bytesOf(q.password ?? '').subarray(0, 128);
  const out = new Uint8Array(Math.max(16, (plain.length + 15) & ~15));
  out.set(plain);
  const secret = bytesOf(q.secret);
  let last = q.authenticator;
  for (let at = 0; at < out.length; at += 16) {
    const pad = md5(secret, last);
    for (let i = 0; i < 16; i++) out[at + i] = (out[at + i] as number) ^ (pad[i] as number);
    last = out.slice(at, at + 16);
  }
  return out;
}

export function radiusRequest(q: RadiusQuestion): Uint8Array {
  const w = new ByteWriter(128).u8(ACCESS_REQUEST).u8(q.id).u16(0).put(q.authenticator);
  const attribute = (type: number, value: Uint8Array): void => {
    w.u8(type)
      .u8(value.length + 2)
      .put(value);
  };
  attribute(MESSAGE_AUTHENTICATOR, new Uint8Array(16));
  attribute(USER_NAME, bytesOf(q.login).subarray(0, 253));
  attribute(USER_PASSWORD, hiddenPassword(q));
  attribute(NAS_IDENTIFIER, bytesOf('holdfast'));
  const b = w.patchU16(2, w.length).done();
  b.set(createHmac('md5', bytesOf(q.secret)).update(b).digest(), 22);
  return b;
}

/** Undefined: not the answer to this request. */
export function judgeRadius(q: RadiusQuestion, b: Uint8Array): Finding | undefined {
  const r = new ByteReader(b);
  const code = r.u8();
  const id = r.u8();
  const length = r.u16();
  const authenticator = r.bytes(16);
  if (r.short || id !== q.id || length < 20 || length > b.length) return undefined;
  const packet = b.slice(0, length);
  packet.set(q.authenticator, 4);
  const want = md5(packet, bytesOf(q.secret));
  if (!want.every((x, i) => x === authenticator[i]))
    return fail('secret', text('the answer was made with another secret', '应答使用了不同的共享密钥'));
  if (code === ACCESS_ACCEPT) return pass('accepted', text('Access-Accept', 'Access-Accept'));
  if (code !== ACCESS_REJECT && code !== ACCESS_CHALLENGE)
    return fail('protocol', text(`an answer of kind ${code}`, `应答类型为 ${code}`));
  return q.password === undefined
    ? pass('answered', text('answered', '有应答'))
    : fail('rejected', text('the login was not accepted', '登录未被接受'));
}
