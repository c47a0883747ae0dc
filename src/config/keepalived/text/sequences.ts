import { wholeNumber } from './numbers.ts';

/** `~SEQ` and `~LST`: the names to define and, for each repetition, their values. */
export type Repetition = { readonly names: readonly string[]; readonly rows: readonly (readonly string[])[] };
export type Sequence = { readonly repetition: Repetition; readonly length: number };

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** More than any file needs; a mistyped end must not fill the memory. */
const MOST_ROWS = 65_536;

/** Splits at commas outside of braces. */
function parts(s: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < s.length; i++) {
    if (s[i] === '{') depth++;
    else if (s[i] === '}') depth--;
    else if (s[i] === ',' && depth === 0) {
      out.push(s.slice(from, i).trim());
      from = i + 1;
    }
  }
  out.push(s.slice(from).trim());
  return out;
}

/** The bracket that a line begins with, if it is one; `length` is how much of the text it takes. `malformed` says why not. */
export function parseSequence(s: string): Sequence | { readonly malformed: 'shape' | 'numbers' | 'rows' } | undefined {
  const m = /^~(SEQx?|LST)\(([^)]*)\)/.exec(s);
  if (!m) return /^~(SEQx?|LST)\b/.test(s) ? { malformed: 'shape' } : undefined;
  const [whole, kind, inside] = [m[0], m[1], m[2] as string];
  const [first = '', ...rest] = parts(inside);
  if (kind === 'LST') {
    const group = /^\{(.*)\}$/.exec(first);
    const names = group ? parts(group[1]!) : [first];
    const rows = rest.map((r) => (group ? parts(/^\{(.*)\}$/.exec(r)?.[1] ?? '') : [r]));
    if (!names.every((n) => NAME.test(n)) || rows.length === 0 || rows.some((r) => r.length !== names.length))
      return { malformed: 'shape' };
    return { repetition: { names, rows }, length: whole.length };
  }
  const numbers = rest.map(wholeNumber);
  if (!NAME.test(first) || rest.length < 1 || rest.length > 3) return { malformed: 'shape' };
  if (numbers.some((n) => n === undefined)) return { malformed: 'numbers' };
  const [a, b, c] = numbers as [number, number?, number?];
  const end = c ?? b ?? a;
  const start = b === undefined ? (end < 0 ? -1 : 1) : a;
  const step = c === undefined ? (end < start ? -1 : 1) : b!;
  // Beyond 2^53 a step may change nothing, and there would be no end.
  if (![start, step, end].every(Number.isSafeInteger)) return { malformed: 'numbers' };
  if (step === 0 || (end - start) / step + 1 > MOST_ROWS) return { malformed: 'rows' };
  const rows: string[][] = [];
  for (let v = start; step > 0 ? v <= end : v >= end; v += step)
    rows.push([kind === 'SEQx' ? (v < 0 ? `-${(-v).toString(16)}` : v.toString(16)) : String(v)]);
  return { repetition: { names: [first], rows }, length: whole.length };
}
