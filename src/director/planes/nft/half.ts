/** One table of services in the kernel, NAT's or direct routing's: what it holds is known here, so that only differences are sent. */
import { err, type IpAddress, ok, type Result, text } from '../../../base/index.ts';
import type { HostError, NetlinkChannel } from '../../../host/index.ts';
import type { ServiceKey, WantedService } from '../../types.ts';
import { MAX_SERVICES } from '../marks.ts';
import {
  type ElementSpec,
  foundOf,
  KernelTable,
  planTable,
  readElement,
  type SetSpec,
  type TableCommand,
  type TableFound,
  type TableSpec,
} from '../nftables/index.ts';
import { type Adoption, adopt, adoptedSets } from './adopt.ts';
import { entryKey, imageOf, type Mode, type ServiceImage } from './image.ts';
import { MAX_KINDS } from './kind.ts';
import { KindChains } from './kinds.ts';
import { type Change, commandsOf, cutOf, isNothing, planService, type ServicePlan } from './service-plan.ts';
import { SharedElements, type SharedSpec } from './shared.ts';

export type HalfOptions = {
  readonly mode: Mode;
  readonly adoption: Adoption;
  readonly device: (a: IpAddress) => number;
  /** Elements that services have in common. */
  readonly shared?: SharedSpec;
};
type Held = { readonly service: WantedService; readonly weights: readonly number[] | undefined; image: ServiceImage };
type PendingChange = Change & {
  readonly key: ServiceKey;
  readonly service: WantedService | undefined;
  /** As it was before; undefined also for one that an earlier process left. */
  readonly before: WantedService | undefined;
  readonly weights: readonly number[] | undefined;
};
type Planned = PendingChange & { readonly plan: ServicePlan };
export type Comparison = {
  readonly changes: readonly PendingChange[];
  readonly failed: readonly (readonly [ServiceKey, HostError])[];
};
/**
 * So many services are changed in one transaction: its size, and how long the kernel is busy with it, stay bounded; and its
 * commands are garbage before they are old, which spares a sixth of the time that ten thousand services take (1000 at once).
 */
const SERVICES_AT_ONCE = 250;

export class Half {
  readonly #kernel: KernelTable;
  readonly #o: HalfOptions;
  #spec: TableSpec | undefined;
  /** What the kernel holds, by service. A service that was adopted has no `WantedService` yet. */
  readonly #held = new Map<ServiceKey, Held>();
  readonly #adopted = new Map<number, ServiceImage>();
  /** What an adopted service listens on, to its number: by that it is known again. */
  readonly #adoptedAt = new Map<string, number>();
  readonly #kinds: KindChains;
  readonly #ids = new Set<number>();
  /** After another program was here: what was held, whose numbers stay. */
  #remembered: ReadonlyMap<ServiceKey, ServiceImage> = new Map();
  #nextId = 1;
  #readings = 0;
  readonly #shared: SharedElements;
  #strays: TableCommand[] = [];

  constructor(channel: NetlinkChannel, table: TableSpec, o: HalfOptions) {
    this.#kernel = new KernelTable(channel, table);
    this.#o = o;
    this.#kinds = new KindChains(o.mode);
    this.#shared = new SharedElements(o.shared);
  }

