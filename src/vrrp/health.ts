/** Everything that says how fit the virtual routers are: trackers, interfaces, static objects, duplicates, sync groups. */
import type { Instance, SyncGroup, Tracks, VrrpConfig } from './config.ts';
import { duplicateFaults } from './duplicates.ts';
import { groupHealth } from './group.ts';
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

export class HealthBook {
  readonly #interfaceIsUp: (name: string) => boolean;
  #config: VrrpConfig;
  #groupOf = new Map<string, SyncGroup>();
  #duplicates: ReadonlyMap<string, Fault> = new Map();
  readonly #trackers = new Map<string, TrackerValue>();
  /** Static objects that somebody removed, with their track group. */
  #lostStatics: ReadonlyMap<string, string> = new Map();

  constructor(config: VrrpConfig, interfaceIsUp: (name: string) => boolean) {
    this.#config = config;
    this.#interfaceIsUp = interfaceIsUp;
  }
  configure(config: VrrpConfig): void {
    this.#config = config;
    this.#duplicates = duplicateFaults(config.instances);
    this.#groupOf = new Map(config.groups.flatMap((g) => g.members.map((m) => [m, g])));
  }
  record(kind: TrackerKind, name: string, value: TrackerValue): void {
    this.#trackers.set(`${kind} ${name}`, value);
  }
  /** True: something has changed. */
  recordLostStatics(lost: ReadonlyMap<string, string>): boolean {
    const same = lost.size === this.#lostStatics.size && [...lost.keys()].every((k) => this.#lostStatics.has(k));
    this.#lostStatics = lost;
    return !same;
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
    const statics: Fault[] = [];
    for (const [object, group] of this.#lostStatics)
      if (this.#config.trackGroups.some((g) => g.name === group && g.instances.includes(p.name)))
        statics.push({ kind: 'static-object', group, object });
    const faults = [...(duplicate ? [duplicate] : []), ...p.ownFaults, ...statics];
    return healthOf(p.instance, this.#groupOf.get(p.name), faults, (kind, name) => this.#read(kind, name));
  }
  #read(kind: TrackerKind, name: string): TrackerValue {
    if (kind === 'interface') return this.#interfaceIsUp(name) ? 'up' : 'down';
    const known = this.#trackers.get(`${kind} ${name}`);
    if (known !== undefined) return known;
    if (kind === 'bfd') return 'down';
    return kind === 'script' && this.#config.scripts.find((s) => s.name === name)?.initFail ? 'down' : 'waiting';
  }
}
