/** Strings of NBD: UTF-8 without NUL, at most 4096 bytes. */
import { NBD_MAX_STRING } from './constants.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Undefined when it is none. */
export function nbdString(b: Uint8Array): string | undefined {
  if (b.length > NBD_MAX_STRING || b.includes(0)) return undefined;
  try {
    return decoder.decode(b);
  } catch {
    return undefined;
  }
}
export const nbdBytes = (s: string): Uint8Array => encoder.encode(s);
