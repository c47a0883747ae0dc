import { type Diagnostic, type Place, type Text, text } from '../../base/index.ts';
import { BUILT_IN_NAMES, type IprouteNames } from './grammar/names.ts';

/** Of errors and of warnings each. */
const MOST_FINDINGS = 200;
/** Names and values are quoted in messages, and a name may be as long as its file. */
const LONGEST = 400;
const cut = (s: string): string => (s.length <= LONGEST ? s : `${s.slice(0, LONGEST)}...`);
const short = (t: Text): Text => text(cut(t.en), cut(t.zh));

/**
 * Collects what is found. Three kinds: an `error` always refuses the file; a `fault` is what keepalived reports and
 * then works around (it refuses the file by default and is a warning with `--lenient`); a `warning` never refuses.
 */
export class Report {
  readonly lenient: boolean;
  /** For each word of the grammar, the blocks that have it: a misplaced word is told where it belongs. */
  readonly homes: ReadonlyMap<string, readonly string[]>;
  readonly diagnostics: Diagnostic[];
  /** Names of routing tables, protocols and so on, as the host has them. */
  readonly names: IprouteNames;
  /** Findings beyond those that are kept: nobody reads a million, and each costs memory. */
  more = 0;
  readonly #room: Record<Diagnostic['severity'], number>;
  constructor(
    lenient: boolean,
    homes: ReadonlyMap<string, readonly string[]> = new Map(),
    names: IprouteNames = BUILT_IN_NAMES,
    before: readonly Diagnostic[] = [],
  ) {
    this.diagnostics = [...before];
    const room = (severity: Diagnostic['severity']): number =>
      MOST_FINDINGS - before.filter((d) => d.severity === severity).length;
    this.#room = { error: room('error'), warning: room('warning') };
    this.names = names;
    this.lenient = lenient;
    this.homes = homes;
  }
  error(code: string, place: Place | undefined, message: Text, hint?: Text): void {
    this.#add('error', code, place, message, hint);
  }
  fault(code: string, place: Place | undefined, message: Text, hint?: Text): void {
    this.#add(this.lenient ? 'warning' : 'error', code, place, message, hint);
  }
  warn(code: string, place: Place | undefined, message: Text, hint?: Text): void {
    this.#add('warning', code, place, message, hint);
  }
  get refused(): boolean {
    return this.diagnostics.some((d) => d.severity === 'error');
  }
  #add(severity: Diagnostic['severity'], code: string, place: Place | undefined, message: Text, hint?: Text): void {
    if (this.#room[severity]-- > 0)
      this.diagnostics.push({ severity, code, place, message: short(message), ...(hint ? { hint: short(hint) } : {}) });
    else this.more++;
  }
}
