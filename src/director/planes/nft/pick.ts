/** The rules that choose a server, which NAT and DR have in common: the mark is the connection's there, the packet's here. */

import type { NftExpression, NftRegister } from '../../../wire/index.ts';
import type { WantedService } from '../../types.ts';
import { SERVICE_MASK, serviceMark, slotKey } from '../marks.ts';
import { addressWords, load, lookup, masked, nativeBytes, type RuleSpec, type SetSpec } from '../nftables/index.ts';
import { serviceFamily } from './image.ts';
import { choiceOf } from './slots.ts';

/** How a mode reads and writes the mark that names the server. */
export type MarkPort = {
  readonly get: (to: NftRegister) => NftExpression;
  readonly set: (from: NftRegister) => NftExpression;
};
/** Both directors hash alike. */
const SEED = 0x484f4c44;

/** The client as persistence counts it, from `at` on. */
function client(s: WantedService, at: NftRegister): NftExpression[] {
  const family = serviceFamily(s);
  const address = load.saddr[family](at);
  const length = s.persistence?.granularity;
  if (length === undefined || length === (family === 4 ? 32 : 128)) return [address];
  const mask = new Uint8Array(family === 4 ? 4 : 16);
  for (let i = 0; i < length; i++) mask[i >> 3] = (mask[i >> 3] as number) | (0x80 >> (i & 7));
  return [address, masked(at, mask)];
}

/** The slot's number to register 0, counted or hashed. */
function slot(s: WantedService, id: number, slots: number): NftExpression[] {
  const offset = slotKey(id, 0);
  const choice = choiceOf(s.scheduler);
  if (choice === 'count') return [{ is: 'numgen', to: 0, random: false, modulus: slots, offset }];
  const family = serviceFamily(s);
  const words = addressWords(family);
  // In words above 4, so that the result does not overwrite what is hashed.
  const withPort = s.flags.some((f) => f === 'sh-port' || f === 'mh-port' || f === 'flag-2') && choice === 'source';
  const address = choice === 'source' ? load.saddr[family](4) : load.daddr[family](4);
  const length = words * 4 + (withPort ? 4 : 0);
  return [
    address,
    ...(withPort ? [load.sport(4 + words)] : []),
    { is: 'jhash', from: 4, length, to: 0, modulus: slots, seed: SEED, offset },
  ];
}
/** A flow in the middle that nobody remembers: the same server on every director, whatever the scheduler. */
export function flowSlot(s: WantedService, id: number, slots: number): NftExpression[] {
  if (choiceOf(s.scheduler) !== 'count') return slot(s, id, slots);
  const family = serviceFamily(s);
  const words = addressWords(family);
  return [
    load.saddr[family](4),
    load.sport(4 + words),
    { is: 'jhash', from: 4, length: words * 4 + 4, to: 0, modulus: slots, seed: SEED, offset: slotKey(id, 0) },
  ];
}
const nobody = (id: number): NftExpression => ({ is: 'immediate', to: 0, value: nativeBytes(serviceMark(id)) });
export const startWith = (id: number, mark: MarkPort): RuleSpec => [nobody(id), mark.set(0)];
export const choose = (slots: SetSpec, mark: MarkPort, by: readonly NftExpression[], only: RuleSpec = []): RuleSpec => [
  ...only,
  ...by,
  lookup(slots.name, 0, 0),
  mark.set(0),
];

/** Sets of a table that choosing works with. */
export type PickSets = { readonly slots: SetSpec; readonly open: SetSpec; readonly stick: Record<4 | 6, SetSpec> };

/**
 * The rules of a service's chain that leave the mark at a server, or, where it has none, at the service alone. `only`
 * restricts the choice to some packets; `done` follows where persistence has found or taken a server.
 */
export function pickRules(
  s: WantedService,
  id: number,
  slots: number,
  sets: PickSets,
  mark: MarkPort,
  o: { readonly done: NftExpression; readonly only?: RuleSpec },
): RuleSpec[] {
  const pick = slots === 0 ? [] : [choose(sets.slots, mark, slot(s, id, slots), o.only)];
  const { persistence } = s;
  if (persistence === undefined) return pick;
  const family = serviceFamily(s);
  const stick = sets.stick[family];
  const data = 1 + addressWords(family);
  const key = [...client(s, 1)];
  const remember: RuleSpec = [
    mark.get(0),
    lookup(sets.open.name, 0),
    mark.get(0),
    masked(0, nativeBytes(SERVICE_MASK)),
    ...key,
    mark.get(data),
    { is: 'dynset', op: 'update', set: stick.name, key: 0, data, timeoutMs: persistence.seconds * 1000 },
    o.done,
  ];
  return [
    startWith(id, mark),
    [mark.get(0), ...key, lookup(stick.name, 0, 0), mark.set(0)],
    remember,
    // Nobody is remembered, or one that takes nothing new: that is forgotten, since an update would keep it. Of a map
    // the kernel wants a value named here too, which it does not look at.
    [nobody(id), mark.set(0), ...key, mark.get(data), { is: 'dynset', op: 'delete', set: stick.name, key: 0, data }],
    ...pick,
    remember,
  ];
}
