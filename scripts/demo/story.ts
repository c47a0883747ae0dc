/** How a demo is told: lines with the time of the story in front, and pictures of who answered when. 80 columns. */
import { cellWidth, type Language, type Microseconds, type Text, text, us } from '../../src/base/index.ts';
import { type Answer, now } from '../../src/lab/index.ts';

export type DemoOptions = {
  readonly language: Language;
  /** Keep the lab running behind the story, until Ctrl-C. */
  readonly keep: boolean;
  readonly write: (words: string) => void;
};

/** The story did not come true. */
export class Broken extends Error {
  readonly text: Text;
  constructor(t: Text) {
    super(t.en);
    this.text = t;
  }
}

const INDENT = 9;
/** Most columns of a picture, behind the indentation and a name. */
const COLUMNS = 60;
const NAME = 9;
/** Milliseconds of a column: the first of these with which the picture fits. */
const COLUMN_MS = [100, 200, 500, 1000] as const;

export class Teller {
  readonly #o: DemoOptions;
  #began = now();

  constructor(o: DemoOptions) {
    this.#o = o;
  }

  begin(): void {
    this.#began = now();
  }
  /** With the time of the story in front; further lines are indented under the first. */
  say(t: Text, at = now()): void {
    this.#o.write(`${`${secondsOf(us(at - this.#began), 1)} s`.padStart(INDENT - 2)}  ${this.#indented(t)}\n`);
  }
  note(t: Text): void {
    this.#o.write(`${' '.repeat(INDENT)}${this.#indented(t)}\n`);
  }
  line(t: Text = text('', '')): void {
    this.#o.write(`${t[this.#o.language]}\n`);
  }
  /** A row for each who may have answered, a column for each moment. */
  picture(answers: readonly Answer[], from: number, to: number, rows: readonly (readonly [string, Text])[]): void {
    const shown = answers.filter((a) => a.at >= from && a.at < to);
    const wide = COLUMN_MS.find((c) => (to - from) / (c * 1000) <= COLUMNS) ?? 1000;
    const columns = Math.min(COLUMNS, Math.ceil((to - from) / (wide * 1000)));
    this.line();
    for (const [by, name] of rows) {
      const own = shown.filter((a) => (a.error === undefined ? a.by : REFUSED) === by);
      const drawn = new Set(own.map((a) => Math.floor((a.at - from) / (wide * 1000))));
      const cells = Array.from({ length: columns }, (_, i) => (drawn.has(i) ? (by === REFUSED ? 'x' : '#') : '.'));
      this.note(text(pad(name.en, NAME) + cells.join(''), pad(name.zh, NAME) + cells.join('')));
    }
    const seconds = wide / 1000;
    this.note(text(`${' '.repeat(NAME)}one character each ${seconds} s`, `${' '.repeat(NAME)}每个字符 ${seconds} 秒`));
    this.line();
  }

  #indented(t: Text): string {
    return t[this.#o.language].replaceAll('\n', `\n${' '.repeat(INDENT)}`);
  }
}

/** The row of a picture for asks that failed. */
export const REFUSED = '';
export const secondsOf = (t: Microseconds | number, digits = 2): string => (t / 1_000_000).toFixed(digits);
export const pad = (s: string, width: number): string => s + ' '.repeat(Math.max(0, width - cellWidth(s)));
