/** One table of services in the kernel, NAT's or direct routing's: what it holds is known here, so that only differences are sent. */
import { err, type IpAddress, ok, type Result, text } from '../../../base/index.ts';
import type { HostError, NetlinkChannel } from '../../../host/index.ts';
import type { ServiceKey, WantedService } from '../../types.ts';
import { MAX_SERVICES } from '../marks.ts';
import {
  type ElementSpec,
  KernelTable,
  planTable,
  readElement,
  type SetSpec,
  type TableCommand,
  type TableSpec,
} from '../nftables/index.ts';
import { type Adoption, adopt } from './adopt.ts';
import { type Change, commandsOf, imageOf, isNothing, type Mode, planService, type ServiceImage } from './image.ts';

export type HalfOptions = {
  readonly mode: Mode;
  readonly adoption: Adoption;
  readonly ring: number;
  readonly device: (a: IpAddress) => number;
  /** Commands about what services share, from those that change. */
  readonly shared?: SharedElements;
};
/** Elements that several services may need at once: each is there while anybody needs it. */
export type SharedElements = {
  readonly sets: readonly SetSpec[];
  readonly of: (s: WantedService) => readonly { readonly set: SetSpec; readonly element: ElementSpec }[];
};
type Held = { readonly service: WantedService; readonly weights: readonly number[] | undefined; image: ServiceImage };
/** So many services are changed in one transaction: its size, and how long the kernel is busy with it, stay bounded. */
const SERVICES_AT_ONCE = 4000;

export class Half {
  readonly #kernel: KernelTable;
  readonly #o: HalfOptions;
  #spec: TableSpec | undefined;
  #ready = false;
  /** What the kernel holds, by service. A service that was adopted has no `WantedService` yet. */
  readonly #held = new Map<ServiceKey, Held>();
  readonly #adopted = new Map<ServiceKey, ServiceImage>();
  readonly #ids = new Set<number>();
  #nextId = 1;
  /** Shared elements in the kernel, and how many services need each. */
  readonly #shared = new Map<string, { readonly set: SetSpec; readonly element: ElementSpec; users: number }>();
  #strays: TableCommand[] = [];

  constructor(channel: NetlinkChannel, table: TableSpec, o: HalfOptions) {
    this.#kernel = new KernelTable(channel, table);
    this.#o = o;
  }

