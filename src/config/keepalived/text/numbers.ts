/** A whole number, decimal or with `0x` hexadecimal; undefined where it is none. */
export function wholeNumber(s: string): number | undefined {
  if (/^[+-]?0[xX][0-9a-fA-F]+$/.test(s)) {
    const v = Number.parseInt(s.replace(/^[+-]?0[xX]/, ''), 16);
    return s.startsWith('-') ? -v : v;
  }
  return /^[+-]?\d+$/.test(s) ? Number.parseInt(s, 10) : undefined;
}
