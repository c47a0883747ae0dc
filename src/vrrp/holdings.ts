/**
 * What this host's masters hold in the kernel's tables. Two virtual routers may want the same object (one is moved
 * from the one to the other by a reload): it goes only when nobody wants it any more. What is to be done in the kernel
 * is the plan's business (`reconcile`); here is who wants what.
 */
import {
  addressKey,
  type HostError,
  type LinkAddress,
  type NetChange,
  type NetCommand,
  type NetTables,
  type Network,
  NO_TABLES,
  type PlanOptions,
  plan,
  type Reconciled,
  readTables,
  reconcile,
} from '../host/index.ts';
import { type Held, type HeldObject, keyOf, keysOfActual, objectsIn, tablesOf, VRRP_PROTOCOL } from './objects.ts';

type Entry = { readonly held: Held; readonly owners: Set<string> };
/** `error.doing` says what was refused. */
export type Refusal = { readonly error: HostError };
/** Something that was held is gone though nobody here gave it up. */
export type Loss = { readonly owner: string; readonly object: string };

/** The object of a change of the kernel's tables. */
const changed = (c: NetChange): HeldObject | undefined => {
  switch (c.kind) {
    case 'address':
    case 'address-gone':
      return { kind: 'address', address: c.address };
    case 'route':
    case 'route-gone':
      return { kind: 'route', route: c.route };
    case 'rule':
    case 'rule-gone':
      return { kind: 'rule', rule: c.rule };
    default:
      return undefined;
  }
};

export class Holdings {
  readonly #network: Network;
  readonly #entries = new Map<string, Entry>();
  /** The keys of what each owner holds, in the order in which it was put. */
  readonly #byOwner = new Map<string, readonly string[]>();
  /** Addresses that were the host's own before we came (an owner's): never given a lease, never taken away. */
  readonly #native = new Set<string>();
  /** Given up, but not removed until `settle`: somebody may take it over. */
  #deferred: Map<string, Held> | undefined;
  /** Keys of what somebody took away, and nobody has put back. */
  readonly #gone = new Set<string>();

  constructor(network: Network) {
    this.#network = network;
  }

  native(a: LinkAddress): void {
    this.#native.add(addressKey(a));
  }
  isNative(a: LinkAddress): boolean {
    return this.#native.has(addressKey(a));
  }

