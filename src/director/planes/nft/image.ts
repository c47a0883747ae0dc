/**
 * One service as it lies in a table: its kind, its slots, its servers by number, and the keys that lead packets to it.
 * Made from what is wanted, or from what was read; the difference of two is a plan, and elements are all it is made of.
 */
import { familyOf, type IpAddress } from '../../../base/index.ts';
import { NOBODY } from '../../ring/index.ts';
import type { WantedServer, WantedService } from '../../types.ts';
import { eachAddress, MAX_SERVERS, PROTOCOL_NUMBER, serverMark, serviceMark } from '../marks.ts';
import type { ElementSpec, RuleSpec, SetSpec, TableCommand } from '../nftables/index.ts';
import { type Kind, kindChain, kindOf } from './kind.ts';
import { kinds, slots, turns } from './pick.ts';
import { fillSlots } from './slots.ts';

/** Where packets come in: an element of one of the tables of services. */
export type Entry = { readonly set: SetSpec; readonly element: ElementSpec };

export type ImageServer = {
  readonly number: number;
  readonly address: IpAddress;
  /** 0: the port that the client asked for. */
  readonly port: number;
  /** New connections may come by persistence. */
  readonly open: boolean;
  /** DR: the number of the device behind which it is; 0 = it is this host. NAT: 0. */
  readonly device: number;
};
export type ServiceImage = {
  readonly id: number;
  /** Undefined only for what an earlier process left in pieces. */
  readonly kind: Kind | undefined;
  /** The number of the server in each slot; 0 in a seat that is free. */
  readonly slots: Uint16Array;
  readonly servers: readonly ImageServer[];
  readonly entries: readonly Entry[];
};

/** What differs between NAT and DR. */
export type Mode = {
  /** Elements by which a server is known, without those of its slots. The same number for every server of a form. */
  readonly serverElements: (service: number, s: ImageServer) => readonly Entry[];
  /** Of the chain that all services of a kind go through. */
  readonly rules: (k: Kind) => readonly RuleSpec[];
  /** Direct routing knows no ports. */
  readonly portOf: (s: WantedServer) => number;
  /** No connection tracking knows the flows: another director finds their servers by hash alone (see `choiceOf`). */
  readonly alike: boolean;
  readonly entries: (service: WantedService, id: number) => readonly Entry[];
};

/** Names a server in its service: with it, it keeps its number. */
const identity = (s: { readonly address: IpAddress; readonly port: number }): string => `${s.address} ${s.port}`;

/** `had` gives the numbers that servers keep; `weights` stand in for those configured (emulated schedulers, thresholds). */
export function imageOf(
  mode: Mode,
  service: WantedService,
  id: number,
  had: ServiceImage | undefined,
  o: {
    readonly device: (a: IpAddress) => number;
    readonly weights?: readonly number[] | undefined;
  },
): ServiceImage {
  const numbers = new Map((had?.servers ?? []).map((s) => [identity(s), s.number]));
  const used = new Set(numbers.values());
  let next = 1;
  const take = (): number => {
    while (used.has(next)) next++;
    used.add(next);
    return next;
  };
  const servers = service.servers.map(
    (s): ImageServer => ({
      number: numbers.get(identity({ address: s.address, port: mode.portOf(s) })) ?? take(),
      address: s.address,
      port: mode.portOf(s),
      open: s.weight > 0 && service.persistence !== undefined,
      device: o.device(s.address),
    }),
  );
  const weights =
    o.weights ?? service.servers.map((s) => (service.scheduler === 'rr' ? Math.min(1, s.weight) : s.weight));
  const indexes = fillSlots(
    service.scheduler,
    service.servers.map((s, i) => ({ key: s.key, weight: weights[i] as number })),
    { away: service.away ?? [], alike: mode.alike && !service.onePacket },
  );
  return {
    id,
    kind: kindOf(service, id, indexes.length, mode.alike),
    slots: Uint16Array.from(indexes, (i) => (i === NOBODY ? 0 : (servers[i] as ImageServer).number)),
    servers,
    entries: mode.entries(service, id),
  };
}

/** The addresses and ports at which a service listens. */
export function listens(
  s: WantedService,
): readonly { readonly address: IpAddress; readonly protocol: number; readonly port: number }[] {
  if (s.match.by !== 'address') return [];
  const { protocol, port, ranges } = s.match;
  return ranges.flatMap((r) =>
    [...eachAddress(r)].map((address) => ({ address, protocol: PROTOCOL_NUMBER[protocol], port })),
  );
}
export const serviceFamily = (s: WantedService): 4 | 6 =>
  s.match.by === 'fwmark' ? s.match.family : familyOf(s.match.ranges[0]?.from ?? ('0.0.0.0' as IpAddress));

// ---------------------------------------------------------------------------------------------- plan

export const entryKey = (e: Entry): string => `${e.set.name} ${e.element.key.join(' ')}`;
const entryText = (e: Entry): string => `${entryKey(e)} ${e.element.goto ?? ''} ${(e.element.data ?? []).join(' ')}`;

