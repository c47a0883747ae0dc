/** The kinds in one table, each with its number and its chain: there while a service goes through it. */
import { invariant } from '../../../base/index.ts';
import { fingerprint, foundFingerprint, type TableCommand, type TableFound } from '../nftables/index.ts';
import type { Mode } from './image.ts';
import { type Kind, kindChain, kindOfChain, MAX_KINDS } from './kind.ts';
import { kinds } from './pick.ts';
import type { Change } from './service-plan.ts';

/** Without users: only its number is taken. */
type Known = { readonly kind: Kind; readonly number: number; users: number };
export type KindPlan = {
  /** Before the elements of services, and after. */
  readonly before: readonly TableCommand[];
  readonly after: readonly TableCommand[];
  /** To be called when the transaction has gone through. */
  readonly settle: () => void;
};

export class KindChains {
  readonly #mode: Pick<Mode, 'rules'>;
  readonly #known = new Map<string, Known>();
  readonly #numbers = new Set<number>();
  /** Numbers that were taken since `tidy`. */
  #taken: string[] = [];

  constructor(mode: Pick<Mode, 'rules'>) {
    this.#mode = mode;
  }
  clear(): void {
    this.#known.clear();
    this.#numbers.clear();
    this.#taken = [];
  }

  /** Gives a kind that will be planned with a number, until `tidy`; false: all are taken. */
  number(kind: Kind): boolean {
    const name = kindChain(kind);
    if (this.#known.has(name)) return true;
    let number = 1;
    while (this.#numbers.has(number)) number++;
    if (number > MAX_KINDS) return false;
    this.#know(name, { kind, number, users: 0 });
    this.#taken.push(name);
    return true;
  }
  numberOf(kind: Kind): number {
    const known = this.#known.get(kindChain(kind));
    invariant(known !== undefined, 'a kind has a number before it is used');
    return known.number;
  }
  /** Numbers of kinds that were not put after all are free again. */
  tidy(): void {
    for (const name of this.#taken) if (this.#known.get(name)?.users === 0) this.#forget(name);
    this.#taken = [];
  }
  #know(name: string, known: Known): void {
    this.#known.set(name, known);
    this.#numbers.add(known.number);
  }
  #forget(name: string): void {
    this.#numbers.delete(this.#known.get(name)?.number ?? 0);
    this.#known.delete(name);
  }

  /** Whether all chains are there with their rules. */
  stand(found: TableFound): boolean {
    return [...this.#known].every(
      ([name, { kind }]) => foundFingerprint(found.rules.get(name)) === fingerprint(this.#mode.rules(kind)),
    );
  }
  /** Users that come and go with these changes; what the chains must be told. Each kind has its number already. */
  plan(part: readonly Change[]): KindPlan {
    const delta = new Map<string, number>();
    const count = (kind: Kind | undefined, by: number): void => {
      if (kind !== undefined) delta.set(kindChain(kind), (delta.get(kindChain(kind)) ?? 0) + by);
    };
    for (const { have, want } of part) {
      if (have !== undefined && want !== undefined && sameKind(have.kind, want.kind)) continue;
      count(have?.kind, -1);
      count(want?.kind, 1);
    }
    const [come, go]: [[string, Known][], [string, Known][]] = [[], []];
    for (const [name, by] of delta) {
      const known = this.#known.get(name);
      if (known === undefined) continue;
      if (known.users === 0 && by > 0) come.push([name, known]);
      if (known.users > 0 && known.users + by <= 0) go.push([name, known]);
    }
    return {
      before: come.length === 0 ? [] : [...come.flatMap(([name, k]) => this.#chain(name, k.kind)), lead(come)],
      after: go.length === 0 ? [] : [leadNoMore(go), ...go.flatMap(([name]) => remove(name))],
      settle: () => {
        for (const [name, by] of delta) {
          const known = this.#known.get(name);
          if (known === undefined) continue;
          known.users = Math.max(0, known.users + by);
          if (known.users === 0) this.#forget(name);
        }
      },
    };
  }
  #chain(name: string, kind: Kind): TableCommand[] {
    return [
      { do: 'chain-add', chain: { name, rules: [] } },
      { do: 'rules-add', chain: name, rules: this.#mode.rules(kind) },
    ];
  }

  /** What an earlier process left: kept where services that it left use it, else to be cleared away. */
  adopt(used: readonly Kind[], numbered: ReadonlyMap<number, Kind>, found: TableFound): readonly TableCommand[] {
    for (const [number, kind] of numbered) this.#know(kindChain(kind), { kind, number, users: 0 });
    for (const kind of used) {
      const known = this.#known.get(kindChain(kind));
      if (known !== undefined) known.users++;
    }
    const idle = [...this.#known].filter(([, k]) => k.users === 0);
    for (const [name] of idle) this.#forget(name);
    const out: TableCommand[] = idle.length === 0 ? [] : [leadNoMore(idle)];
    for (const [name, { kind }] of this.#known) {
      const rules = this.#mode.rules(kind);
      if (!found.chains.has(name)) out.push({ do: 'chain-add', chain: { name, rules: [] } });
      if (foundFingerprint(found.rules.get(name)) !== fingerprint(rules))
        out.push({ do: 'rules-flush', chain: name }, { do: 'rules-add', chain: name, rules });
    }
    for (const name of found.chains.keys())
      if (kindOfChain(name) !== undefined && !this.#known.has(name)) out.push(...remove(name));
    return out;
  }
}
const sameKind = (a: Kind | undefined, b: Kind | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && kindChain(a) === kindChain(b));
const lead = (come: readonly (readonly [string, Known])[]): TableCommand => ({
  do: 'elements-add',
  set: kinds,
  elements: come.map(([name, k]) => ({ key: [k.number], goto: name })),
});
const leadNoMore = (go: readonly (readonly [string, Known])[]): TableCommand => ({
  do: 'elements-remove',
  set: kinds,
  elements: go.map(([name, k]) => ({ key: [k.number], goto: name })),
});
const remove = (name: string): TableCommand[] => [
  { do: 'rules-flush', chain: name },
  { do: 'chain-remove', chain: name },
];
