/** Everything that says how fit the virtual routers are: trackers, interfaces, static objects, duplicates, sync groups. */
import type { Instance, SyncGroup, Tracks, VrrpConfig } from './config.ts';
import { duplicateFaults } from './duplicates.ts';
import { groupHealth } from './group.ts';
import { trackedInterfaces } from './objects.ts';
import { healthOf, type TrackerValue } from './tracking.ts';
import type { Fault, Health, TrackerKind } from './types.ts';

const LISTS = {
  interface: 'interfaces',
  script: 'scripts',
  process: 'processes',
  file: 'files',
  bfd: 'bfds',
} as const satisfies Record<TrackerKind, keyof Tracks>;

/** Of a router, what counts here. `ownFaults`: those that no tracker knows. */
export type Patient = { readonly name: string; readonly instance: Instance; readonly ownFaults: readonly Fault[] };

export type HealthSources = {
  /** Of an interface, as it counts after its delays. */
  isUp(name: string): boolean;
  exists(name: string): boolean;
  /** Static objects that are gone, as faults of this instance. */
  statics(instance: string): readonly Fault[];
};

export class HealthBook {
  readonly #world: HealthSources;
  #config: VrrpConfig;
  #groupOf = new Map<string, SyncGroup>();
  #duplicates: ReadonlyMap<string, Fault> = new Map();
  readonly #trackers = new Map<string, TrackerValue>();
  /** By instance: interfaces beside its own whose loss takes away what it must hold. */
  #dependsOn = new Map<string, readonly string[]>();

  constructor(config: VrrpConfig, world: HealthSources) {
    this.#config = config;
    this.#world = world;
  }
  configure(config: VrrpConfig): void {
    this.#config = config;
    this.#duplicates = duplicateFaults(config.instances);
    this.#dependsOn = new Map(
      config.instances.map((i) => [i.name, [...trackedInterfaces(i)].filter((name) => name !== i.interface)]),
    );
    this.#groupOf = new Map(config.groups.flatMap((g) => g.members.map((m) => [m, g])));
  }
  record(kind: TrackerKind, name: string, value: TrackerValue): void {
    this.#trackers.set(`${kind} ${name}`, value);
  }
  /** Whether the instance needs that interface for what it holds, beside its own. */
  dependsOn(i: Instance, name: string): boolean {
    return this.#dependsOn.get(i.name)?.includes(name) ?? false;
  }
  /** Whether the instance, or its group, follows this tracker. */
  tracks(i: Instance, kind: TrackerKind, name: string): boolean {
    const list = LISTS[kind];
    const group = this.#groupOf.get(i.name);
    return [...i.tracks[list], ...(group?.tracks[list] ?? [])].some((t) => t.name === name);
  }
  /** Of each member what it is with the others' faults; of who is in no group, its own alone. */
  withGroup<P extends Patient>(p: P, find: (name: string) => P | undefined): readonly { of: P; health: Health }[] {
    const group = this.#groupOf.get(p.name);
    if (!group) return [{ of: p, health: this.#own(p) }];
    const members = group.members.flatMap((n) => find(n) ?? []);
    const all = groupHealth(
      group.name,
      members.map((m) => ({ name: m.name, health: this.#own(m) })),
    );
    return members.map((of, at) => ({ of, health: all[at] as Health }));
  }

  #own(p: Patient): Health {
    const duplicate = this.#duplicates.get(p.name);
    const down = (this.#dependsOn.get(p.name) ?? []).filter((name) => !this.#world.isUp(name));
    const needed = down.map(
      (name): Fault => ({ kind: this.#world.exists(name) ? 'link-down' : 'link-missing', interface: name }),
    );
    const faults = [...(duplicate ? [duplicate] : []), ...p.ownFaults, ...needed, ...this.#world.statics(p.name)];
    return healthOf(p.instance, this.#groupOf.get(p.name), faults, (kind, name) => this.#read(kind, name));
  }
  #read(kind: TrackerKind, name: string): TrackerValue {
    if (kind === 'interface') return this.#world.isUp(name) ? 'up' : 'down';
    const known = this.#trackers.get(`${kind} ${name}`);
    if (known !== undefined) return known;
    if (kind === 'bfd') return 'down';
    return kind === 'script' && this.#config.scripts.find((s) => s.name === name)?.initFail ? 'down' : 'waiting';
  }
}
