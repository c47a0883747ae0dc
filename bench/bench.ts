/** What every benchmark shares: the shape of a row, medians, and the table. One file in this folder for each claim. */
import { cellWidth, type Text } from '../src/base/index.ts';

export type Row = {
  /** What was done: `power cut, 1 s`. */
  readonly work: Text;
  /** Medians; undefined where that side was not measured. */
  readonly ours: number | undefined;
  readonly peer: number | undefined;
  readonly unit: string;
  /** Counted runs of each side. */
  readonly runs: number;
  /** Every single figure, for whoever wants the spread. */
  readonly samples?: { readonly ours: readonly number[]; readonly peer: readonly number[] };
  /** What the reader must know to judge the row: why a side is missing, what limits the figure. */
  readonly note?: Text;
};

export type BenchOptions = {
  /** Runs of each side for each row; a benchmark has its own default. */
  readonly runs: number | undefined;
  /** Only rows whose work contains this. */
  readonly only: string | undefined;
  /** One line of progress for people; never on standard output. */
  readonly progress: (line: Text) => void;
};
/** A benchmark yields rows as they are finished, so that an interrupted run has shown something. */
export type Bench = { readonly title: Text; readonly peer: string; run(o: BenchOptions): AsyncIterable<Row> };

export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Ours over the peer's; undefined where it says nothing. */
export const ratioOf = (r: Row): number | undefined =>
  r.ours === undefined || r.peer === undefined || r.peer === 0 ? undefined : r.ours / r.peer;

export const formatFigure = (n: number | undefined): string =>
  n === undefined ? '–' : Math.abs(n) >= 100 ? n.toFixed(0) : Math.abs(n) >= 10 ? n.toFixed(1) : n.toFixed(2);

const pad = (s: string, width: number): string => s + ' '.repeat(Math.max(0, width - cellWidth(s)));
const padLeft = (s: string, width: number): string => ' '.repeat(Math.max(0, width - cellWidth(s))) + s;

/** One line of the table; widths are fixed so that rows can be printed as they come. */
export function formatRow(cells: readonly string[]): string {
  const [work = '', ours = '', peer = '', ratio = '', unit = '', runs = ''] = cells;
  return `${pad(work, 40)} ${padLeft(ours, 9)} ${padLeft(peer, 9)} ${padLeft(ratio, 6)}  ${pad(unit, 8)} ${padLeft(runs, 4)}`.trimEnd();
}