  /** From now on `owner` holds exactly `want`: one batch, in which what is new comes before what goes. Undefined gives everything up. */
  set(owner: string, want: readonly Held[] | undefined): readonly Refusal[] {
    const keys = new Set(want?.map((h) => h.key));
    const goes: Held[] = [];
    for (const key of this.#byOwner.get(owner) ?? []) {
      const e = this.#entries.get(key);
      if (!e || keys.has(key) || !e.owners.delete(owner) || e.owners.size > 0) continue;
      this.#entries.delete(key);
      this.#gone.delete(key);
      if (this.#deferred) this.#deferred.set(key, e.held);
      else goes.push(e.held);
    }
    for (const held of want ?? []) {
      const owners = this.#entries.get(held.key)?.owners ?? new Set();
      this.#entries.set(held.key, { held, owners: owners.add(owner) });
      this.#deferred?.delete(held.key);
      this.#gone.delete(held.key);
    }
    if (want) this.#byOwner.set(owner, [...keys]);
    else this.#byOwner.delete(owner);
    return this.#reconcile(want ?? [], goes);
  }

  /** Until `settle`, nothing is removed: a reload moves objects from one owner to another without a gap. */
  defer(): void {
    this.#deferred ??= new Map();
  }
  settle(): readonly Refusal[] {
    const left = [...(this.#deferred?.values() ?? [])];
    this.#deferred = undefined;
    return this.#reconcile([], left);
  }

  /**
   * Sets the lifetime of every leased address again, in one batch. One that is gone is not put back but told as lost: we
   * slept beyond its lifetime, or somebody took it, and who is master now must be found out first.
   */
  renew(): { readonly refused: readonly Refusal[]; readonly lost: readonly Loss[] } {
    const present = this.#present();
    const leased = [...this.#entries.values()].filter(
      ({ held }) => held.kind === 'address' && held.address.validSeconds !== undefined && !this.#isNative(held),
    );
    const lost = leased.filter(({ held }) => held.tracking.kind !== 'ignore' && !present.has(held.key));
    const kept = leased.filter((e) => !lost.includes(e)).map((e) => e.held);
    return { refused: this.#reconcile(kept, [], { renewLifetimes: true }), lost: losses(lost) };
  }

  addresses(owner: string): readonly LinkAddress[] {
    return (this.#byOwner.get(owner) ?? []).flatMap((key) => {
      const held = this.#entries.get(key)?.held;
      return held?.kind === 'address' ? [held.address] : [];
    });
  }
  /** Everything that would have to go if this process went, in the order of removal. */
  removals(): readonly NetCommand[] {
    const held = this.#tables(this.#all());
    return plan(NO_TABLES, { ...held, links: [] }, held).map((s) => s.command);
  }
  holdsAddress(a: LinkAddress): boolean {
    return this.#entries.has(`address ${addressKey(a)}`);
  }

  /** The kernel tells of a change. True: `losses` may be others now; to be asked later, since what went may be back by then. */
  notice(c: NetChange): boolean {
    const object = changed(c);
    if (!object) return false;
    let news = false;
    const came = c.kind === 'address' || c.kind === 'route' || c.kind === 'rule';
    for (const key of keysOfActual(object))
      if (came) news = this.#gone.delete(key) || news;
      else if (this.#entries.has(key)) {
        this.#gone.add(key);
        news = true;
      }
    return news;
  }
  /** Which owners lack something that is neither ignored nor back. */
  losses(): readonly Loss[] {
    return losses([...this.#gone].flatMap((key) => this.#entries.get(key) ?? []).filter(matters));
  }
  /** After a sleep, when leases may have ended: addresses only, since reading routes may take long. */
  lostAddresses(): readonly Loss[] {
    const present = this.#present();
    return losses(
      [...this.#entries.values()].filter((e) => matters(e) && e.held.kind === 'address' && !present.has(e.held.key)),
    );
  }
  /** After notifications were lost: everything is looked at again. */
  lookAgain(): void {
    const { tables } = readTables(this.#network, this.#tables(this.#all()), NO_TABLES);
    const there = new Set(objectsIn(tables).flatMap(keysOfActual));
    this.#gone.clear();
    for (const key of this.#entries.keys()) if (!there.has(key)) this.#gone.add(key);
  }

  /** What of `owner`'s is gone, by object, with the track group that cares. */
  missing(owner: string): ReadonlyMap<string, string> {
    const out = new Map<string, string>();
    for (const key of this.#gone) {
      const e = this.#entries.get(key);
      if (e?.owners.has(owner) && e.held.tracking.kind === 'group') out.set(e.held.name, e.held.tracking.group);
    }
    return out;
  }

  /**
   * Removes what a process before us left: what bears our mark, and of addresses, on which older kernels keep no mark,
   * also those that `suspect` says. What is held by now stays, and so does `keep`.
   */
  clearResidue(
    suspect: (a: LinkAddress) => boolean,
    keep: readonly Held[],
  ): { readonly removed: number; readonly refused: readonly Refusal[] } {
    const kept = new Set([...this.#entries.keys(), ...keep.map((h) => h.key)]);
    const left = objectsIn(markedTables(this.#network, suspect)).filter(
      (o) => !this.#isNative(o) && !keysOfActual(o).some((key) => kept.has(key)),
    );
    if (left.length === 0) return { removed: 0, refused: [] };
    const done = reconcile(this.#network, NO_TABLES, tablesOf(left));
    return { removed: left.length, refused: refusals(done) };
  }

  #isNative(h: HeldObject): boolean {
    return h.kind === 'address' && this.#native.has(addressKey(h.address));
  }
  #all(): readonly Held[] {
    return [...this.#entries.values()].map((e) => e.held);
  }
  #tables(held: readonly HeldObject[]): NetTables {
    return tablesOf(this.#native.size === 0 ? held : held.filter((h) => !this.#isNative(h)));
  }
  #present(): ReadonlySet<string> {
    return new Set(this.#network.addresses().map((address) => keyOf({ kind: 'address', address })));
  }
  #reconcile(want: readonly Held[], goes: readonly Held[], o: PlanOptions = {}): readonly Refusal[] {
    if (want.length === 0 && goes.length === 0) return [];
    return refusals(reconcile(this.#network, this.#tables(want), this.#tables(goes), o));
  }
}

const matters = (e: Entry): boolean => e.held.tracking.kind !== 'ignore';
const losses = (entries: readonly Entry[]): Loss[] =>
  entries.flatMap((e) => [...e.owners].map((owner) => ({ owner, object: e.held.name })));
const refusals = (r: Reconciled): Refusal[] => [
  ...r.unread.map((error) => ({ error })),
  ...r.steps.flatMap(({ result }) => (result.ok ? [] : [{ error: result.error }])),
];

/** All that bears the mark of a VRRP daemon. What cannot be read is left: a start must not fail for it. */
function markedTables(network: Network, suspect: (a: LinkAddress) => boolean): NetTables {
  const families = [4, 6] as const;
  const marked = (x: { readonly protocol?: number }): boolean => x.protocol === VRRP_PROTOCOL;
  return {
    addresses: network.addresses().filter((a) => marked(a) || suspect(a)),
    routes: families.flatMap((family) => {
      const read = network.routes({ family, protocol: VRRP_PROTOCOL });
      return read.ok ? read.value : [];
    }),
    rules: families.flatMap((family) => {
      const read = network.rules(family);
      return read.ok ? read.value.filter(marked) : [];
    }),
  };
}
