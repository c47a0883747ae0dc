/** What an earlier process left in a table, as images of services; and what fits into none, to be cleared away. */
import type { IpAddress } from '../../../base/index.ts';
import { isOurMark, serverMark, serverOfMark, serviceMark, serviceOfMark } from '../marks.ts';
import type { ElementSpec, SetSpec, TableCommand } from '../nftables/index.ts';
import { type Entry, entryText, type ImageServer, type Mode, type ServiceImage } from './image.ts';
import { type Kind, kindOfChain, MAX_KINDS, slotsOf } from './kind.ts';
import { kinds, numberOfKind, slots, turns } from './pick.ts';

/** The sets of a mode that tell of services, beside those that both modes have. */
export type Adoption = {
  readonly entries: readonly SetSpec[];
  readonly targets: readonly SetSpec[];
  readonly members: readonly SetSpec[];
  readonly open: SetSpec;
  /** Those that count connections. */
  readonly connections: readonly SetSpec[];
};
/** Everything that these sets hold. */
export type TableContent = ReadonlyMap<SetSpec, readonly ElementSpec[]>;
export type Adopted = {
  readonly images: readonly ServiceImage[];
  /** Every kind that has a number, used or not. */
  readonly kinds: ReadonlyMap<number, Kind>;
  readonly debris: readonly TableCommand[];
};
export const adoptedSets = (a: Adoption): readonly SetSpec[] => [
  kinds,
  numberOfKind,
  ...a.entries,
  slots,
  turns,
  ...a.targets,
  ...a.members,
];

type Draft = {
  readonly kind: Kind;
  readonly servers: Map<number, { target?: Entry; entries: Entry[] }>;
  readonly slots: { readonly slot: number; readonly mark: number; readonly entry: Entry }[];
  readonly entries: Entry[];
};

/** A service is there when its kind is: that is what leads to all else. A kind has one number. */
export function adopt(mode: Mode, sets: Adoption, content: TableContent): Adopted {
  const drafts = new Map<number, Draft>();
  const debris: Entry[] = [];
  const each = (set: SetSpec, take: (e: ElementSpec, entry: Entry) => boolean): void => {
    for (const element of content.get(set) ?? []) {
      const entry: Entry = { set, ...element };
      if (!take(element, entry)) debris.push(entry);
    }
  };
  const draftOf = (mark: number): Draft | undefined => (isOurMark(mark) ? drafts.get(serviceOfMark(mark)) : undefined);
  const server = (mark: number, entry: Entry): { target?: Entry; entries: Entry[] } | undefined => {
    const draft = draftOf(mark);
    if (draft === undefined) return undefined;
    const there = draft.servers.get(serverOfMark(mark)) ?? { entries: [] };
    draft.servers.set(serverOfMark(mark), there);
    there.entries.push(entry);
    return there;
  };
  const numbered = new Map<number, Kind>();
  const chains = new Set<string>();
  each(kinds, (e) => {
    const [number] = e.key as [number];
    const chain = e.goto ?? '';
    const kind = kindOfChain(chain);
    if (kind === undefined || number < 1 || number > MAX_KINDS || chains.has(chain)) return false;
    chains.add(chain);
    numbered.set(number, kind);
    return true;
  });
  each(numberOfKind, (e) => {
    const [mark] = e.key as [number];
    const to = e.data?.[0] as number;
    const kind = numbered.get(serverOfMark(to));
    const whole = serviceMark(serviceOfMark(mark)) === mark && serverMark(serviceOfMark(mark), serverOfMark(to)) === to;
    if (kind === undefined || !whole) return false;
    drafts.set(serviceOfMark(mark), { kind, servers: new Map(), slots: [], entries: [] });
    return true;
  });
  for (const set of sets.targets)
    each(set, (e, entry) => {
      const s = server(e.key[0] as number, entry);
      if (s !== undefined) s.target ??= entry;
      return s !== undefined;
    });
  for (const set of sets.members) each(set, (e, entry) => server(e.key[0] as number, entry) !== undefined);
  for (const set of [slots, turns])
    each(set, (e, entry) => {
      const [service, slot] = e.key as [number, number];
      const draft = draftOf(service);
      if (draft === undefined || (draft.kind.own !== 0) !== (set === turns)) return false;
      draft.slots.push({ slot, mark: e.data?.[0] as number, entry });
      return true;
    });
  for (const set of sets.entries)
    each(set, (e, entry) => draftOf(e.data?.[0] as number)?.entries.push(entry) !== undefined);

  const images = [...drafts].map(([id, d]): ServiceImage => {
    const servers = [...d.servers].flatMap(([number, s]): ImageServer[] => {
      const found = s.target && readServer(sets, number, s.target, s.entries);
      if (found !== undefined) {
        const should = mode.serverElements(id, found).map(entryText).sort();
        if (should.join() === s.entries.map(entryText).sort().join()) return [found];
      }
      debris.push(...s.entries);
      return [];
    });
    const filled = new Uint16Array(slotsOf(d.kind));
    const whole = d.slots.every(({ slot, mark }) => {
      if (slot >= filled.length || mark !== serverMark(id, serverOfMark(mark))) return false;
      filled[slot] = serverOfMark(mark);
      return true;
    });
    if (!whole) debris.push(...d.slots.map((s) => s.entry));
    return { id, kind: d.kind, slots: whole ? filled : new Uint16Array(0), servers, entries: d.entries };
  });
  return { images, kinds: numbered, debris: debris.map((e) => ({ do: 'elements-remove', set: e.set, elements: [e] })) };
}
/** What a target says: an address, behind a device (DR) or with a port (NAT). */
function readServer(sets: Adoption, number: number, target: Entry, entries: readonly Entry[]): ImageServer | undefined {
  const values = target.data ?? [];
  const named = (field: string): number => (values[target.set.data?.indexOf(field as never) ?? -1] ?? 0) as number;
  const address = values.find((v): v is IpAddress => typeof v === 'string');
  if (address === undefined) return undefined;
  const open = entries.some((e) => e.set === sets.open);
  return { number, address, port: named('inet_service'), device: named('iface_index'), open };
}