  /** The parts that are always there, and what an earlier process left. Harmless when nothing differs. */
  prepare(spec: TableSpec): Result<void, HostError> {
    const before = this.#spec;
    if (before === spec) return ok(undefined);
    if (before !== undefined) {
      const quick = this.#kernel.apply(planTable(spec, foundOf(before)).commands);
      if (quick.ok) {
        this.#spec = spec;
        return ok(undefined);
      }
      // An interface that went took its chain along, or somebody else was here: what is there is read afresh.
    }
    const found = this.#kernel.read();
    if (!found.ok) return found;
    const plan = planTable(spec, found.value);
    const done = this.#kernel.apply(plan.commands);
    if (!done.ok) return err(done.error.error);
    this.#spec = spec;
    this.#forget();
    for (const image of this.#remembered.values()) this.#ids.add(image.id);
    return plan.afresh || found.value === undefined ? ok(undefined) : this.#adopt(found.value);
  }
  /** Whether what services share stands as it was put: cheap, since no element is looked at. */
  stands(): boolean {
    if (this.#spec === undefined) return true;
    const found = this.#kernel.read();
    if (!found.ok) return true; // the next look tells
    const { value } = found;
    return value !== undefined && planTable(this.#spec, value).commands.length === 0 && this.#kinds.stand(value);
  }
  /** Another program changed the table: everything is read again at the next `prepare`, and what differs is put back. */
  distrust(): void {
    if (this.#spec === undefined) return;
    this.#remembered = new Map([...this.#held].map(([key, h]) => [key, h.image]));
    this.#spec = undefined;
  }
  /** How often the table was read afresh, or taken away. */
  get readings(): number {
    return this.#readings;
  }
  #forget(): void {
    this.#readings++;
    this.#held.clear();
    this.#adopted.clear();
    this.#adoptedAt.clear();
    this.#kinds.clear();
    this.#ids.clear();
    this.#shared.clear();
  }
  #adopt(found: TableFound): Result<void, HostError> {
    const { adoption, mode } = this.#o;
    const elements = new Map<SetSpec, ElementSpec[]>();
    for (const set of [...adoptedSets(adoption), ...this.#shared.sets]) {
      const list: ElementSpec[] = [];
      const done = this.#kernel.elements(set.name, (e) => {
        const element = readElement(set, e);
        if (element !== undefined) list.push(element);
      });
      if (!done.ok) return done;
      elements.set(set, list);
    }
    const { images, kinds, debris } = adopt(mode, adoption, elements);
    for (const set of this.#shared.sets) this.#shared.adopt(set, elements.get(set) ?? []);
    for (const image of images) {
      this.#ids.add(image.id);
      this.#adopted.set(image.id, image);
      for (const e of image.entries) this.#adoptedAt.set(entryKey(e), image.id);
    }
    const kept = this.#kinds.adopt(
      images.flatMap((i) => i.kind ?? []),
      kinds,
      found,
    );
    this.#strays = [...debris, ...kept];
    return ok(undefined);
  }
  /** What an earlier process left of a service: what listens where this one shall. */
  #leftOf(service: WantedService, claimed: ReadonlySet<number>): ServiceImage | undefined {
    if (this.#adopted.size === 0) return undefined;
    for (const e of this.#o.mode.entries(service, 0)) {
      const id = this.#adoptedAt.get(entryKey(e));
      const image = id === undefined || claimed.has(id) ? undefined : this.#adopted.get(id);
      if (image !== undefined) return image;
    }
    return undefined;
  }

  get size(): number {
    return this.#held.size;
  }
  get services(): readonly WantedService[] {
    return [...this.#held.values()].map((h) => h.service);
  }
  service(key: ServiceKey): WantedService | undefined {
    return this.#held.get(key)?.service;
  }
  image(key: ServiceKey): ServiceImage | undefined {
    return this.#held.get(key)?.image;
  }

  /** What `apply` would change; nothing is sent. What is `gone` goes, and with `whole` all that is not wanted. Services that are as they were are found by their identity. */
  compare(
    wanted: readonly WantedService[],
    weights: (s: WantedService) => readonly number[] | undefined,
    o: { readonly whole: boolean; readonly redo: boolean; readonly gone: readonly ServiceKey[] },
  ): Comparison {
    const changes: PendingChange[] = [];
    const failed: (readonly [ServiceKey, HostError])[] = [];
    const claimed = new Set<number>();
    let known = 0;
    for (const service of wanted) {
      const held = this.#held.get(service.key);
      if (held !== undefined) known++;
      const w = weights(service);
      if (held !== undefined && !o.redo && held.service === service && sameWeights(held.weights, w)) continue;
      const old = held === undefined ? this.#remembered.get(service.key) : undefined;
      const have = held?.image ?? (old === undefined ? this.#leftOf(service, claimed) : this.#adopted.get(old.id));
      if (have !== undefined) claimed.add(have.id);
      const id = have?.id ?? old?.id ?? this.#freeId();
      if (id === undefined) {
        failed.push([service.key, { code: 'ENOSPC', doing: NO_NUMBER }]);
        continue;
      }
      const { device, mode } = this.#o;
      const want = imageOf(mode, service, id, old ?? have, { device, weights: w });
      if (want.kind !== undefined && !this.#kinds.number(want.kind)) {
        failed.push([service.key, { code: 'ENOSPC', doing: NO_KIND }]);
        if (have === undefined && old === undefined) this.#ids.delete(id);
        continue;
      }
      changes.push({ have, want, key: service.key, service, before: held?.service, weights: w });
    }
    const leave = (key: ServiceKey, have: ServiceImage, before: WantedService | undefined): void => {
      changes.push({ have, want: undefined, key, service: undefined, before, weights: undefined });
    };
    for (const key of o.gone) {
      const h = this.#held.get(key);
      if (h !== undefined) leave(key, h.image, h.service);
    }
    if (o.whole && (known < this.#held.size || this.#adopted.size > 0)) {
      const keys = new Set(wanted.map((s) => s.key));
      for (const [id, have] of this.#adopted) if (!claimed.has(id)) leave(`left ${id}`, have, undefined);
      for (const [key, h] of this.#held) if (!keys.has(key)) leave(key, h.image, h.service);
    }
    return { changes, failed };
  }

  /** Makes the table so. The marks of servers that are gone are told: their connections are to be cut. */
  apply(c: Comparison): {
    readonly outcomes: Map<ServiceKey, Result<'kept' | 'changed', HostError>>;
    readonly cut: number[];
  } {
    const outcomes = new Map<ServiceKey, Result<'kept' | 'changed', HostError>>(c.failed.map(([k, e]) => [k, err(e)]));
    const cut: number[] = [];
    for (let at = 0; at < c.changes.length; at += SERVICES_AT_ONCE) {
      const part = c.changes
        .slice(at, at + SERVICES_AT_ONCE)
        .map(
          (p): Planned => ({ ...p, plan: planService(this.#o.mode, p.have, p.want, (k) => this.#kinds.numberOf(k)) }),
        );
      const whole = this.#send(part);
      // One that the kernel refuses must not stop the others: each by itself.
      const failed = whole.ok
        ? []
        : part.length === 1
          ? part.map((p) => [p, whole.error] as const)
          : this.#sendEach(part);
      const bad = new Map(failed);
      for (const p of part) {
        const error = bad.get(p);
        if (error !== undefined) {
          if (p.service !== undefined) outcomes.set(p.key, err(error));
          if (p.have === undefined && p.want !== undefined) this.#ids.delete(p.want.id);
          continue;
        }
        this.#settle(p);
        cut.push(...cutOf(p));
        if (p.service !== undefined && !isNothing(p.plan)) outcomes.set(p.key, CHANGED);
      }
    }
    this.#kinds.tidy();
    return { outcomes, cut };
  }
  #sendEach(part: readonly Planned[]): (readonly [Planned, HostError])[] {
    return part.flatMap((c) => {
      const done = this.#send([c]);
      return done.ok ? [] : [[c, done.error] as const];
    });
  }
  #send(part: readonly Planned[]): Result<void, HostError> {
    const shared = this.#shared.plan(part);
    const kinds = this.#kinds.plan(part);
    const done = this.#kernel.apply([
      ...this.#strays,
      ...kinds.before,
      ...commandsOf(part.map((p) => p.plan)),
      ...kinds.after,
      ...shared.remove,
      ...shared.add,
    ]);
    if (!done.ok) return err(done.error.error);
    this.#strays = [];
    kinds.settle();
    shared.settle();
    return ok(undefined);
  }
  /** Numbers of services that went meanwhile are free again. */
  #recall(): void {
    for (const [key, image] of this.#remembered) if (!this.#held.has(key)) this.#ids.delete(image.id);
    this.#remembered = new Map();
  }
  #settle(c: PendingChange): void {
    if (c.have !== undefined) this.#adopted.delete(c.have.id);
    if (c.want !== undefined && c.service !== undefined) {
      this.#held.set(c.key, { service: c.service, weights: c.weights, image: c.want });
      return;
    }
    this.#held.delete(c.key);
    if (c.have !== undefined) this.#ids.delete(c.have.id);
  }
  /** What an earlier process left of shared elements and nobody claimed goes; to be called when everything wanted is there. */
  sweep(): void {
    if (this.#remembered.size > 0) this.#recall();
    const { remove, settle } = this.#shared.sweep();
    if (remove.length > 0 && this.#kernel.apply(remove).ok) settle();
  }
  #freeId(): number | undefined {
    for (let tries = 1; tries < MAX_SERVICES; tries++) {
      const id = this.#nextId;
      this.#nextId = (id % (MAX_SERVICES - 1)) + 1; // never 0: a mark of 0 means that there is none
      if (!this.#ids.has(id)) {
        this.#ids.add(id);
        return id;
      }
    }
    return undefined;
  }
  /** Sets whose elements count connections. */
  get connectionSets(): readonly string[] {
    return this.#o.adoption.connections.map((s) => s.name);
  }
  get kernel(): KernelTable {
    return this.#kernel;
  }
  /** Takes the table away, where there is one. */
  remove(): void {
    const found = this.#kernel.read();
    if (found.ok && found.value !== undefined) this.#kernel.apply([{ do: 'table-remove' }]);
    this.#forget();
    this.#spec = undefined;
  }
}
const NO_NUMBER = text(
  `number one more service: ${MAX_SERVICES} are all there are`,
  `为新的服务编号：最多 ${MAX_SERVICES} 个`,
);
const NO_KIND = text(
  `number one more way of choosing a server: ${MAX_KINDS} are all there are`,
  `为新的选择方式编号：最多 ${MAX_KINDS} 个`,
);
const CHANGED: Result<'kept' | 'changed', HostError> = ok('changed');
const sameWeights = (a: readonly number[] | undefined, b: readonly number[] | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((w, i) => w === b[i]));
