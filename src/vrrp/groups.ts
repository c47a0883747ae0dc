/** The sync groups of one host: who is in which, and which state of each was told last. */
import type { SyncGroup } from './config.ts';
import { type GroupStateName, groupState, type Member } from './group.ts';

export type Group = { readonly config: SyncGroup; told: GroupStateName };

export class Groups {
  readonly #find: (name: string) => Member | undefined;
  #all: readonly Group[] = [];
  #byMember = new Map<string, Group>();

  constructor(find: (name: string) => Member | undefined) {
    this.#find = find;
  }
  /** What was told of groups that stay is kept. */
  configure(groups: readonly SyncGroup[]): void {
    const told = new Map(this.#all.map((g) => [g.config.name, g.told]));
    this.#all = groups.map((config) => ({ config, told: told.get(config.name) ?? 'INIT' }));
    this.#byMember = new Map(this.#all.flatMap((g) => g.config.members.map((m) => [m, g])));
  }
  get all(): readonly Group[] {
    return this.#all;
  }
  of(member: string): Group | undefined {
    return this.#byMember.get(member);
  }
  members(g: Group): readonly Member[] {
    return g.config.members.flatMap((name) => this.#find(name) ?? []);
  }
  state(g: Group): GroupStateName {
    return groupState(this.members(g));
  }
}