  /** The parts that are always there, and what an earlier process left. Harmless when nothing differs. */
  prepare(spec: TableSpec): Result<void, HostError> {
    if (this.#ready && this.#spec === spec) return ok(undefined);
    const found = this.#kernel.read();
    if (!found.ok) return found;
    const plan = planTable(spec, found.value);
    const done = this.#kernel.apply(plan.commands);
    if (!done.ok) return err(done.error.error);
    const first = !this.#ready;
    this.#spec = spec;
    this.#ready = true;
    if (plan.afresh || found.value === undefined) {
      this.#forget();
      return ok(undefined);
    }
    return first ? this.#adopt(found.value) : ok(undefined);
  }
  #forget(): void {
    this.#held.clear();
    this.#adopted.clear();
    this.#ids.clear();
    this.#shared.clear();
  }
  #adopt(found: NonNullable<Extract<ReturnType<KernelTable['read']>, { ok: true }>['value']>): Result<void, HostError> {
    const { adoption, mode, shared } = this.#o;
    const sets = [
      ...adoption.entries,
      adoption.slots,
      ...adoption.targets,
      ...adoption.members,
      ...(adoption.device ? [adoption.device] : []),
      ...(shared?.sets ?? []),
    ];
    const elements = new Map<SetSpec, ElementSpec[]>();
    for (const set of sets) {
      const list: ElementSpec[] = [];
      const done = this.#kernel.elements(set.name, (e) => {
        const element = readElement(set, e);
        if (element !== undefined) list.push(element);
      });
      if (!done.ok) return done;
      elements.set(set, list);
    }
    const chains = [...found.chains.values()].map((c) => ({ ...c, rules: found.rules.get(c.name) ?? [] }));
    const { images, debris } = adopt(mode, adoption, { chains, elements });
    for (const set of shared?.sets ?? [])
      for (const element of elements.get(set) ?? [])
        this.#shared.set(sharedKey(set, element), { set, element, users: 0 });
    for (const image of images) {
      this.#ids.add(image.id);
      // Two chains of one service, or one without a name: whatever it was, it goes with what is not wanted.
      const key = image.key === '' || this.#adopted.has(image.key) ? `stray ${image.id}` : image.key;
      this.#adopted.set(key, image);
    }
    this.#strays = [...debris];
    return ok(undefined);
  }

  get services(): readonly WantedService[] {
    return [...this.#held.values()].map((h) => h.service);
  }
  image(key: ServiceKey): ServiceImage | undefined {
    return this.#held.get(key)?.image;
  }

  /**
   * Makes the table hold exactly these; `weights` stand in for those of a service. The marks of servers that are gone
   * are told when the kernel has been told: their connections are to be cut.
   */
  apply(
    wanted: readonly WantedService[],
    weights: (s: WantedService) => readonly number[] | undefined,
    redo: boolean,
  ): { readonly outcomes: Map<ServiceKey, Result<'kept' | 'changed', HostError>>; readonly cut: number[] } {
    const outcomes = new Map<ServiceKey, Result<'kept' | 'changed', HostError>>();
    const changes: (Change & {
      readonly service?: WantedService;
      readonly key: ServiceKey;
      readonly w?: readonly number[] | undefined;
    })[] = [];
    const keys = new Set<ServiceKey>();
    for (const service of wanted) {
      keys.add(service.key);
      const held = this.#held.get(service.key);
      const w = weights(service);
      if (held !== undefined && !redo && held.service === service && sameWeights(held.weights, w)) {
        outcomes.set(service.key, KEPT);
        continue;
      }
      const have = held?.image ?? this.#adopted.get(service.key);
      const id = have?.id ?? this.#freeId();
      if (id === undefined) {
        outcomes.set(service.key, err({ code: 'ENOSPC', doing: NO_NUMBER }));
        continue;
      }
      const want = imageOf(this.#o.mode, service, id, have, {
        ring: this.#o.ring,
        device: this.#o.device,
        weights: w,
      });
      this.#ids.add(want.id);
      const plan = planService(this.#o.mode, have, want);
      outcomes.set(service.key, KEPT);
      changes.push({ have, want, plan, service, key: service.key, w });
    }
    for (const [key, have] of [...this.#adopted, ...[...this.#held].map(([k, h]) => [k, h.image] as const)])
      if (!keys.has(key))
        changes.push({ have, want: undefined, plan: planService(this.#o.mode, have, undefined), key });
    const cut: number[] = [];
    for (let at = 0; at < changes.length; at += SERVICES_AT_ONCE) {
      const part = changes.slice(at, at + SERVICES_AT_ONCE);
      const whole = this.#send(part);
      // One that the kernel refuses must not stop the others: each by itself.
      const failed =
        whole.ok || part.length === 1 ? (whole.ok ? [] : [[part[0], whole.error] as const]) : this.#sendEach(part);
      const bad = new Map(failed.map(([c, e]) => [c, e]));
      for (const c of part) {
        const error = bad.get(c);
        if (error !== undefined) {
          if (c.service !== undefined) outcomes.set(c.key, err(error));
          if (c.have === undefined && c.want !== undefined) this.#ids.delete(c.want.id);
          continue;
        }
        this.#settle(c);
        cut.push(...c.plan.cut);
        if (c.service !== undefined && !isNothing(c.plan)) outcomes.set(c.key, CHANGED);
      }
    }
    return { outcomes, cut };
  }
  #sendEach(part: readonly Change[]): (readonly [Change, HostError])[] {
    return part.flatMap((c) => {
      const done = this.#send([c]);
      return done.ok ? [] : [[c, done.error] as const];
    });
  }
  #send(part: readonly (Change & { readonly service?: WantedService })[]): Result<void, HostError> {
    const { add, remove, settle } = this.#planShared(part);
    const strays = this.#strays;
    const done = this.#kernel.apply([...strays, ...commandsOf(part), ...remove, ...add]);
    if (!done.ok) return err(done.error.error);
    this.#strays = [];
    settle();
    return ok(undefined);
  }
  #settle(
    c: Change & {
      readonly service?: WantedService;
      readonly key: ServiceKey;
      readonly w?: readonly number[] | undefined;
    },
  ): void {
    this.#adopted.delete(c.key);
    if (c.want !== undefined && c.service !== undefined) {
      this.#held.set(c.key, { service: c.service, weights: c.w, image: c.want });
      return;
    }
    this.#held.delete(c.key);
    if (c.have !== undefined) this.#ids.delete(c.have.id);
  }
  /** Elements that services share: what nobody used before comes, what nobody uses after goes. */
  #planShared(part: readonly (Change & { readonly service?: WantedService; readonly key?: ServiceKey })[]): {
    add: TableCommand[];
    remove: TableCommand[];
    settle: () => void;
  } {
    const shared = this.#o.shared;
    if (shared === undefined) return { add: [], remove: [], settle: () => {} };
    const delta = new Map<string, { readonly set: SetSpec; readonly element: ElementSpec; by: number }>();
    const count = (s: WantedService | undefined, by: number): void => {
      for (const { set, element } of s === undefined ? [] : shared.of(s)) {
        const key = sharedKey(set, element);
        const d = delta.get(key);
        if (d === undefined) delta.set(key, { set, element, by });
        else d.by += by;
      }
    };
    for (const c of part) {
      count(c.key === undefined ? undefined : this.#held.get(c.key)?.service, -1);
      count(c.service, 1);
    }
    const add: TableCommand[] = [];
    const remove: TableCommand[] = [];
    for (const [key, d] of delta) {
      const have = this.#shared.get(key);
      const users = (have?.users ?? 0) + d.by;
      if (have === undefined && users > 0) add.push({ do: 'elements-add', set: d.set, elements: [d.element] });
      if (have !== undefined && users <= 0) remove.push({ do: 'elements-remove', set: d.set, elements: [d.element] });
    }
    return {
      add,
      remove,
      settle: () => {
        for (const [key, d] of delta) {
          const users = (this.#shared.get(key)?.users ?? 0) + d.by;
          if (users > 0) this.#shared.set(key, { set: d.set, element: d.element, users });
          else this.#shared.delete(key);
        }
      },
    };
  }
  /** Shared elements that an earlier process left and nobody claimed; to be called when everything wanted is there. */
  sweep(): void {
    const idle = [...this.#shared].filter(([, s]) => s.users <= 0);
    if (idle.length === 0) return;
    const done = this.#kernel.apply(
      idle.map(([, s]) => ({ do: 'elements-remove', set: s.set, elements: [s.element] })),
    );
    if (done.ok) for (const [key] of idle) this.#shared.delete(key);
  }
  #freeId(): number | undefined {
    for (let tries = 0; tries < MAX_SERVICES; tries++) {
      const id = this.#nextId;
      this.#nextId = (this.#nextId + 1) % MAX_SERVICES;
      if (!this.#ids.has(id)) {
        this.#ids.add(id);
        return id;
      }
    }
    return undefined;
  }
  get kernel(): KernelTable {
    return this.#kernel;
  }
  /** Takes the table away, where there is one. */
  remove(): void {
    const found = this.#kernel.read();
    if (found.ok && found.value !== undefined) this.#kernel.apply([{ do: 'table-remove' }]);
    this.#forget();
    this.#ready = false;
  }
}
const NO_NUMBER = text(
  `number one more service: ${MAX_SERVICES} are all there are`,
  `为新的服务编号：最多 ${MAX_SERVICES} 个`,
);
const KEPT: Result<'kept' | 'changed', HostError> = ok('kept');
const CHANGED: Result<'kept' | 'changed', HostError> = ok('changed');
const sharedKey = (set: SetSpec, e: ElementSpec): string => `${set.name} ${e.key.join(' ')}`;
const sameWeights = (a: readonly number[] | undefined, b: readonly number[] | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((w, i) => w === b[i]));
