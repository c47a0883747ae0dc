/**
 * data-integrity-alg: a digest of every block of data on its way, made where it is sent and checked where it comes in. What
 * was changed on the way is never written: the connection ends, and what was not acknowledged is sent again as a resync.
 */
import { type Text, text } from '../../../base/index.ts';
import type { DataPacket, DrbdPacket, WriteSamePacket } from '../../../wire/index.ts';
import { digestOf } from '../resync/digest.ts';

const carries = (p: DrbdPacket): p is DataPacket | WriteSamePacket =>
  p.kind === 'P_DATA' || p.kind === 'P_DATA_REPLY' || p.kind === 'P_RS_DATA_REPLY' || p.kind === 'P_WSAME';

/** The packet with its digest, where it carries data. */
export const signed = (p: DrbdPacket, algorithm: string | undefined): DrbdPacket =>
  algorithm === undefined || !carries(p) ? p : { ...p, digest: digestOf(algorithm, p.data) };

/** Undefined: it is as it was sent. A flush is a write without data, and has the digest of nothing. */
export function tampered(p: DrbdPacket, algorithm: string | undefined): Text | undefined {
  if (algorithm === undefined || !carries(p)) return undefined;
  if (Buffer.compare(p.digest, digestOf(algorithm, p.data)) === 0) return undefined;
  return text(
    `data of ${p.data.length} bytes at sector ${p.sector} were changed on the way (data-integrity-alg ${algorithm})`,
    `扇区 ${p.sector} 处的 ${p.data.length} 字节数据在传输中被改动（data-integrity-alg ${algorithm}）`,
  );
}
