/** Choosing a server, which NAT and direct routing have in common: the mark is the connection's there, the packet's here. */
import type { NftExpression, NftRegister } from '../../../wire/index.ts';
import { DRAWS } from '../../ring/index.ts';
import type { WantedService } from '../../types.ts';
import { SERVER_MASK, SERVICE_MASK } from '../marks.ts';
import {
  addressWords,
  type ChainSpec,
  load,
  lookup,
  masked,
  nativeBytes,
  type RuleSpec,
  type SetSpec,
} from '../nftables/index.ts';
import { type Choice, type Kind, type Persistence, persistenceOf } from './kind.ts';

/** How a mode reads and writes the mark that names the server. */
export type MarkPort = {
  readonly get: (to: NftRegister) => NftExpression;
  readonly set: (from: NftRegister) => NftExpression;
};
/** Both directors hash alike: a flow's first draw, and with the next number the next. */
export const SEED = 0x484f4c44;

/** Register 1: a hash of the packet. What is hashed lies in words above 4, clear of the result. */
function hashed(
  family: 4 | 6,
  choice: Choice,
  o: { readonly modulus: number; readonly seed: number; readonly offset: number },
): NftExpression[] {
  const words = addressWords(family);
  const port = choice === 'source-port';
  return [
    choice === 'destination' ? load.daddr[family](4) : load.saddr[family](4),
    ...(port ? [load.sport(4 + words)] : []),
    { is: 'jhash', from: 4, length: words * 4 + (port ? 4 : 0), to: 1, ...o },
  ];
}
/** From the service's mark to that of the server in the slot whose number is put into register 1. */
const take = (k: Kind, mark: MarkPort, only: RuleSpec, number: readonly NftExpression[]): RuleSpec => [
  ...only,
  mark.get(0),
  ...number,
  lookup((k.own === 0 ? slots : turns).name, 0, 0),
  mark.set(0),
];
/** By counting; no rule where no slot is. */
export const countRule = (k: Kind, mark: MarkPort, only: RuleSpec = []): RuleSpec[] => {
  if (k.slots === 0) return [];
  return [take(k, mark, only, [{ is: 'numgen', to: 1, random: k.choice === 'chance', modulus: k.slots, offset: 0 }])];
};
/** Seats are drawn until one is taken, the last one otherwise; then `next`. Where no server has a seat nothing is done. */
export function drawRules(k: Kind, mark: MarkPort, next: NftExpression): RuleSpec[] {
  const draw = (o: { readonly modulus: number; readonly seed: number; readonly offset: number }): RuleSpec => [
    ...take(k, mark, [], hashed(k.family, k.choice, o)),
    next,
  ];
  return [
    ...Array.from({ length: DRAWS }, (_, i) => draw({ modulus: k.slots, seed: SEED + i, offset: 0 })),
    draw({ modulus: 1, seed: SEED, offset: k.slots }),
  ];
}
/** For a flow in the middle that nobody remembers, where servers are dealt in turn: the same server on every director, and the right one by chance. */
export const flowRule = (k: Kind, mark: MarkPort, only: RuleSpec): RuleSpec[] => {
  if (k.slots === 0) return [];
  return [take(k, mark, only, hashed(k.family, 'source-port', { modulus: k.slots, seed: SEED, offset: 0 }))];
};

/** Service and slot to server. Services with a counter have a set of their own: a rule that is made walks its maps. */
export const slots: SetSpec = { name: 'slots', key: ['mark', 'mark'], data: ['mark'] };
export const turns: SetSpec = { ...slots, name: 'turns' };
/**
 * From a service to its kind, by number, and from there to the kind's chain. With one map for both, the kernel would look at
 * every service, and at the chain behind it, whenever a rule is made anywhere in the table.
 */
export const numberOfKind: SetSpec = { name: 'kind-of', key: ['mark'], data: ['mark'] };
export const kinds: SetSpec = { name: 'kinds', key: ['mark'], data: 'verdict' };
export const choosingSets: readonly SetSpec[] = [slots, turns, numberOfKind, kinds];
/**
 * The mark is a service's: on to the chain of its kind. For that moment the kind's number is where a server's is to be:
 * nft 1.0.6 aborts when it lists a rule that looks up what it has looked up.
 */
export const chooseRules = (mark: MarkPort): RuleSpec[] => [
  [mark.get(0), lookup(numberOfKind.name, 0, 0), mark.set(0)],
  [mark.get(0), masked(0, nativeBytes(SERVER_MASK)), lookup(kinds.name, 0, 'verdict')],
];
/** What every chain of a kind begins with: the mark is the service's again. */
export const chosenRule = (mark: MarkPort): RuleSpec => [
  mark.get(0),
  masked(0, nativeBytes(SERVICE_MASK)),
  mark.set(0),
];

// ---------------------------------------------------------------------------------------------- persistence

/** Sets of a table that persistence works with. */
export type StickSets = { readonly open: SetSpec; readonly stick: Record<4 | 6, SetSpec> };
const suffix = (p: Persistence): string => `${p.family}-${p.seconds}-${p.length}`;
export const knownClient = (p: Persistence): string => `client${suffix(p)}`;
export const learnClient = (p: Persistence): string => `learn${suffix(p)}`;

/** The client as it is counted, from `at` on. */
function client(p: Persistence, at: NftRegister): NftExpression[] {
  const address = load.saddr[p.family](at);
  if (p.length === (p.family === 4 ? 32 : 128)) return [address];
  const mask = new Uint8Array(p.family === 4 ? 4 : 16);
  for (let i = 0; i < p.length; i++) mask[i >> 3] = (mask[i >> 3] as number) | (0x80 >> (i & 7));
  return [address, masked(at, mask)];
}
/**
 * Two chains for each kind of persistence: one that finds the server of a known client, and does `found`, and one that
 * remembers the server that was just taken, and does `taken`.
 */
export function stickChains(
  p: Persistence,
  sets: StickSets,
  mark: MarkPort,
  o: { readonly found: NftExpression; readonly taken: readonly NftExpression[] },
): ChainSpec[] {
  const stick = sets.stick[p.family].name;
  const data = 1 + addressWords(p.family);
  const service: NftExpression[] = [mark.get(0), masked(0, nativeBytes(SERVICE_MASK))];
  const remember: NftExpression[] = [
    mark.get(0),
    lookup(sets.open.name, 0),
    ...service,
    ...client(p, 1),
    mark.get(data),
    { is: 'dynset', op: 'update', set: stick, key: 0, data, timeoutMs: p.seconds * 1000 },
  ];
  return [
    {
      name: knownClient(p),
      rules: [
        [mark.get(0), ...client(p, 1), lookup(stick, 0, 0), mark.set(0)],
        [...remember, o.found],
        // Its server takes nothing new: that is forgotten, since an update would keep it. Of a map the kernel wants a
        // value named here too, which it does not look at.
        [
          ...service,
          mark.set(0),
          ...client(p, 1),
          mark.get(data),
          { is: 'dynset', op: 'delete', set: stick, key: 0, data },
        ],
      ],
    },
    { name: learnClient(p), rules: [remember, ...(o.taken.length === 0 ? [] : [o.taken])] },
  ];
}
/** Each kind once. */
export function persistences(services: readonly WantedService[]): Persistence[] {
  const found = new Map<string, Persistence>();
  for (const s of services) {
    const p = persistenceOf(s);
    if (p !== undefined) found.set(suffix(p), p);
  }
  return [...found.values()];
}
