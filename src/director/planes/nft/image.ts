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

/** An element, and of which set. */
export type Entry = ElementSpec & { readonly set: SetSpec };

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

/** A server keeps its number, and gets the lowest that is free when it is new. */
function numbering(had: ServiceImage | undefined): (address: IpAddress, port: number) => number {
  let next = 1;
  if (had === undefined) return () => next++;
  const numbers = new Map(had.servers.map((s) => [`${s.address} ${s.port}`, s.number]));
  const used = new Set(numbers.values());
  return (address, port) => {
    const known = numbers.get(`${address} ${port}`);
    if (known !== undefined) return known;
    while (used.has(next)) next++;
    used.add(next);
    return next;
  };
}

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
  const numberOf = numbering(had);
  const servers = service.servers.map((s): ImageServer => {
    const [address, port] = [s.address, mode.portOf(s)];
    const open = s.weight > 0 && service.persistence !== undefined;
    return { number: numberOf(address, port), address, port, open, device: o.device(address) };
  });
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

export const entryKey = (e: Entry): string => `${e.set.name} ${e.key.join(' ')}`;
export const entryText = (e: Entry): string => `${entryKey(e)} ${e.goto ?? ''} ${(e.data ?? []).join(' ')}`;

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
  key: [serviceMark(id), slot],
  data: [serverMark(id, server)],
});
const kindEntries = (id: number, k: Kind | undefined): Entry[] =>
  k === undefined ? [] : [{ set: kinds, key: [serviceMark(id)], goto: kindChain(k) }];
function difference(
  have: readonly Entry[],
  want: readonly Entry[],
): {
  add: readonly Entry[];
  remove: readonly Entry[];
} {
  if (have.length === 0) return { add: want, remove: [] };
  if (want.length === 0) return { add: [], remove: have };
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
  const cut: number[] = [];
  const now = new Map((want?.servers ?? []).map((s) => [s.number, s]));
  for (const a of have?.servers ?? []) {
    const b = now.get(a.number);
    now.delete(a.number);
    if (b === undefined) cut.push(serverMark(id, a.number));
    else if (sameServer(a, b)) continue;
    const d = difference(mode.serverElements(id, a), b === undefined ? [] : mode.serverElements(id, b));
    add.push(...d.add);
    remove.push(...d.remove);
  }
  for (const b of now.values()) add.push(...mode.serverElements(id, b));
  const kind = difference(kindEntries(id, have?.kind), kindEntries(id, want?.kind));
  add.push(...kind.add);
  remove.push(...kind.remove);
  const entries = difference(have?.entries ?? [], want?.entries ?? []);
  return { leave: entries.remove, remove, add, enter: entries.add, cut };
}
export const isNothing = (p: ServicePlan): boolean =>
  p.leave.length + p.remove.length + p.add.length + p.enter.length === 0;

/** A part of a plan that concerns one service: its images and the difference. */
export type Change = {
  readonly have: ServiceImage | undefined;
  readonly want: ServiceImage | undefined;
  readonly plan: ServicePlan;
};

/** Many services' plans as one list of commands: elements of one set go together, in the order of the sets' first appearance. */
export function commandsOf(changes: readonly Change[]): TableCommand[] {
  const grouped = (what: 'leave' | 'remove' | 'add' | 'enter'): TableCommand[] => {
    const bySet = new Map<SetSpec, ElementSpec[]>();
    for (const c of changes)
      for (const e of c.plan[what]) {
        const list = bySet.get(e.set);
        if (list === undefined) bySet.set(e.set, [e]);
        else list.push(e);
      }
    const command = what === 'leave' || what === 'remove' ? 'elements-remove' : 'elements-add';
    return [...bySet].map(([set, elements]) => ({ do: command, set, elements }));
  };
  return [...grouped('leave'), ...grouped('remove'), ...grouped('add'), ...grouped('enter')];
}
/** More servers than have numbers. */
export const tooManyServers = (s: WantedService): boolean => s.servers.length >= MAX_SERVERS;
