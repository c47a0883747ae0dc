/** PING_CHECK: one echo request (RFC 792, RFC 4443 section 4), and its reply. */
import { ByteReader, ByteWriter, type Family, internetChecksum, text } from '../../base/index.ts';
import { type Finding, pass } from './conversation.ts';

const REQUEST = { 4: 8, 6: 128 } as const;
const REPLY = { 4: 0, 6: 129 } as const;
const DATA = new Uint8Array(16).map((_, i) => 0x20 + i);

/** `id`: 32 random bits, identifier and sequence number. The kernel fills in ICMPv6's checksum, which covers addresses. */
export function echoRequest(family: Family, id: number): Uint8Array {
  const b = new ByteWriter(24).u8(REQUEST[family]).u8(0).u16(0).u32(id).put(DATA).done();
  if (family === 4) new DataView(b.buffer).setUint16(2, internetChecksum(b));
  return b;
}

/** Undefined: somebody else's packet; a raw socket hears them all. */
export function judgeEcho(family: Family, id: number, b: Uint8Array): Finding | undefined {
  const r = new ByteReader(b);
  const type = r.u8();
  const code = r.u8();
  r.skip(2);
  const have = r.u32();
  if (r.short || type !== REPLY[family] || code !== 0 || have !== id) return undefined;
  if (family === 4 && internetChecksum(b) !== 0) return undefined;
  return pass('answered', text('echo reply', '收到回显应答'));
}
