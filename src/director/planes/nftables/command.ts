/** What is to be done to one table, and its form as requests of one transaction. */
import type { NetlinkRequest } from '../../../host/index.ts';
import {
  type NetlinkWriter,
  NFT_MSG,
  NLM_F,
  writeNftChain,
  writeNftChainKey,
  writeNftElementsOf,
  writeNftRule,
  writeNftRulesKey,
  writeNftSet,
  writeNftTable,
} from '../../../wire/index.ts';
import {
  type ChainSpec,
  type ElementSpec,
  elementForm,
  type RuleSpec,
  type SetSpec,
  type TableName,
  wireSet,
} from './spec.ts';

export type TableCommand =
  | { readonly do: 'table-add' }
  | { readonly do: 'table-remove' }
  | { readonly do: 'set-add'; readonly set: SetSpec }
  /** Without its rules. */
  | { readonly do: 'chain-add'; readonly chain: ChainSpec }
  | { readonly do: 'chain-remove'; readonly chain: string }
  | { readonly do: 'rules-add'; readonly chain: string; readonly rules: readonly RuleSpec[] }
  | { readonly do: 'rules-flush'; readonly chain: string }
  | { readonly do: 'elements-add'; readonly set: SetSpec; readonly elements: readonly ElementSpec[] }
  | { readonly do: 'elements-remove'; readonly set: SetSpec; readonly elements: readonly ElementSpec[] };

/** A nest has a length of 16 bits; an element of the largest form is below 200 bytes. */
const ELEMENTS_IN_MESSAGE = 300;

const request = (type: number, flags: number, write: (w: NetlinkWriter) => void): NetlinkRequest => ({
  type,
  flags,
  write,
});
function* chunks<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}

/** `setId` must be unique in the transaction where the command makes a set. */
export function requestsOf(t: TableName, c: TableCommand, setId: number): NetlinkRequest[] {
  const table = { family: t.family, table: t.name };
  switch (c.do) {
    case 'table-add':
      return [request(NFT_MSG.newTable, NLM_F.create, (w) => writeNftTable(w, { ...t, flags: 0 }))];
    case 'table-remove':
      return [request(NFT_MSG.delTable, 0, (w) => writeNftTable(w, { ...t, flags: 0 }))];
    case 'set-add':
      return [request(NFT_MSG.newSet, NLM_F.create, (w) => writeNftSet(w, wireSet(t, c.set), setId))];
    case 'chain-add': {
      const { name, hook, comment } = c.chain;
      const chain = { ...table, name, ...(hook && { hook }), ...(comment !== undefined && { comment }) };
      return [request(NFT_MSG.newChain, NLM_F.create, (w) => writeNftChain(w, chain))];
    }
    case 'chain-remove':
      return [request(NFT_MSG.delChain, 0, (w) => writeNftChainKey(w, { ...table, name: c.chain }))];
    case 'rules-add':
      return c.rules.map((expressions) =>
        request(NFT_MSG.newRule, NLM_F.create | NLM_F.append, (w) =>
          writeNftRule(w, { ...table, chain: c.chain, expressions }),
        ),
      );
    case 'rules-flush':
      return [request(NFT_MSG.delRule, 0, (w) => writeNftRulesKey(w, { ...table, chain: c.chain }))];
    case 'elements-add':
    case 'elements-remove': {
      const remove = c.do === 'elements-remove';
      const form = elementForm(c.set, remove);
      const of = { ...table, set: c.set.name };
      const out: NetlinkRequest[] = [];
      for (const part of chunks(c.elements, ELEMENTS_IN_MESSAGE))
        out.push(
          request(remove ? NFT_MSG.delElements : NFT_MSG.newElements, remove ? 0 : NLM_F.create, (w) =>
            writeNftElementsOf(w, of, part, form),
          ),
        );
      return out;
    }
  }
}
