/** A tracked file (`track_file`): its first number. Absent, empty or unreadable as a number is 0, as keepalived has it. */

/** Enough for any number with a little room; the rest of the file is never read. */
export const TRACK_FILE_LIMIT = 64;
const LIMIT = 2 ** 31;

export function trackFileValue(content: Uint8Array | undefined): number {
  if (content === undefined) return 0;
  const head = String.fromCharCode(...content.subarray(0, TRACK_FILE_LIMIT));
  const number = /^\s*([+-]?\d+)/.exec(head);
  return number ? Math.max(-LIMIT, Math.min(LIMIT - 1, Number(number[1]))) : 0;
}
