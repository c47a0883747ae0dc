/** What one level leaves open, the next one above says: option sets laid over each other, and their values with the defaults. */
import { type Bytes, bytes, type Milliseconds, ms } from '../../base/index.ts';
import type { Given, OptionSet } from './model.ts';
import { optionRow, type SectionName } from './options.ts';
import { defaultOf } from './values.ts';

/** The last one that says something counts. */
export class Options {
  readonly #section: SectionName;
  readonly #all: ReadonlyMap<string, Given>;
  constructor(section: SectionName, ...outermostFirst: readonly (OptionSet | undefined)[]) {
    this.#section = section;
    this.#all = new Map(outermostFirst.flatMap((s) => [...(s ?? [])]));
  }
  given(name: string): Given | undefined {
    return this.#all.get(name);
  }
  #value(name: string): unknown {
    const row = optionRow(this.#section, name);
    if (!row) throw new Error(`bug: no option ${name} in ${this.#section}`);
    return this.#all.get(name)?.value ?? defaultOf(row.type);
  }
  number(name: string): number {
    return this.#value(name) as number;
  }
  time(name: string): Milliseconds {
    return ms(this.number(name));
  }
  bytes(name: string): Bytes {
    return bytes(this.number(name));
  }
  /** Zero stands for `none`. */
  bytesOrNone(name: string): Bytes | undefined {
    return this.number(name) === 0 ? undefined : this.bytes(name);
  }
  flag(name: string): boolean {
    return this.#value(name) as boolean;
  }
  /** The table of options says which words there are. */
  word<T extends string>(name: string): T {
    return this.#value(name) as T;
  }
  text(name: string): string | undefined {
    return this.#value(name) as string | undefined;
  }
  *entries(): Iterable<Given> {
    yield* this.#all.values();
  }
}
