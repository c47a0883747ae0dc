/** What a virtual router needs around it on the host, beside sockets and addresses: macvlans, kernel settings, a filter. */
import { formatPrefix } from '../base/index.ts';
import type { LinkAddress, Network, Processes, Sysctl } from '../host/index.ts';
import type { Instance } from './config.ts';
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
  #filtering = false;

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
  /** `no_accept`. Runs beside everything else: nothing waits for it. */
  filter(instances: readonly Instance[]): void {
    const commands = firewallCommands(instances, this.#filtering);
    if (commands === undefined) return;
    this.#filtering = firewallCommands(instances, false) !== undefined;
    this.#processes.run({ argv: ['nft', commands] }, (e) => {
      if ('code' in e && e.code === 0) return;
      this.#reporter.firewallFailed('failed' in e ? e.failed.code : 'code' in e ? `exit code ${e.code}` : e.signal);
    });
  }
  restore(): void {
    this.filter([]);
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
