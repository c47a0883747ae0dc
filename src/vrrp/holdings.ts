/**
 * What this host's masters hold in the kernel's tables. Two virtual routers may want the same object (one is moved
 * from the one to the other by a reload): it goes only when nobody wants it any more.
 */
import type { Family, Result } from '../base/index.ts';
import {
  addressKey,
  type HostError,
  type LinkAddress,
  type NetCommand,
  type Network,
  type Route,
  type Rule,
  routeKey,
  ruleKey,
} from '../host/index.ts';
import { type Held, type Objects, placedRouteKey } from './objects.ts';

type Kind = 'address' | 'route' | 'rule';
type Entry = { readonly kind: Kind; readonly held: Held<unknown>; readonly owners: Set<string> };
export type Refusal = { readonly object: string; readonly error: HostError };
/** Something that was held is gone though nobody here gave it up. */
export type Loss = { readonly owner: string; readonly object: string };

const put = (kind: Kind, { object: o, placement }: Held<unknown>): NetCommand =>
  kind === 'address'
    ? { do: 'address-replace', address: o as LinkAddress }
    : kind === 'route'
      ? { do: 'route-replace', route: o as Route, ...(placement ? { [placement]: true } : {}) }
      : { do: 'rule-add', rule: o as Rule };
const take = (kind: Kind, o: unknown): NetCommand =>
  kind === 'address'
    ? { do: 'address-remove', address: o as LinkAddress }
    : kind === 'route'
      ? { do: 'route-remove', route: o as Route }
      : { do: 'rule-remove', rule: o as Rule };
const list = (o: Objects): [Kind, Held<unknown>][] => [
  ...o.addresses.map((h): [Kind, Held<unknown>] => ['address', h]),
  ...o.routes.map((h): [Kind, Held<unknown>] => ['route', h]),
  ...o.rules.map((h): [Kind, Held<unknown>] => ['rule', h]),
];

export class Holdings {
  readonly #network: Network;
  readonly #entries = new Map<string, Entry>();
  /** The keys of what each owner holds, in the order in which it was put. */
  readonly #byOwner = new Map<string, readonly string[]>();
  /** Addresses that were the host's own before we came (an owner's): never given a lease, never taken away. */
  readonly #native = new Set<string>();
  /** Given up, but not removed until `settle`: somebody may take it over. */
  #deferred: Map<string, Entry> | undefined;

  constructor(network: Network) {
    this.#network = network;
  }

  native(a: LinkAddress): void {
    this.#native.add(addressKey(a));
  }
  isNative(a: LinkAddress): boolean {
    return this.#native.has(addressKey(a));
  }

