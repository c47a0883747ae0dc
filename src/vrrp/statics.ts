/** Static addresses, routes and rules: held from start to stop; the loss of one is a fault of its track group's instances. */
import { us } from '../base/index.ts';
import type { Cancel, Clock, Network } from '../host/index.ts';
import type { VrrpConfig } from './config.ts';
import type { Holdings } from './holdings.ts';
import { resolveObjects } from './objects.ts';
import type { Reporter } from './reporter.ts';
import type { Fault } from './types.ts';

/** The owner of them in `Holdings`; no instance can have this name. */
const OWNER = '(static objects)';
/** The kernel does not tell of routes and rules that come back. */
const LOOKED_AT_EVERY = 1_000_000;

export class Statics {
  readonly #network: Network;
  readonly #clock: Clock;
  readonly #holdings: Holdings;
  readonly #reporter: Reporter;
  readonly #changed: (instances: readonly string[]) => void;
  #config: Pick<VrrpConfig, 'statics' | 'trackGroups'> | undefined;
  /** What is gone, by name, with its track group. */
  #lost: ReadonlyMap<string, string> = new Map();
  #cancel: Cancel | undefined;

  /** `changed` is told of the instances whose faults are others now. */
  constructor(
    ports: { readonly network: Network; readonly clock: Clock },
    holdings: Holdings,
    reporter: Reporter,
    changed: (instances: readonly string[]) => void,
  ) {
    this.#network = ports.network;
    this.#clock = ports.clock;
    this.#holdings = holdings;
    this.#reporter = reporter;
    this.#changed = changed;
  }

  /** Holds what this configuration says. What is there already stays as it is. */
  use(config: Pick<VrrpConfig, 'statics' | 'trackGroups'>): void {
    this.#config = config;
    this.#put();
  }
  /** An interface came, or came up again: the kernel had taken away what was on it, and gives nothing back. */
  restore(): void {
    this.#put();
    for (const x of this.#holdings.restore(OWNER)) this.#reporter.refused('vrrp.static', x.error);
    if (this.#lost.size > 0) this.look();
  }
  /** Whether all of it is there. While something is missing, again and again. */
  look(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const lost = this.#holdings.missing(OWNER);
    const before = this.#lost;
    this.#lost = lost;
    if (lost.size > 0) this.#cancel = this.#clock.at(us(this.#clock.now() + LOOKED_AT_EVERY), () => this.look());
    if (lost.size === before.size && [...lost.keys()].every((k) => before.has(k))) return;
    this.#changed((this.#config?.trackGroups ?? []).flatMap((g) => g.instances));
  }
  /** True while something is missing, or if this loss is one of these. */
  concerned(losses: readonly { readonly owner: string }[]): boolean {
    return this.#lost.size > 0 || losses.some((l) => l.owner === OWNER);
  }
  faults(instance: string): readonly Fault[] {
    const groups = this.#config?.trackGroups ?? [];
    return [...this.#lost]
      .filter(([, group]) => groups.some((g) => g.name === group && g.instances.includes(instance)))
      .map(([object, group]) => ({ kind: 'static-object', group, object }));
  }
  stop(): void {
    this.#cancel?.();
    this.#holdings.set(OWNER, undefined);
  }

  #put(): void {
    if (!this.#config) return;
    const objects = resolveObjects(this.#config.statics, undefined, (name) => this.#network.linkByName(name));
    for (const x of this.#holdings.set(OWNER, objects)) this.#reporter.refused('vrrp.static', x.error);
  }
}
