/** Text protocols: bytes as characters 0..255, and lines. */

/** One byte a character, whatever the encoding: what comes is looked at, and never shown unseen. */
export const latin1 = (b: Uint8Array): string => Buffer.from(b.buffer, b.byteOffset, b.length).toString('latin1');
/** The other way; characters beyond 255 as UTF-8. */
export const bytesOf = (s: string): Uint8Array =>
  new Uint8Array(Buffer.from(s, /[^\0-\xff]/.test(s) ? 'utf8' : 'latin1'));

/** What a server said, fit for a log: one line, printable, not long. */
export const quoted = (s: string): string => {
  const clean = s.replace(/[\0-\x1f\x7f-\x9f]+/g, ' ').trim();
  return `"${clean.length > 80 ? `${clean.slice(0, 80)}...` : clean}"`;
};

/** The first line without its end, and how many bytes it took; undefined while it is not complete. */
export function lineOf(have: Uint8Array, from = 0): { readonly line: string; readonly next: number } | undefined {
  const at = have.indexOf(10, from);
  if (at < 0) return undefined;
  const stop = at > from && have[at - 1] === 13 ? at - 1 : at;
  return { line: latin1(have.subarray(from, stop)), next: at + 1 };
}
