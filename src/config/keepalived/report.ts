import type { Diagnostic, Place, Text } from '../../base/index.ts';
import { BUILT_IN_NAMES, type IprouteNames } from './grammar/names.ts';

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
  constructor(
    lenient: boolean,
    homes: ReadonlyMap<string, readonly string[]> = new Map(),
    names: IprouteNames = BUILT_IN_NAMES,
    before: readonly Diagnostic[] = [],
  ) {
    this.diagnostics = [...before];
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
    this.diagnostics.push({ severity, code, place, message, ...(hint ? { hint } : {}) });
  }
}
