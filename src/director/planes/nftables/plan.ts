/** From the parts of a table that are always there to commands: nothing where nothing is to be done. */
import { NetlinkWriter, type NftRule, type NftSet, writeNftRule } from '../../../wire/index.ts';
import type { TableCommand } from './command.ts';
import { type ChainSpec, type RuleSpec, type TableSpec, wireSet } from './spec.ts';

/** A table as it was read, without elements. */
export type TableFound = {
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly chains: ReadonlyMap<string, Omit<ChainSpec, 'rules'>>;
  readonly rules: ReadonlyMap<string, readonly NftRule[]>;
};

const decoder = new TextDecoder('latin1');
/** A table as it is once it has been put as described. */
export const foundOf = (t: TableSpec): TableFound => ({
  sets: new Map(t.sets.map((s) => [s.name, wireSet(t, s)])),
  chains: new Map(t.chains.map((c) => [c.name, c])),
  rules: new Map(
    t.chains.map((c) => [
      c.name,
      c.rules.map((expressions) => ({ family: t.family, table: t.name, chain: c.name, expressions })),
    ]),
  ),
});
/** Equal exactly for rules that do the same. */
export function fingerprint(rules: readonly RuleSpec[]): string {
  const w = new NetlinkWriter();
  for (const expressions of rules) writeNftRule(w, { family: 'inet', table: '', chain: '', expressions });
  return decoder.decode(w.done());
}
/** Counters inside rules count; that is no difference. */
export const foundFingerprint = (rules: readonly NftRule[] | undefined): string =>
  fingerprint((rules ?? []).map((r) => r.expressions));

const sameSet = (a: NftSet, b: NftSet): boolean =>
  a.flags === b.flags &&
  a.keyType === b.keyType &&
  a.keyLength === b.keyLength &&
  a.dataType === b.dataType &&
  a.dataLength === b.dataLength &&
  a.timeoutMs === b.timeoutMs &&
  a.size === b.size &&
  a.counter === b.counter;
const sameHook = (a: ChainSpec['hook'], b: ChainSpec['hook']): boolean =>
  a?.type === b?.type &&
  a?.number === b?.number &&
  a?.priority === b?.priority &&
  a?.policy === b?.policy &&
  (a?.devices ?? []).join() === (b?.devices ?? []).join();

/** What is to be done, and whether everything begins afresh because something there cannot be changed in place. */
export type TablePlan = { readonly commands: readonly TableCommand[]; readonly afresh: boolean };

/**
 */
export function planTable(wanted: TableSpec, found: TableFound | undefined): TablePlan {
  const add: TableCommand[] = [
    { do: 'table-add' },
    ...wanted.sets.map((set) => ({ do: 'set-add' as const, set })),
    ...wanted.chains.map((chain) => ({ do: 'chain-add' as const, chain })),
    ...wanted.chains.map((c) => ({ do: 'rules-add' as const, chain: c.name, rules: c.rules })),
  ];
  if (found === undefined) return { commands: add, afresh: true };
  const sets = wanted.sets.map((set) => ({ set, have: found.sets.get(set.name) }));
  const chains = wanted.chains.map((chain) => ({ chain, have: found.chains.get(chain.name) }));
  if (
    sets.some((s) => s.have !== undefined && !sameSet(s.have, wireSet(wanted, s.set))) ||
    chains.some((c) => c.have !== undefined && !sameHook(c.have.hook, c.chain.hook))
  )
    return { commands: [{ do: 'table-remove' }, ...add], afresh: true };
  const names = new Set(wanted.chains.map((c) => c.name));
  const gone = [...found.chains.values()].filter((c) => c.hook !== undefined && !names.has(c.name));
  return {
    afresh: false,
    commands: [
      ...sets.filter((s) => s.have === undefined).map((s) => ({ do: 'set-add' as const, set: s.set })),
      ...chains.filter((c) => c.have === undefined).map((c) => ({ do: 'chain-add' as const, chain: c.chain })),
      ...chains.flatMap(({ chain, have }): TableCommand[] => {
        const there = have === undefined ? [] : (found.rules.get(chain.name) ?? []);
        if (foundFingerprint(there) === fingerprint(chain.rules)) return [];
        const rules: TableCommand = { do: 'rules-add', chain: chain.name, rules: chain.rules };
        return [{ do: 'rules-flush', chain: chain.name }, rules];
      }),
      ...gone.flatMap((c): TableCommand[] => [
        { do: 'rules-flush', chain: c.name },
        { do: 'chain-remove', chain: c.name },
      ]),
    ],
  };
}
