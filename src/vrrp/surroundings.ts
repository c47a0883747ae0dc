/** What a virtual router needs around it on the host, beside sockets and addresses: macvlans, kernel settings, a filter. */
import { formatPrefix } from '../base/index.ts';
import type { LinkAddress, Network, Processes, Sysctl } from '../host/index.ts';
import type { Instance, VrrpConfig } from './config.ts';
import { firewallCommands } from './firewall.ts';
import { VRRP_PROTOCOL } from './objects.ts';
import type { Reporter } from './reporter.ts';
import { Settings } from './settings.ts';
import type { Fault } from './types.ts';
import { makeVmac, vmacName, vmacsOf } from './vmac.ts';

export class Surroundings {
  readonly #network: Network;
  readonly #processes: Processes;
  readonly #settings: Settings;
  readonly #reporter: Reporter;
  /** Undefined: a process before us may have left a filter. */
  #filtering: boolean | undefined;
  #filter: VrrpConfig['filter'] = { table: '', priority: 0 };

  constructor(ports: { network: Network; processes: Processes; sysctl: Sysctl }, reporter: Reporter) {
    this.#network = ports.network;
    this.#processes = ports.processes;
    this.#settings = new Settings(ports.sysctl);
    this.#reporter = reporter;
  }

  /** The instance's own macvlan, where it has one, and what was refused. */
  prepare(i: Instance): { readonly vmac: { readonly ifindex: number } | undefined; readonly faults: readonly Fault[] } {
    const faults: Fault[] = [];
    let vmac: { readonly ifindex: number } | undefined;
    for (const v of vmacsOf(i)) {
      const made = makeVmac(i, v, this.#network, this.#settings);
      if (!made.ok) faults.push({ kind: 'refused', error: made.error });
      else if (v.name === i.vmac?.name) vmac = made.value;
    }
    if (i.promoteSecondaries && i.interface !== undefined)
      this.#settings.set(`net/ipv4/conf/${i.interface}/promote_secondaries`, '1');
    return { vmac, faults };
  }
  leave(i: Instance): void {
    for (const v of vmacsOf(i)) {
      const link = this.#network.linkByName(v.name);
      if (link?.kind === 'macvlan') this.#network.apply([{ do: 'link-remove', ifindex: link.ifindex }]);
    }
  }
  /** Settings and filter of the whole configuration. The filter is set beside everything else: nothing waits for it. */
  use(config: Pick<VrrpConfig, 'instances' | 'filter' | 'disableLocalIgmp'>): void {
    if (config.disableLocalIgmp) this.#settings.set('net/ipv4/igmp_link_local_mcast_reports', '0');
    if (this.#filter.table !== config.filter.table && this.#filtering) this.#setFilter([]);
    this.#filter = config.filter;
    this.#setFilter(config.instances);
  }
  #setFilter(instances: readonly Instance[]): void {
    const commands = firewallCommands(instances, this.#filter, this.#filtering ?? true);
    const wanted = firewallCommands(instances, this.#filter, false) !== undefined;
    const sure = wanted || this.#filtering === true;
    this.#filtering = wanted;
    if (commands === undefined) return;
    this.#processes.run({ argv: ['nft', commands] }, (e) => {
      if (('code' in e && e.code === 0) || !sure) return; // a host without nft has no filter of ours either
      this.#reporter.firewallFailed('failed' in e ? e.failed.code : 'code' in e ? `exit code ${e.code}` : e.signal);
    });
  }
  restore(): void {
    this.#setFilter([]);
    this.#settings.restore();
  }

  /**
   * Virtual addresses that are on this host before we begin: `suspect` says whether a process before us may have put one.
   * `native` are the host's own, since an instance of priority 255 owns them: those without our mark and a lifetime.
   */
  residue(instances: readonly Instance[]): {
    readonly native: readonly LinkAddress[];
    readonly suspect: (a: LinkAddress) => boolean;
  } {
    const wanted = new Map<string, Instance>();
    for (const i of instances)
      for (const a of [...i.addresses, ...i.excluded])
        for (const name of [a.interface, vmacName(i, a.interface, a)]) {
          const ifindex = name === undefined ? undefined : this.#network.linkByName(name)?.ifindex;
          if (ifindex !== undefined) wanted.set(`${ifindex} ${formatPrefix(a.prefix)}`, i);
        }
    const wants = (a: LinkAddress): Instance | undefined => wanted.get(`${a.ifindex} ${formatPrefix(a.prefix)}`);
    const isNative = (a: LinkAddress): boolean =>
      wants(a)?.priority === 255 && a.validSeconds === undefined && a.protocol !== VRRP_PROTOCOL;
    return {
      native: this.#network.addresses().filter(isNative),
      suspect: (a) => wants(a) !== undefined,
    };
  }
}
