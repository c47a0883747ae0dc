/** Elements that several services may need at once: each is there while anybody needs it. */
import type { WantedService } from '../../types.ts';
import type { ElementSpec, SetSpec, TableCommand } from '../nftables/index.ts';
import { type Entry, entryKey } from './image.ts';

export type SharedSpec = {
  readonly sets: readonly SetSpec[];
  /** What a service needs. */
  readonly of: (s: WantedService) => readonly Entry[];
};
type User = {
  /** As it was before; undefined also for one that an earlier process left. */
  readonly before: WantedService | undefined;
  readonly service: WantedService | undefined;
};
export type SharedPlan = {
  readonly add: readonly TableCommand[];
  readonly remove: readonly TableCommand[];
  /** To be called when the transaction has gone through. */
  readonly settle: () => void;
};
const NOTHING: SharedPlan = { add: [], remove: [], settle: () => {} };

export class SharedElements {
  readonly #spec: SharedSpec | undefined;
  /** How many services need each that is in the kernel. */
  readonly #users = new Map<string, number>();
  /** Those that an earlier process left and nobody claimed yet. */
  readonly #idle = new Map<string, Entry>();

  constructor(spec: SharedSpec | undefined) {
    this.#spec = spec;
  }
  get sets(): readonly SetSpec[] {
    return this.#spec?.sets ?? [];
  }
  clear(): void {
    this.#users.clear();
    this.#idle.clear();
  }
  /** What an earlier process left. */
  adopt(set: SetSpec, elements: readonly ElementSpec[]): void {
    for (const e of elements) {
      const entry = { set, ...e };
      this.#users.set(entryKey(entry), 0);
      this.#idle.set(entryKey(entry), entry);
    }
  }
  /** What nobody needed before comes, what nobody needs after goes. */
  plan(part: readonly User[]): SharedPlan {
    const spec = this.#spec;
    if (spec === undefined) return NOTHING;
    const delta = new Map<string, { readonly entry: Entry; by: number }>();
    const count = (s: WantedService | undefined, by: number): void => {
      if (s === undefined) return;
      for (const entry of spec.of(s)) {
        const key = entryKey(entry);
        const d = delta.get(key);
        if (d === undefined) delta.set(key, { entry, by });
        else d.by += by;
      }
    };
    for (const c of part) {
      count(c.before, -1);
      count(c.service, 1);
    }
    const [add, remove]: Entry[][] = [[], []];
    for (const [key, { entry, by }] of delta) {
      const have = this.#users.get(key);
      const users = (have ?? 0) + by;
      if (have === undefined && users > 0) add?.push(entry);
      if (have !== undefined && users <= 0) remove?.push(entry);
    }
    return {
      add: this.#commands('elements-add', add ?? []),
      remove: this.#commands('elements-remove', remove ?? []),
      settle: () => {
        for (const [key, { by }] of delta) {
          const users = (this.#users.get(key) ?? 0) + by;
          this.#idle.delete(key);
          if (users > 0) this.#users.set(key, users);
          else this.#users.delete(key);
        }
      },
    };
  }
  /** What takes away those that an earlier process left and nobody claimed; to be told when everything wanted is there. */
  sweep(): SharedPlan {
    if (this.#idle.size === 0) return NOTHING;
    return {
      add: [],
      remove: this.#commands('elements-remove', [...this.#idle.values()]),
      settle: () => {
        for (const key of this.#idle.keys()) this.#users.delete(key);
        this.#idle.clear();
      },
    };
  }
  #commands(what: 'elements-add' | 'elements-remove', entries: readonly Entry[]): TableCommand[] {
    return this.sets.flatMap((set) => {
      const elements = entries.filter((e) => e.set === set);
      return elements.length === 0 ? [] : [{ do: what, set, elements }];
    });
  }
}
