/** Long work as it goes on: one line that is drawn again on a terminal, now and then a plain line elsewhere. */
import type { MirrorStatus } from '../../api/index.ts';
import { type Language, text } from '../../base/index.ts';
import { share } from './amounts.ts';
import { progressLine } from './render.ts';

/** A line where none is drawn again: after a tenth of the whole, or after this time. Milliseconds. */
const PLAIN_EVERY_MS = 10_000;
const PLAIN_STEPS = 10;
const stepOf = (part: number): number => Math.floor(part * PLAIN_STEPS + 1e-9);
const REDRAW = '\r\u001b[K';

/** A volume's resync or verify, `data/0 resync [####....] ...`; undefined: none is under way. */
function progressOf(m: MirrorStatus, language: Language): { readonly line: string; readonly part: number } | undefined {
  const v = m.volumes.find((one) => one.sync !== undefined);
  if (v?.sync === undefined) return undefined;
  const word = v.sync.kind === 'verify' ? text('verify', '校验') : text('resync', '重新同步');
  const name = m.volumes.length > 1 ? `${m.name}/${v.volume}` : m.name;
  return {
    line: `${name} ${word[language]} ${progressLine(v.sync, language)}`,
    part: share(v.sync.done, v.sync.total),
  };
}

export class Progress {
  readonly #write: (s: string) => void;
  readonly #terminal: boolean;
  readonly #last = new Map<string, { readonly part: number; readonly at: number }>();
  #drawn = false;

  constructor(write: (s: string) => void, terminal: boolean) {
    this.#write = write;
    this.#terminal = terminal;
  }
  /** `at`: milliseconds of any clock. */
  show(m: MirrorStatus, language: Language, at: number): void {
    const p = progressOf(m, language);
    if (p === undefined) {
      this.#last.delete(m.name);
      return;
    }
    if (this.#terminal) {
      this.#write(REDRAW + p.line);
      this.#drawn = true;
      return;
    }
    const last = this.#last.get(m.name);
    if (last !== undefined && stepOf(p.part) === stepOf(last.part) && at - last.at < PLAIN_EVERY_MS) return;
    this.#last.set(m.name, { part: p.part, at });
    this.#write(`${p.line}\n`);
  }
  /** Before anything else is printed. */
  end(): void {
    if (this.#drawn) this.#write('\n');
    this.#drawn = false;
  }
}
