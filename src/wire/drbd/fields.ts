/** What the decoders share: 64-bit numbers as doubles, and the errors of lengths and numbers. */
import { err, type Result } from '../../base/index.ts';
import type { DrbdError } from './types.ts';

const MAX_SAFE_HIGH = 0x20_0000;

/** A u64 as a number; -1 when it is beyond 2^53. */
export function safeU64(v: DataView, at: number): number {
  const high = v.getUint32(at);
  return high >= MAX_SAFE_HIGH ? -1 : high * 0x1_0000_0000 + v.getUint32(at + 4);
}
export const badLength = (command: number, have: number, min: number, max = min): Result<never, DrbdError> =>
  err({ kind: 'length', command, have, min, max });
export const badNumber = (command: number, at: number): Result<never, DrbdError> =>
  err({ kind: 'number', command, at });
