/** Kernel settings that are changed while we run and put back behind us. */
import type { HostError, Sysctl } from '../host/index.ts';

export class Settings {
  readonly #sysctl: Sysctl;
  readonly #before = new Map<string, string>();

  constructor(sysctl: Sysctl) {
    this.#sysctl = sysctl;
  }
  get(name: string): string | undefined {
    return this.#sysctl.get(name);
  }
  /** Undefined: done, or it was so already. A setting that this kernel does not have is left alone. */
  set(name: string, value: string): HostError | undefined {
    const before = this.#sysctl.get(name);
    if (before === undefined || before === value) return undefined;
    const done = this.#sysctl.set(name, value);
    if (!done.ok) return done.error;
    if (!this.#before.has(name)) this.#before.set(name, before);
    return undefined;
  }
  restore(): void {
    for (const [name, value] of this.#before) this.#sysctl.set(name, value);
    this.#before.clear();
  }
}
