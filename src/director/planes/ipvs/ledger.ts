import { ok, type Result } from '../../../base/index.ts';
import type { Files, HostError } from '../../../host/index.ts';
import type { Owned } from './plan.ts';

/** What of the kernel's table is ours, kept where the next process finds it. */
export interface Ledger {
  read(): Owned;
  write(keys: Owned): Result<void, HostError>;
}

const LONGEST = 16 << 20;

/**
 * A file, one key a line, below /run: it shall be gone when the kernel's table is. Half a file, of a process that died
 * in the middle, names less than is ours: what is then no longer wanted stays, and is taken for somebody else's.
 */
export function fileLedger(files: Pick<Files, 'read' | 'write'>, path: string): Ledger {
  return {
    read: () => {
      const lines = new TextDecoder().decode(files.read(path, LONGEST) ?? new Uint8Array(0)).split('\n');
      return new Set(lines.slice(0, -1)); // behind the last newline is nothing, or half a key
    },
    write: (keys) => files.write(path, new TextEncoder().encode([...keys].map((k) => `${k}\n`).join(''))),
  };
}

/** The ledger, open: written only when what is in it changes. */
export class Property {
  readonly #ledger: Ledger;
  readonly #keys: Set<string>;
  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    this.#keys = new Set(ledger.read());
  }
  get keys(): Owned {
    return this.#keys;
  }
  /** Before it is put into the kernel, so that it is never there without being known as ours. */
  add(keys: Iterable<string>): Result<void, HostError> {
    const size = this.#keys.size;
    for (const key of keys) this.#keys.add(key);
    return this.#keys.size === size ? ok(undefined) : this.#ledger.write(this.#keys);
  }
  /** After it is gone from the kernel. */
  delete(keys: Iterable<string>): Result<void, HostError> {
    const size = this.#keys.size;
    for (const key of keys) this.#keys.delete(key);
    return this.#keys.size === size ? ok(undefined) : this.#ledger.write(this.#keys);
  }
}
