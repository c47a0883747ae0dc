/**
 * The services that lie in the maps, and what of a new list is not yet there. A list of ten thousand comes at every change
 * of one, with those that did not change as the very same objects: only what is between the first and the last other
 * object is looked at.
 */
import { ok } from '../../../base/index.ts';
import type { ServiceKey, ServiceOutcome, WantedService } from '../../types.ts';
import { entriesOf } from './compile.ts';
import { sameService } from './same.ts';
import { entryText, type ServiceTable } from './tables.ts';

export type Held = {
  /** As last applied; undefined: it is to be looked at again. */
  readonly wanted: WantedService | undefined;
  readonly table: ServiceTable;
  /** What is answered for it nearly always. */
  readonly kept: ServiceOutcome;
};
/** A service that is held or was left, and is not wanted. */
export type Gone = { readonly wanted: WantedService | undefined; readonly table: ServiceTable };
export type Compared = {
  /** In the order of the list; what is in `fresh` has none yet. */
  readonly outcomes: ServiceOutcome[];
  /** New or other than what is held. `at`: its place in the list. */
  readonly fresh: readonly { readonly at: number; readonly service: WantedService; readonly held: Held | undefined }[];
  readonly gone: readonly Gone[];
  /** Where the list is another than the last: from a place on so many, instead of so many. */
  readonly changed: { readonly from: number; readonly before: number; readonly now: number };
};

export class HeldServices {
  readonly #held = new Map<ServiceKey, Held>();
  /** Found in the kernel and not yet claimed by a service, by the text of each entry. */
  readonly #orphans = new Map<string, ServiceTable>();
  /** The last list, all of which is held, with its outcomes had it been given again. Undefined: there is no such list. */
  #last: { readonly services: readonly WantedService[]; readonly kept: ServiceOutcome[] } | undefined;

  /** What an earlier process left. */
  found(tables: readonly ServiceTable[]): void {
    for (const t of tables) for (const e of t.entries) this.#orphans.set(entryText(e), t);
  }
  get(key: ServiceKey): Held | undefined {
    return this.#held.get(key);
  }
  values(): IterableIterator<Held> {
    return this.#held.values();
  }
  entries(): IterableIterator<[ServiceKey, Held]> {
    return this.#held.entries();
  }

  compare(services: readonly WantedService[]): Compared {
    const last = this.#last?.services ?? [];
    const kept = this.#last?.kept ?? [];
    const from = sameFromStart(last, services);
    const tail = sameFromEnd(last, services, Math.min(last.length, services.length) - from);
    const middle = services.slice(from, services.length - tail);
    const before = last.slice(from, last.length - tail);

    const known: ServiceOutcome[] = [];
    const fresh: { at: number; service: WantedService; held: Held | undefined }[] = [];
    for (const [i, service] of middle.entries()) {
      const held = this.#held.get(service.key);
      if (held?.wanted && sameService(held.wanted, service)) known.push(held.kept);
      else {
        fresh.push({ at: from + i, service, held });
        known.push({ key: service.key, result: ok('changed') });
      }
    }
    const gone = this.#gone(middle, this.#last ? before.map((s) => s.key) : this.#held.keys());
    // One copy of the long list, and no more: while memory is being collected each costs a fifth of a millisecond.
    const outcomes = replaced(kept.slice(), from, before.length, known);
    return { outcomes, fresh, gone, changed: { from, before: before.length, now: middle.length } };
  }
  #gone(middle: readonly WantedService[], candidates: Iterable<ServiceKey>): Gone[] {
    const gone: Gone[] = [];
    const keys = new Set(middle.map((s) => s.key));
    for (const key of candidates) {
      const held = this.#held.get(key);
      if (!held || keys.has(key)) continue;
      gone.push(held);
      this.#held.delete(key);
    }
    return gone;
  }

  /** What an earlier process left for one of this service's entries; it is the service's from now on. */
  adopt(s: WantedService): ServiceTable | undefined {
    if (this.#orphans.size === 0) return undefined;
    const table = (entriesOf(s) ?? []).map((e) => this.#orphans.get(entryText(e))).find((t) => t !== undefined);
    for (const e of table?.entries ?? []) this.#orphans.delete(entryText(e));
    return table;
  }
  /** What was left and nobody claimed. */
  unclaimed(): Gone[] {
    const gone = [...new Set(this.#orphans.values())].map((table) => ({ wanted: undefined, table }));
    this.#orphans.clear();
    return gone;
  }
  /** `whole`: the maps have all of it. */
  hold(s: WantedService, table: ServiceTable, whole: boolean): void {
    if (!whole) this.#last = undefined; // the next list is looked at as a whole
    this.#held.set(s.key, { wanted: whole ? s : undefined, table, kept: { key: s.key, result: ok('kept') } });
  }
  /** After `compare` and what came of it. `outcomes` may go to the caller: it is not kept. */
  settle(services: readonly WantedService[], c: Compared): void {
    if (c.fresh.some((f) => !c.outcomes[f.at]?.result.ok)) {
      this.#last = undefined;
      return;
    }
    const { from, before, now } = c.changed;
    const news = services.slice(from, from + now).map((s) => (this.#held.get(s.key) as Held).kept);
    this.#last = { services, kept: replaced(this.#last?.kept ?? [], from, before, news) };
  }
}

const FEW = 100;
/** `list` itself with other elements, where they are few. */
function replaced<T>(list: T[], from: number, count: number, by: readonly T[]): T[] {
  if (by.length > FEW) return list.slice(0, from).concat(by, list.slice(from + count));
  list.splice(from, count, ...by);
  return list;
}
// Small loops of their own: compiled soon, also where a list of ten thousand seldom comes.
function sameFromStart(a: readonly unknown[], b: readonly unknown[]): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a[n] === b[n]) n++;
  return n;
}
function sameFromEnd(a: readonly unknown[], b: readonly unknown[], most: number): number {
  let n = 0;
  while (n < most && a[a.length - 1 - n] === b[b.length - 1 - n]) n++;
  return n;
}
