import type { Place } from '../../../base/index.ts';

/**
 * A line of text that knows where each of its characters came from. A line as it stands in a file needs no table: the
 * character at index i stands in column `column + i`. After a substitution `places` has one entry for each UTF-16
 * unit; what a parameter stood for has the place of its use, because that is what the operator can change there.
 */
export type Traced = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly text: string;
  readonly places?: readonly Place[];
};

export const traced = (file: string, line: number, text: string): Traced => ({ file, line, column: 1, text });

/** Where the characters from..to stand; where they stand on several lines, the first of these. */
export function placeOf(t: Traced, from: number, to: number): Place {
  if (!t.places) return { file: t.file, line: t.line, column: t.column + from, length: Math.max(1, to - from) };
  const first = t.places[Math.min(from, t.places.length - 1)];
  if (!first) return { file: t.file, line: t.line, column: t.column, length: 1 };
  let end = first.column + first.length;
  for (let i = from + 1; i < to; i++) {
    const p = t.places[i];
    if (!p || p.line !== first.line || p.file !== first.file) break;
    end = Math.max(end, p.column + p.length);
  }
  return { ...first, length: end - first.column };
}

export function sliceOf(t: Traced, from: number, to = t.text.length): Traced {
  const text = t.text.slice(from, to);
  if (t.places) return { ...t, text, places: t.places.slice(from, to) };
  return { file: t.file, line: t.line, column: t.column + from, text };
}

/** Each character with its own place, as a substitution needs it. */
function placesOf(t: Traced): readonly Place[] {
  return t.places ?? Array.from({ length: t.text.length }, (_, i) => placeOf(t, i, i + 1));
}

/** The same words, all standing at one place. */
export function standingAt(text: string, place: Place): Traced {
  const { file, line, column } = place;
  return { file, line, column, text, places: Array<Place>(text.length).fill(place) };
}

/** The parts behind one another; file and line are those of the first. */
export function joined(parts: readonly [Traced, ...Traced[]]): Traced {
  if (parts.length === 1) return parts[0];
  return { ...parts[0], text: parts.map((p) => p.text).join(''), places: parts.flatMap(placesOf) };
}
