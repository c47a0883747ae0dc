/** The chains of kinds in one table: there while a service goes through them. */
import { fingerprint, foundFingerprint, type TableCommand, type TableFound } from '../nftables/index.ts';
import type { Mode } from './image.ts';
import { type Kind, kindChain, kindOfChain } from './kind.ts';
import type { Change } from './service-plan.ts';

type Known = { readonly kind: Kind; users: number };
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

  constructor(mode: Pick<Mode, 'rules'>) {
    this.#mode = mode;
  }
  clear(): void {
    this.#known.clear();
  }

  /** Whether all chains are there with their rules. */
  stand(found: TableFound): boolean {
    return [...this.#known].every(
      ([name, { kind }]) => foundFingerprint(found.rules.get(name)) === fingerprint(this.#mode.rules(kind)),
    );
  }
  /** Users that come and go with these changes; what the chains must be told. */
  plan(part: readonly Change[]): KindPlan {
    const delta = new Map<string, { readonly kind: Kind; by: number }>();
    const count = (kind: Kind | undefined, by: number): void => {
      if (kind === undefined) return;
      const name = kindChain(kind);
      const d = delta.get(name);
      if (d === undefined) delta.set(name, { kind, by });
      else d.by += by;
    };
    for (const { have, want } of part) {
      if (have !== undefined && want !== undefined && sameKind(have.kind, want.kind)) continue;
      count(have?.kind, -1);
      count(want?.kind, 1);
    }
    const [before, after]: [TableCommand[], TableCommand[]] = [[], []];
    for (const [name, d] of delta) {
      const had = this.#known.get(name)?.users ?? 0;
      if (had === 0 && d.by > 0) before.push(...this.#add(name, d.kind));
      if (had > 0 && had + d.by <= 0) after.push(...remove(name));
    }
    return {
      before,
      after,
      settle: () => {
        for (const [name, d] of delta) {
          const users = (this.#known.get(name)?.users ?? 0) + d.by;
          if (users > 0) this.#known.set(name, { kind: d.kind, users });
          else this.#known.delete(name);
        }
      },
    };
  }
  #add(name: string, kind: Kind): TableCommand[] {
    return [
      { do: 'chain-add', chain: { name, rules: [] } },
      { do: 'rules-add', chain: name, rules: this.#mode.rules(kind) },
    ];
  }

  /** What an earlier process left: kept where services that it left use it, else to be cleared away. */
  adopt(used: readonly Kind[], found: TableFound): readonly TableCommand[] {
    for (const kind of used) {
      const name = kindChain(kind);
      const known = this.#known.get(name);
      if (known === undefined) this.#known.set(name, { kind, users: 1 });
      else known.users++;
    }
    const out: TableCommand[] = [];
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
const remove = (name: string): TableCommand[] => [
  { do: 'rules-flush', chain: name },
  { do: 'chain-remove', chain: name },
];
