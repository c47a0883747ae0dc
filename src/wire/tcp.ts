/**
 * TCP segments (RFC 9293 section 3.1), as captures need them. The checksum is carried and not judged: a host that leaves
 * it to the card is captured with what the kernel put there.
 */
import { ByteWriter, err, ok, type Result } from '../base/index.ts';
import { type Short, short } from './short.ts';

export const TCP_FLAG = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20 } as const;

export type TcpSegment = {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack: number;
  /** TCP_FLAG bits, and those of RFC 3168 above them: 12 bits. */
  readonly flags: number;
  readonly window: number;
  readonly checksum: number;
  readonly urgent: number;
  /** Raw options, 0..40 bytes, a multiple of four. */
  readonly options: Uint8Array;
  /** A view. */
  readonly payload: Uint8Array;
};
export type TcpError =
  | Short
  /** The data offset is below the header's twenty bytes. */
  | { readonly kind: 'length'; readonly have: number };

const HEADER = 20;

export function decodeTcp(b: Uint8Array): Result<TcpSegment, TcpError> {
  if (b.length < HEADER) return short(HEADER, b.length);
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  const header = (v.getUint8(12) >> 4) * 4;
  if (header < HEADER) return err({ kind: 'length', have: header });
  if (b.length < header) return short(header, b.length);
  return ok({
    sourcePort: v.getUint16(0),
    destinationPort: v.getUint16(2),
    seq: v.getUint32(4),
    ack: v.getUint32(8),
    flags: v.getUint16(12) & 0x0fff,
    window: v.getUint16(14),
    checksum: v.getUint16(16),
    urgent: v.getUint16(18),
    options: b.subarray(HEADER, header),
    payload: b.subarray(header),
  });
}

export function encodeTcp(s: TcpSegment): Uint8Array {
  const w = new ByteWriter(HEADER + s.options.length + s.payload.length);
  w.u16(s.sourcePort).u16(s.destinationPort).u32(s.seq).u32(s.ack);
  w.u16((((HEADER + s.options.length) / 4) << 12) | s.flags);
  return w.u16(s.window).u16(s.checksum).u16(s.urgent).put(s.options).put(s.payload).done();
}