/** What is to be done to one service, in the order in which the kernel must have it. */
export type ServicePlan = {
  /** Entries that lead nowhere any more, first. */
  readonly leave: readonly Entry[];
  readonly remove: readonly Entry[];
  readonly add: readonly Entry[];
  readonly enter: readonly Entry[];
  /** Servers whose connections are to be cut, by their marks. */
  readonly cut: readonly number[];
};

const slotSet = (k: Kind | undefined): SetSpec => ((k?.own ?? 0) === 0 ? slots : turns);
const slotEntry = (set: SetSpec, id: number, slot: number, server: number): Entry => ({
  set,
  element: { key: [serviceMark(id), slot], data: [serverMark(id, server)] },
});
const kindEntries = (id: number, k: Kind | undefined): Entry[] =>
  k === undefined ? [] : [{ set: kinds, element: { key: [serviceMark(id)], goto: kindChain(k) } }];
function difference(
  have: readonly Entry[],
  want: readonly Entry[],
): {
  add: readonly Entry[];
  remove: readonly Entry[];
} {
  if (have.length === 0) return { add: want, remove: [] };
  const before = new Set(have.map(entryText));
  const after = new Set(want.map(entryText));
  return {
    add: want.filter((e) => !before.has(entryText(e))),
    remove: have.filter((e) => !after.has(entryText(e))),
  };
}
const sameServer = (a: ImageServer, b: ImageServer): boolean =>
  a.number === b.number && a.address === b.address && a.port === b.port && a.open === b.open && a.device === b.device;

/** From one image of a service to another; undefined = it is not there. Nothing where nothing differs. */
export function planService(mode: Mode, have: ServiceImage | undefined, want: ServiceImage | undefined): ServicePlan {
  const id = (want ?? have)?.id ?? 0;
  const add: Entry[] = [];
  const remove: Entry[] = [];
  const [before, after] = [have?.slots ?? [], want?.slots ?? []];
  const [from, to] = [slotSet(have?.kind), slotSet(want?.kind)];
  for (let i = 0; i < before.length || i < after.length; i++) {
    const [a, b] = [before[i] ?? 0, after[i] ?? 0];
    if (a === b && from === to) continue;
    if (a !== 0) remove.push(slotEntry(from, id, i, a));
    if (b !== 0) add.push(slotEntry(to, id, i, b));
  }
  const old = new Map((have?.servers ?? []).map((s) => [s.number, s]));
  const now = new Map((want?.servers ?? []).map((s) => [s.number, s]));
  for (const number of new Set([...old.keys(), ...now.keys()])) {
    const [a, b] = [old.get(number), now.get(number)];
    if (a !== undefined && b !== undefined && sameServer(a, b)) continue;
    const d = difference(a ? mode.serverElements(id, a) : [], b ? mode.serverElements(id, b) : []);
    add.push(...d.add);
    remove.push(...d.remove);
  }
  const kind = difference(kindEntries(id, have?.kind), kindEntries(id, want?.kind));
  const entries = difference(have?.entries ?? [], want?.entries ?? []);
  return {
    leave: entries.remove,
    remove: [...remove, ...kind.remove],
    add: [...add, ...kind.add],
    enter: entries.add,
    cut: [...old.keys()].filter((n) => !now.has(n)).map((n) => serverMark(id, n)),
  };
}
export const isNothing = (p: ServicePlan): boolean => [p.leave, p.remove, p.add, p.enter].every((l) => l.length === 0);

/** Elements of one set together, in the order of the sets' first appearance. */
function grouped(kind: 'elements-add' | 'elements-remove', entries: readonly Entry[]): TableCommand[] {
  const bySet = new Map<SetSpec, ElementSpec[]>();
  for (const e of entries) {
    const list = bySet.get(e.set);
    if (list === undefined) bySet.set(e.set, [e.element]);
    else list.push(e.element);
  }
  return [...bySet].map(([set, elements]) => ({ do: kind, set, elements }));
}
/** A part of a plan that concerns one service: its images and the difference. */
export type Change = {
  readonly have: ServiceImage | undefined;
  readonly want: ServiceImage | undefined;
  readonly plan: ServicePlan;
};

/** Many services' plans as one list of commands: elements of one set go together. */
export function commandsOf(changes: readonly Change[]): TableCommand[] {
  const all = (pick: (p: ServicePlan) => readonly Entry[]): Entry[] => changes.flatMap((c) => pick(c.plan));
  return [
    ...grouped(
      'elements-remove',
      all((p) => p.leave),
    ),
    ...grouped(
      'elements-remove',
      all((p) => p.remove),
    ),
    ...grouped(
      'elements-add',
      all((p) => p.add),
    ),
    ...grouped(
      'elements-add',
      all((p) => p.enter),
    ),
  ];
}
/** More servers than have numbers. */
export const tooManyServers = (s: WantedService): boolean => s.servers.length >= MAX_SERVERS;
