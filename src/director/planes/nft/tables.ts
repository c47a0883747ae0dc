/** What is always there in both tables, as services and the host need it now: the same object while nothing changes. */
import type { Link, Network } from '../../../host/index.ts';
import type { Wanted, WantedService } from '../../types.ts';
import type { TableSpec } from '../nftables/index.ts';
import { directTable, FLOW_TIMEOUTS, type FlowTimeouts } from './direct.ts';
import type { Persistence } from './kind.ts';
import { natTable } from './nat.ts';
import { persistences } from './pick.ts';
import { ingressInterfaces } from './reach.ts';

export type TablesOptions = {
  readonly network: Pick<Network, 'links'>;
  readonly interfaces?: readonly string[];
  readonly masquerade?: boolean;
};
type Kept = { readonly key: string; readonly spec: TableSpec };

export function flowTimeouts(t: Wanted['timeouts'] | undefined): FlowTimeouts {
  return {
    tcpMs: t?.tcp ? t.tcp * 1000 : FLOW_TIMEOUTS.tcpMs,
    finMs: t?.tcpfin ? t.tcpfin * 1000 : FLOW_TIMEOUTS.finMs,
    udpMs: t?.udp ? t.udp * 1000 : FLOW_TIMEOUTS.udpMs,
  };
}

export class Tables {
  readonly #o: TablesOptions;
  /** Kinds of persistence that there ever were: their chains stay, since a service may still go through them. */
  readonly #persistence = new Map<string, Persistence>();
  #nat: Kept | undefined;
  #direct: Kept | undefined;

  constructor(o: TablesOptions) {
    this.#o = o;
  }
  #kinds(services: readonly WantedService[]): readonly Persistence[] {
    for (const p of persistences(services)) this.#persistence.set(JSON.stringify(p), p);
    return [...this.#persistence.values()];
  }
  nat(services: readonly WantedService[]): TableSpec {
    const o = { masquerade: this.#o.masquerade ?? false, persistence: this.#kinds(services) };
    const key = JSON.stringify(o);
    if (this.#nat?.key !== key) this.#nat = { key, spec: natTable(o) };
    return this.#nat.spec;
  }
  /** `fellows`: this host is a real server of some service that has others. */
  direct(
    services: readonly WantedService[],
    { timeouts, fellows }: { readonly timeouts: FlowTimeouts; readonly fellows: boolean },
  ): TableSpec {
    const interfaces = this.#o.interfaces ?? ingressInterfaces(this.#o.network.links() as readonly Link[]);
    const o = { interfaces, timeouts, persistence: this.#kinds(services), fellows };
    const key = JSON.stringify(o);
    if (this.#direct?.key !== key) this.#direct = { key, spec: directTable(o) };
    return this.#direct.spec;
  }
}
