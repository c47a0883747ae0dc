/** Static addresses, routes and rules: held from start to stop; the loss of one is a fault of its track group's instances. */
import type { Network } from '../host/index.ts';
import type { VrrpConfig } from './config.ts';
import type { Holdings } from './holdings.ts';
import { resolveObjects } from './objects.ts';
import type { Reporter } from './reporter.ts';
import type { Fault } from './types.ts';

/** The owner of them in `Holdings`; no instance can have this name. */
const OWNER = '(static objects)';

export class Statics {
  readonly #network: Network;
  readonly #holdings: Holdings;
  readonly #reporter: Reporter;
  readonly #changed: (instances: readonly string[]) => void;
  #config: Pick<VrrpConfig, 'statics' | 'trackGroups'> | undefined;
  /** What is gone, by name, with its track group. */
  #lost: ReadonlyMap<string, string> = new Map();

  /** `changed` is told of the instances whose faults are others now. */
  constructor(
    ports: { readonly network: Network },
    holdings: Holdings,
    reporter: Reporter,
    changed: (instances: readonly string[]) => void,
  ) {
    this.#network = ports.network;
    this.#holdings = holdings;
    this.#reporter = reporter;
    this.#changed = changed;
  }

  /** Holds what this configuration says. What is there already stays as it is. */
  use(config: Pick<VrrpConfig, 'statics' | 'trackGroups'>): void {
    this.#config = config;
    this.put();
  }
  /** Whether all of it is there. */
  look(): void {
    const lost = this.#holdings.missing(OWNER);
    const before = this.#lost;
    this.#lost = lost;
    if (lost.size === before.size && [...lost.keys()].every((k) => before.has(k))) return;
    this.#changed((this.#config?.trackGroups ?? []).flatMap((g) => g.instances));
  }
  faults(instance: string): readonly Fault[] {
    const groups = this.#config?.trackGroups ?? [];
    return [...this.#lost]
      .filter(([, group]) => groups.some((g) => g.name === group && g.instances.includes(instance)))
      .map(([object, group]) => ({ kind: 'static-object', group, object }));
  }
  stop(): void {
    this.#holdings.set(OWNER, undefined);
  }
  /** Puts what is not there: also what the kernel took away with an interface, which gives nothing back. */
  put(): void {
    if (!this.#config) return;
    const { held } = resolveObjects(this.#config.statics, undefined, (name) => this.#network.linkByName(name));
    for (const x of this.#holdings.set(OWNER, held)) this.#reporter.refused('vrrp.static', x.error);
    this.look();
  }
}