  /**
   * From now on `owner` holds exactly `want`: what is new is put first, in one batch with what goes (behind it).
   * Undefined gives everything up.
   */
  set(owner: string, want: Objects | undefined): readonly Refusal[] {
    const wanted = want ? list(want) : [];
    const keys = new Set(wanted.map(([kind, h]) => `${kind} ${h.key}`));
    const commands: NetCommand[] = [];
    const names: string[] = [];
    for (const [kind, held] of wanted) {
      const key = `${kind} ${held.key}`;
      const before = this.#entries.get(key) ?? this.#deferred?.get(key);
      this.#deferred?.delete(key);
      const same =
        before !== undefined && JSON.stringify(before.held.object, plain) === JSON.stringify(held.object, plain);
      const owners = (before?.owners ?? new Set<string>()).add(owner);
      this.#entries.set(key, { kind, held, owners });
      if (same || (kind === 'address' && this.#native.has(held.key))) continue;
      if (before && kind === 'rule') continue;
      commands.push(put(kind, held));
      names.push(held.name);
    }
    // Backwards: rules before the routes that they lead to, routes before the addresses that they need.
    for (const key of [...(this.#byOwner.get(owner) ?? [])].reverse()) {
      const e = this.#entries.get(key);
      if (!e || keys.has(key) || !e.owners.delete(owner) || e.owners.size > 0) continue;
      this.#entries.delete(key);
      if (e.kind === 'address' && this.#native.has(e.held.key)) continue;
      if (this.#deferred) {
        this.#deferred.set(key, e);
        continue;
      }
      commands.push(take(e.kind, e.held.object));
      names.push(e.held.name);
    }
    if (want) this.#byOwner.set(owner, [...keys]);
    else this.#byOwner.delete(owner);
    return this.#apply(commands, names);
  }

  /** Until `settle`, nothing is removed: a reload moves objects from one owner to another without a gap. */
  defer(): void {
    this.#deferred ??= new Map();
  }
  settle(): readonly Refusal[] {
    const left = [...(this.#deferred ?? [])];
    this.#deferred = undefined;
    return this.#apply(
      left.map(([, e]) => take(e.kind, e.held.object)),
      left.map(([, e]) => e.held.name),
    );
  }

  /**
   * Puts every leased address again, in one batch. One that is gone is not put back but told as lost: we slept beyond
   * its lifetime, or somebody took it, and who is master now must be found out first.
   */
  renew(): { readonly refused: readonly Refusal[]; readonly lost: readonly Loss[] } {
    const lost: Loss[] = [];
    const commands: NetCommand[] = [];
    const names: string[] = [];
    const present = this.#present([]);
    for (const e of this.#entries.values()) {
      if (e.kind !== 'address' || this.#native.has(e.held.key)) continue;
      if ((e.held.object as LinkAddress).validSeconds === undefined) continue;
      if (e.held.tracking.kind !== 'ignore' && !present(e)) {
        for (const owner of e.owners) lost.push({ owner, object: e.held.name });
        continue;
      }
      commands.push(put(e.kind, e.held));
      names.push(e.held.name);
    }
    return { refused: this.#apply(commands, names), lost };
  }

  addresses(owner: string): readonly LinkAddress[] {
    return (this.#byOwner.get(owner) ?? []).flatMap((key) => {
      const e = this.#entries.get(key);
      return e?.kind === 'address' ? [e.held.object as LinkAddress] : [];
    });
  }
  /** Everything that would have to go if this process went, in the order of removal. */
  removals(): readonly NetCommand[] {
    return [...this.#entries.values()]
      .reverse()
      .filter((e) => !(e.kind === 'address' && this.#native.has(e.held.key)))
      .map((e) => take(e.kind, e.held.object));
  }
  holdsAddress(a: LinkAddress): boolean {
    return this.#entries.has(`address ${addressKey(a)}`);
  }

  /**
   * Which owners lost something, after the kernel said that an object went. Our own removals are told too, later, and
   * it may be back by then: so the table itself is asked.
   */
  losses(gone: { readonly address?: LinkAddress; readonly route?: Route; readonly rule?: Rule }): readonly Loss[] {
    const keys = gone.address
      ? [`address ${addressKey(gone.address)}`]
      : gone.route
        ? [`route ${routeKey(gone.route)}`, `route ${placedRouteKey(gone.route)}`]
        : gone.rule
          ? [`rule ${ruleKey(gone.rule)}`]
          : [];
    const gave = keys.flatMap((key) => this.#entries.get(key) ?? []);
    return gave
      .filter((e) => e.held.tracking.kind !== 'ignore' && !this.#present([e])(e))
      .flatMap((e) => [...e.owners].map((owner) => ({ owner, object: e.held.name })));
  }
  /** After a sleep, when leases may have ended: addresses only, since reading routes may take long. */
  lostAddresses(): readonly Loss[] {
    return this.#lost([...this.#entries.values()].filter((e) => e.kind === 'address'));
  }
  /** After notifications were lost: everything is looked at again. */
  allLosses(): readonly Loss[] {
    return this.#lost([...this.#entries.values()]);
  }
  #lost(among: readonly Entry[]): readonly Loss[] {
    const present = this.#present(among);
    return among
      .filter((e) => e.held.tracking.kind !== 'ignore' && !present(e))
      .flatMap((e) => [...e.owners].map((owner) => ({ owner, object: e.held.name })));
  }

  /** What `owner` should hold and does not, by object, with the track group that cares. */
  missing(owner: string): ReadonlyMap<string, string> {
    const out = new Map<string, string>();
    for (const e of this.#gone(owner))
      if (e.held.tracking.kind === 'group') out.set(e.held.name, e.held.tracking.group);
    return out;
  }
  /** Puts back what `owner` should hold and does not: an interface came up, and the kernel had taken its objects away. */
  restore(owner: string): readonly Refusal[] {
    const gone = this.#gone(owner);
    return this.#apply(
      gone.map((e) => put(e.kind, e.held)),
      gone.map((e) => e.held.name),
    );
  }
  #gone(owner: string): readonly Entry[] {
    const held = (this.#byOwner.get(owner) ?? []).flatMap((key) => this.#entries.get(key) ?? []);
    const present = this.#present(held);
    return held.filter((e) => !present(e));
  }

  /** Which of these are in the kernel's tables; each table is read once. What cannot be read counts as there. */
  #present(among: readonly Entry[]): (e: Entry) => boolean {
    const addresses = new Set(this.#network.addresses().map(addressKey));
    const tables = new Map<string, ReadonlySet<string> | undefined>();
    const keysIn = (e: Entry): ReadonlySet<string> | undefined => {
      const { family } = e.held.object as Route | Rule;
      const table = e.kind === 'route' ? (e.held.object as Route).table : 0;
      const name = `${e.kind} ${family} ${table}`;
      if (!tables.has(name)) tables.set(name, e.kind === 'route' ? this.#routes(family, table) : this.#rules(family));
      return tables.get(name);
    };
    for (const e of among) if (e.kind !== 'address') keysIn(e);
    return (e) => (e.kind === 'address' ? addresses.has(e.held.key) : (keysIn(e)?.has(e.held.key) ?? true));
  }
  #routes(family: Family, table: number): ReadonlySet<string> | undefined {
    const found = this.#network.routes({ family, table });
    return found.ok ? new Set(found.value.flatMap((r) => [routeKey(r), placedRouteKey(r)])) : undefined;
  }
  #rules(family: Family): ReadonlySet<string> | undefined {
    const found = this.#network.rules(family);
    return found.ok ? new Set(found.value.map(ruleKey)) : undefined;
  }

  #apply(commands: readonly NetCommand[], names: readonly string[]): readonly Refusal[] {
    if (commands.length === 0) return [];
    return this.#network
      .apply(commands)
      .flatMap((r: Result<void, HostError>, i) => (r.ok ? [] : [{ object: names[i] as string, error: r.error }]));
  }
}
const plain = (_: string, v: unknown): unknown => (typeof v === 'bigint' ? Number(v) : v);
