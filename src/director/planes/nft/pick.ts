/**
 * Choosing a server, which NAT and direct routing have in common: the mark is the connection's there, the packet's here.
 *
 * A service's own rules name no set. The kernel walks a whole map whenever a rule is bound to it, and all chains of the
 * table when a rule with a lookup comes: with ten thousand services each change would take as long as all of them. So a
 * service's rule leaves the number of a slot in the mark, and goes on in a chain that all services share.
 */
import type { NftExpression, NftRegister } from '../../../wire/index.ts';
import type { WantedService } from '../../types.ts';
import { SERVICE_MASK, serviceMark, slotKey } from '../marks.ts';
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
import { serviceFamily } from './image.ts';
import { choiceOf } from './slots.ts';

/** How a mode reads and writes the mark that names the server. */
export type MarkPort = {
  readonly get: (to: NftRegister) => NftExpression;
  readonly set: (from: NftRegister) => NftExpression;
};
/** Both directors hash alike. */
const SEED = 0x484f4c44;

/** The slot's number to register 0, counted or hashed. What is hashed lies in words above 4, clear of the result. */
function slotNumber(
  s: WantedService,
  id: number,
  slots: number,
  choice: 'count' | 'source' | 'destination' | 'flow',
): NftExpression[] {
  const offset = slotKey(id, 0);
  if (choice === 'count') return [{ is: 'numgen', to: 0, random: false, modulus: slots, offset }];
  const family = serviceFamily(s);
  const words = addressWords(family);
  // sh-port is IPVS's flag-2 of sh, mh-port of mh.
  const port =
    choice === 'flow' ||
    (choice === 'source' && s.flags.some((f) => f === 'sh-port' || f === 'mh-port' || f === 'flag-2'));
  return [
    choice === 'destination' ? load.daddr[family](4) : load.saddr[family](4),
    ...(port ? [load.sport(4 + words)] : []),
    { is: 'jhash', from: 4, length: words * 4 + (port ? 4 : 0), to: 0, modulus: slots, seed: SEED, offset },
  ];
}
/** Leaves the number of a slot in the mark; no rule where no slot is. */
export function slotRule(s: WantedService, id: number, slots: number, mark: MarkPort, only: RuleSpec = []): RuleSpec[] {
  return slots === 0 ? [] : [[...only, ...slotNumber(s, id, slots, choiceOf(s.scheduler)), mark.set(0)]];
}
/** For a flow in the middle that nobody remembers: the same server on every director, whatever the scheduler. */
export function flowSlotRule(s: WantedService, id: number, slots: number, mark: MarkPort, only: RuleSpec): RuleSpec[] {
  if (slots === 0) return [];
  const choice = choiceOf(s.scheduler);
  return [[...only, ...slotNumber(s, id, slots, choice === 'count' ? 'flow' : choice), mark.set(0)]];
}
/** The mark names the service, and no server of it. */
export const startRule = (id: number, mark: MarkPort): RuleSpec => [
  { is: 'immediate', to: 0, value: nativeBytes(serviceMark(id)) },
  mark.set(0),
];
/** From the number of a slot to the server in it. */
export const takeRule = (slots: SetSpec, mark: MarkPort): RuleSpec => [
  mark.get(0),
  lookup(slots.name, 0, 0),
  mark.set(0),
];

// ---------------------------------------------------------------------------------------------- persistence

/** Sets of a table that persistence works with. */
export type StickSets = { readonly open: SetSpec; readonly stick: Record<4 | 6, SetSpec> };
/** What services with the same persistence share. */
export type Persistence = { readonly family: 4 | 6; readonly seconds: number; readonly length: number };

export function persistenceOf(s: WantedService): Persistence | undefined {
  if (s.persistence === undefined) return undefined;
  const family = serviceFamily(s);
  return { family, seconds: s.persistence.seconds, length: s.persistence.granularity ?? (family === 4 ? 32 : 128) };
}
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
  o: { readonly take: RuleSpec; readonly found: NftExpression; readonly taken: readonly NftExpression[] },
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
    { name: learnClient(p), rules: [o.take, remember, ...(o.taken.length === 0 ? [] : [o.taken])] },
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
