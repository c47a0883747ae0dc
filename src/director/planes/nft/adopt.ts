/** What an earlier process left in a table, as images of services; and what fits into none, to be cleared away. */
import type { IpAddress } from '../../../base/index.ts';
import type { NftRule } from '../../../wire/index.ts';
import { isOurMark, serverMark, serverOfMark, serviceOfMark, serviceOfSlot, slotOfKey } from '../marks.ts';
import type { ElementSpec, SetSpec, TableCommand } from '../nftables/index.ts';
import { type Entry, entryKey, type ImageServer, idOfChain, type Mode, type ServiceImage } from './image.ts';

/** The sets of a mode that tell of services. */
export type Adoption = {
  readonly entries: readonly SetSpec[];
  readonly slots: SetSpec;
  readonly targets: readonly SetSpec[];
  readonly members: readonly SetSpec[];
  readonly open: SetSpec;
  readonly device?: SetSpec;
};
/** One chain of a service, and everything that the sets of `Adoption` hold. */
export type TableContent = {
  readonly chains: readonly { readonly name: string; readonly comment?: string; readonly rules: readonly NftRule[] }[];
  readonly elements: ReadonlyMap<SetSpec, readonly ElementSpec[]>;
};
export type Adopted = { readonly images: readonly ServiceImage[]; readonly debris: readonly TableCommand[] };

type Draft = {
  servers: Map<number, { target?: ElementSpec; entries: Entry[] }>;
  slots: Map<number, number>;
  entries: Entry[];
};

export function adopt(mode: Mode, sets: Adoption, content: TableContent): Adopted {
  const drafts = new Map<number, Draft>();
  const debris: Entry[] = [];
  const chains = new Map(
    content.chains.flatMap((c) => {
      const id = idOfChain(c.name);
      return id === undefined ? [] : [[id, c] as const];
    }),
  );
  for (const id of chains.keys()) drafts.set(id, { servers: new Map(), slots: new Map(), entries: [] });
  const each = (set: SetSpec, take: (e: ElementSpec, entry: Entry) => boolean): void => {
    for (const element of content.elements.get(set) ?? []) {
      const entry = { set, element };
      if (!take(element, entry)) debris.push(entry);
    }
  };
  const server = (mark: number, entry: Entry): { target?: ElementSpec; entries: Entry[] } | undefined => {
    const draft = isOurMark(mark) ? drafts.get(serviceOfMark(mark)) : undefined;
    if (draft === undefined) return undefined;
    const number = serverOfMark(mark);
    const there = draft.servers.get(number) ?? { entries: [] };
    draft.servers.set(number, there);
    there.entries.push(entry);
    return there;
  };
  for (const set of sets.targets)
    each(set, (e, entry) => {
      const s = server(e.key[0] as number, entry);
      if (s === undefined || s.target !== undefined) return false;
      s.target = e;
      return true;
    });
  for (const set of [...sets.members, ...(sets.device ? [sets.device] : [])])
    each(set, (e, entry) => server(e.key[0] as number, entry) !== undefined);
  each(sets.slots, (e) => {
    const draft = drafts.get(serviceOfSlot(e.key[0] as number));
    draft?.slots.set(slotOfKey(e.key[0] as number), e.data?.[0] as number);
    return draft !== undefined;
  });
  for (const set of sets.entries)
    each(set, (e, entry) => {
      const id = e.goto === undefined ? serviceOfMark(e.data?.[0] as number) : idOfChain(e.goto);
      const draft = id === undefined ? undefined : drafts.get(id);
      draft?.entries.push(entry);
      return draft !== undefined;
    });

  const images = [...drafts].map(([id, d]): ServiceImage => {
    const servers = [...d.servers].flatMap(([number, s]): ImageServer[] => {
      const data = s.target?.data;
      if (data !== undefined) {
        const has = (set: SetSpec): Entry | undefined => s.entries.find((e) => e.set === set);
        const found: ImageServer = {
          number,
          address: data[0] as IpAddress,
          port: (data[1] ?? 0) as number,
          open: has(sets.open) !== undefined,
          device: ((sets.device && has(sets.device)?.element.data?.[0]) ?? 0) as number,
        };
        const should = mode.serverElements(id, found).map(entryKey).sort();
        if (should.join() === s.entries.map(entryKey).sort().join()) return [found];
      }
      debris.push(...s.entries);
      return [];
    });
    const slots = new Uint16Array(d.slots.size);
    let whole = true;
    for (const [slot, mark] of d.slots) {
      if (slot < slots.length && mark === serverMark(id, serverOfMark(mark))) slots[slot] = serverOfMark(mark);
      else whole = false;
    }
    if (!whole)
      for (const slot of d.slots.keys()) debris.push({ set: sets.slots, element: { key: [(id << 12) | slot] } });
    const chain = chains.get(id);
    const rules = (chain?.rules ?? []).map((r) => r.expressions);
    return {
      id,
      key: chain?.comment ?? '',
      rules,
      slots: whole ? slots : new Uint16Array(0),
      servers,
      entries: d.entries,
    };
  });
  return { images, debris: debris.map((e) => ({ do: 'elements-remove', set: e.set, elements: [e.element] })) };
}
