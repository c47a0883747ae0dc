/** The difference of two images of a service: elements that go and elements that come. */
import { serverMark, serviceMark } from '../marks.ts';
import type { ElementSpec, SetSpec, TableCommand } from '../nftables/index.ts';
import { type Entry, entryText, type ImageServer, type Mode, type ServiceImage } from './image.ts';
import type { Kind } from './kind.ts';
import { numberOfKind, slots, turns } from './pick.ts';

/** What is to be done to one service, in the order in which the kernel must have it. */
export type ServicePlan = {
  /** Entries that lead nowhere any more, first. */
  readonly leave: readonly Entry[];
  readonly remove: readonly Entry[];
  readonly add: readonly Entry[];
  readonly enter: readonly Entry[];
};

const slotSet = (k: Kind | undefined): SetSpec => ((k?.own ?? 0) === 0 ? slots : turns);
const slotEntry = (set: SetSpec, id: number, slot: number, server: number): Entry => ({
  set,
  key: [serviceMark(id), slot],
  data: [serverMark(id, server)],
});
/** The number of a kind in the table. */
export type NumberOf = (k: Kind) => number;
const kindEntries = (id: number, k: Kind | undefined, numberOf: NumberOf): Entry[] =>
  k === undefined ? [] : [{ set: numberOfKind, key: [serviceMark(id)], data: [serverMark(id, numberOf(k))] }];
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
export function planService(
  mode: Mode,
  have: ServiceImage | undefined,
  want: ServiceImage | undefined,
  numberOf: NumberOf,
): ServicePlan {
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
  const now = new Map((want?.servers ?? []).map((s) => [s.number, s]));
  for (const a of have?.servers ?? []) {
    const b = now.get(a.number);
    now.delete(a.number);
    if (b !== undefined && sameServer(a, b)) continue;
    const d = difference(mode.serverElements(id, a), b === undefined ? [] : mode.serverElements(id, b));
    add.push(...d.add);
    remove.push(...d.remove);
  }
  for (const b of now.values()) add.push(...mode.serverElements(id, b));
  const kind = difference(kindEntries(id, have?.kind, numberOf), kindEntries(id, want?.kind, numberOf));
  add.push(...kind.add);
  remove.push(...kind.remove);
  const entries = difference(have?.entries ?? [], want?.entries ?? []);
  return { leave: entries.remove, remove, add, enter: entries.add };
}
export const isNothing = (p: ServicePlan): boolean =>
  p.leave.length + p.remove.length + p.add.length + p.enter.length === 0;

/** One service as it was and as it is to be. */
export type Change = { readonly have: ServiceImage | undefined; readonly want: ServiceImage | undefined };

/** Servers that are gone, by their marks: their connections are to be cut. */
export function cutOf({ have, want }: Change): number[] {
  if (have === undefined) return [];
  const stay = new Set(want?.servers.map((s) => s.number));
  return have.servers.filter((s) => !stay.has(s.number)).map((s) => serverMark(have.id, s.number));
}

/** Many services' plans as one list of commands: elements of one set go together, in the order of the sets' first appearance. */
export function commandsOf(plans: readonly ServicePlan[]): TableCommand[] {
  const grouped = (what: keyof ServicePlan): TableCommand[] => {
    const bySet = new Map<SetSpec, ElementSpec[]>();
    for (const p of plans)
      for (const e of p[what]) {
        const list = bySet.get(e.set);
        if (list === undefined) bySet.set(e.set, [e]);
        else list.push(e);
      }
    const command = what === 'leave' || what === 'remove' ? 'elements-remove' : 'elements-add';
    return [...bySet].map(([set, elements]) => ({ do: command, set, elements }));
  };
  return [...grouped('leave'), ...grouped('remove'), ...grouped('add'), ...grouped('enter')];
}
