/** The three header forms, all big-endian, and when each is used. `length` counts what follows the header. */
import { err, ok, type Result } from '../../base/index.ts';
import type { DrbdError } from './types.ts';

export type HeaderForm = 'h80' | 'h95' | 'h100';
export const HEADER_LENGTH: Readonly<Record<HeaderForm, number>> = { h80: 8, h95: 8, h100: 16 };
const MAGIC_80 = 0x83740267;
const MAGIC_95 = 0x835a;
const MAGIC_100 = 0x8620ec20;
/** Above it a packet of 95..99 takes the big header: the 16-bit length of h80 is not used further. */
const LARGEST_H80 = 32768;

export type DrbdHeader = {
  readonly form: HeaderForm;
  readonly command: number;
  readonly volume: number;
  readonly length: number;
};

/** The form in which a packet of `length` bytes travels; `version` 0 is before the agreement. */
export const headerForm = (version: number, length: number): HeaderForm =>
  version >= 100 ? 'h100' : version >= 95 && length > LARGEST_H80 ? 'h95' : 'h80';

/** The form that the bytes at `at` begin with, by their magic alone; undefined when none does. Needs four bytes. */
export function sniffHeader(v: DataView, at: number): HeaderForm | undefined {
  const magic = v.getUint32(at);
  return magic === MAGIC_100 ? 'h100' : magic === MAGIC_80 ? 'h80' : magic >>> 16 === MAGIC_95 ? 'h95' : undefined;
}

/** Reads the header at `at`. With too few bytes the error is `short`, and `need` says how many would do. */
export function decodeHeader(v: DataView, at: number, version: number): Result<DrbdHeader, DrbdError> {
  const have = v.byteLength - at;
  const need = version >= 100 ? 16 : 8;
  if (have < need) return err({ kind: 'short', need, have });
  const magic = v.getUint32(at);
  if (version >= 100) {
    if (magic !== MAGIC_100) return err({ kind: 'magic', have: magic });
    const pad = v.getUint32(at + 12);
    if (pad !== 0) return err({ kind: 'header-pad', have: pad });
    return ok({ form: 'h100', command: v.getUint16(at + 6), volume: v.getUint16(at + 4), length: v.getUint32(at + 8) });
  }
  if (magic === MAGIC_80)
    return ok({ form: 'h80', command: v.getUint16(at + 4), volume: 0, length: v.getUint16(at + 6) });
  if (version >= 95 && magic >>> 16 === MAGIC_95)
    return ok({ form: 'h95', command: v.getUint16(at + 2), volume: 0, length: v.getUint32(at + 4) });
  return err({ kind: 'magic', have: magic });
}

/** Writes a header at `at`; its length is HEADER_LENGTH of its form. */
export function writeHeader(
  v: DataView,
  at: number,
  form: HeaderForm,
  command: number,
  volume: number,
  length: number,
): void {
  switch (form) {
    case 'h80':
      v.setUint32(at, MAGIC_80);
      v.setUint16(at + 4, command);
      v.setUint16(at + 6, length);
      return;
    case 'h95':
      v.setUint16(at, MAGIC_95);
      v.setUint16(at + 2, command);
      v.setUint32(at + 4, length);
      return;
    case 'h100':
      v.setUint32(at, MAGIC_100);
      v.setUint16(at + 4, volume);
      v.setUint16(at + 6, command);
      v.setUint32(at + 8, length);
      v.setUint32(at + 12, 0);
      return;
  }
}
