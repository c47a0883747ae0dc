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

/** The weight of a file multiplies its value; a tracker's own weight replaces the file's. Below this the result is FAULT. */
export const FILE_FAULT_BELOW = -253;
/** Above this it counts as this. */
export const FILE_MOST = 253;

/**
 * What a value does to the priority of who tracks it: `'fault'`, or the number to add. Weight 0: any value but 0 is a
 * fault (with `reverse`: 0 is).
 */
export function trackFileResult(
  value: number,
  weight: { readonly value: number; readonly reverse: boolean },
): number | 'fault' {
  if (weight.value === 0) return (value !== 0) !== weight.reverse ? 'fault' : 0;
  const result = value * weight.value * (weight.reverse ? -1 : 1);
  if (result < FILE_FAULT_BELOW) return 'fault';
  return Math.min(FILE_MOST, result) + 0; // + 0: never -0
}
