/** Flows that another director told of, in the maps where direct routing looks for those that it does not remember itself. */
import { familyOf, ok, type Result } from '../../../base/index.ts';
import type { HostError } from '../../../host/index.ts';
import type { FlowException } from '../../types.ts';
import { isFlowOf } from '../flow-of.ts';
import { serverMark, serviceMark } from '../marks.ts';
import { type ElementSpec, type KernelTable, readElement, type SetSpec, type TableCommand } from '../nftables/index.ts';
import { told } from './direct.ts';
import type { Carried } from './exceptions.ts';

/** What this needs of the half of direct routing. */
export type ToldTable = Pick<Carried, 'service' | 'image'> & {
  readonly kernel: Pick<KernelTable, 'apply' | 'elements'>;
  /** Another number after the table was read afresh. */
  readonly readings: number;
};

type Held = {
  readonly set: SetSpec;
  readonly element: ElementSpec;
  /** An earlier process put it, and this one was not told of it yet. */
  stray: boolean;
};
/** Ticks, about seconds, until what an earlier process put and nobody tells of any more goes. */
const KEEP_STRAYS = 900;

const idOf = (set: SetSpec, e: ElementSpec): string => `${set.name} ${e.key.join(' ')}`;
const markOf = (h: Held): number => h.element.data?.[0] as number;

export class ToldFlows {
  readonly #table: ToldTable;
  /** What lies in the kernel; undefined: that was not read yet. */
  #held: Map<string, Held> | undefined;
  #readings = 0;
  #ticks = 0;

  constructor(table: ToldTable) {
    this.#table = table;
  }

  /** Repeating costs nothing and does no harm. What is not wanted here is ignored. */
  adopt(flows: readonly FlowException[]): void {
    const wanted = new Map<string, Held>();
    for (const f of flows) {
      const service = this.#table.service(f.service);
      const image = this.#table.image(f.service);
      if (!service || !image || !isFlowOf(service.match, f)) continue;
      const number = image.servers[service.servers.findIndex((s) => s.key === f.server)]?.number;
      if (number === undefined) continue;
      const set = told[familyOf(f.client)];
      const key = [f.client, f.clientPort, serviceMark(image.id)];
      const element = { key, data: [serverMark(image.id, number)] };
      wanted.set(idOf(set, element), { set, element, stray: false });
    }
    if (wanted.size === 0) return;
    this.#change((held) => {
      const remove: Held[] = [];
      const add: Held[] = [];
      for (const [id, w] of wanted) {
        const have = held.get(id);
        if (have !== undefined && markOf(have) === markOf(w)) {
          have.stray = false;
          continue;
        }
        if (have !== undefined) remove.push(have);
        add.push(w);
      }
      return { remove, add };
    });
  }
  abandon(flows: readonly FlowException[]): void {
    const ids = new Set<string>();
    for (const f of flows) {
      const image = this.#table.image(f.service);
      const set = told[familyOf(f.client)];
      if (image) ids.add(idOf(set, { key: [f.client, f.clientPort, serviceMark(image.id)] }));
    }
    if (ids.size > 0) this.#drop((_h, id) => ids.has(id));
  }
  /** Servers that are gone, by their marks: their numbers are given to others. */
  cut(marks: readonly number[]): void {
    const gone = new Set(marks);
    this.#drop((h) => gone.has(markOf(h)));
  }
  tick(): void {
    if (this.#held !== undefined && ++this.#ticks === KEEP_STRAYS) this.#drop((h) => h.stray);
  }
  #drop(which: (h: Held, id: string) => boolean): void {
    this.#change((held) => ({ remove: [...held].filter(([id, h]) => which(h, id)).map(([, h]) => h), add: [] }));
  }

  /** What is believed may be wrong where somebody else was at the table: then once more, from what is really there. */
  #change(
    plan: (held: ReadonlyMap<string, Held>) => { readonly remove: readonly Held[]; readonly add: readonly Held[] },
  ) {
    for (let tries = 0; tries < 2; tries++) {
      const held = this.#read();
      if (!held.ok) return;
      const { remove, add } = plan(held.value);
      if (this.#table.kernel.apply([...commandsOf('elements-remove', remove), ...commandsOf('elements-add', add)]).ok) {
        for (const h of remove) held.value.delete(idOf(h.set, h.element));
        for (const h of add) held.value.set(idOf(h.set, h.element), h);
        return;
      }
      this.#held = undefined;
    }
  }
  #read(): Result<Map<string, Held>, HostError> {
    if (this.#held !== undefined && this.#readings === this.#table.readings) return ok(this.#held);
    const held = new Map<string, Held>();
    for (const set of [told[4], told[6]]) {
      const done = this.#table.kernel.elements(set.name, (e) => {
        const element = readElement(set, e);
        if (element !== undefined) held.set(idOf(set, element), { set, element, stray: true });
      });
      if (!done.ok) return done;
    }
    this.#held = held;
    this.#readings = this.#table.readings;
    this.#ticks = 0;
    return ok(held);
  }
}
function commandsOf(op: 'elements-add' | 'elements-remove', all: readonly Held[]): TableCommand[] {
  return [told[4], told[6]].flatMap((set) => {
    const elements = all.filter((h) => h.set === set).map((h) => h.element);
    return elements.length === 0 ? [] : [{ do: op, set, elements }];
  });
}
