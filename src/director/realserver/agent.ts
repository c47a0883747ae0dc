/**
 * Makes this host a real server of DR or TUN, and keeps it one: what somebody takes away comes back, a device that comes
 * ends tunnels too. What it did is in a ledger on disk, so that the next process, or the one after a crash, can undo it.
 */
import { familyOf, hostLength, type IpAddress, ok, parseIp, type Result, text } from '../../base/index.ts';
import type { Bpf, Files, HostError, Log, NetCommand, Network, Sysctl } from '../../host/index.ts';
import { carriesClients } from '../planes/bpf/attachments.ts';
import { Decapsulator } from './decapsulator.ts';
import {
  describeRealServerStep,
  EMPTY_LEDGER,
  enter,
  type RealServerFound,
  type RealServerLedger,
  type RealServerStep,
  type RealServerWanted,
  realServerPlan,
  realServerSysctls,
  realServerUndo,
} from './plan.ts';

export type RealServerPorts = {
  readonly network: Network;
  readonly sysctl: Sysctl;
  readonly files: Files;
  readonly log: Log;
  /** Undefined: tunnels cannot be ended. */
  readonly bpf: Bpf | undefined;
};
export type RealServerOptions = {
  readonly vips: readonly IpAddress[];
  /** Undefined: DR. `guePort` 0: GUE is not taken. */
  readonly tunnels: { readonly guePort: number } | undefined;
  /** Names of devices; undefined: every Ethernet device that is up and not enslaved. */
  readonly interfaces: readonly string[] | undefined;
  /** The ledger is FILE.json, and what is pinned lies in FILE.bpf. */
  readonly state: string;
};
const LEDGER_BYTES = 1 << 20;
const LOOPBACK = 'lo';

export class RealServerAgent {
  readonly #p: RealServerPorts;
  readonly #o: RealServerOptions;
  readonly #decapsulator: Decapsulator | undefined;
  #ledger: RealServerLedger;

  constructor(p: RealServerPorts, o: RealServerOptions) {
    this.#p = p;
    this.#o = o;
    this.#decapsulator = p.bpf && new Decapsulator(p.bpf, `${o.state}.bpf`);
    this.#ledger = readLedger(p.files.read(`${o.state}.json`, LEDGER_BYTES));
  }

  /** Does what is missing; nothing where nothing is. To be called again when links or addresses changed. */
  settle(): Result<'kept' | 'changed', HostError> {
    const { vips, tunnels, interfaces } = this.#o;
    const links = this.#p.network.links().filter((l) => (interfaces ? interfaces.includes(l.name) : carriesClients(l)));
    const on = new Set(links.map((l) => l.ifindex));
    const endpoints = this.#p.network
      .addresses()
      .filter((a) => on.has(a.ifindex) && a.scope !== 'link')
      .map((a) => a.prefix.address);
    const wanted: RealServerWanted = {
      vips,
      endpoints: tunnels ? endpoints : [],
      devices: tunnels ? links.map((l) => l.name) : [],
    };
    // Before the addresses are there nothing can be delivered, so the tunnels may come last, and must go first.
    const steps = realServerPlan(wanted, this.#found(realServerSysctls(wanted)));
    const done = this.#carryOut(steps);
    if (!done.ok) return done;
    if (!tunnels) this.#decapsulator?.remove(links.map((l) => l.ifindex));
    else if (this.#decapsulator) {
      const { guePort } = tunnels;
      const ended = this.#decapsulator.set({ vips, endpoints, guePort, ifindexes: [...on] });
      if (!ended.ok) return ended;
    }
    return ok(steps.length > 0 ? 'changed' : 'kept');
  }
  /** Everything as it was before the first of these processes. */
  undo(): Result<void, HostError> {
    this.#decapsulator?.remove(this.#p.network.links().map((l) => l.ifindex));
    const done = this.#carryOut(realServerUndo(this.#ledger, this.#found(Object.keys(this.#ledger.sysctls))));
    if (done.ok) this.#write(EMPTY_LEDGER);
    return done;
  }
  /** This process ends, and all stays. */
  leave(): void {
    this.#decapsulator?.close({ keep: true });
  }

  #found(names: readonly string[]): RealServerFound {
    const lo = this.#p.network.linkByName(LOOPBACK)?.ifindex;
    const addresses = this.#p.network.addresses().filter((a) => a.ifindex === lo);
    return {
      addresses: addresses.map((a) => a.prefix.address),
      ours: this.#ledger.addresses,
      sysctls: Object.fromEntries(names.map((n) => [n, this.#p.sysctl.get(n)?.trim()])),
    };
  }
  /** The ledger is written before the host is changed: a crash between may leave too much in it, never too little. */
  #carryOut(steps: readonly RealServerStep[]): Result<void, HostError> {
    if (steps.length === 0) return ok(undefined);
    const adding = steps.filter((s) => s.do !== 'address-remove');
    const noted = this.#write(enter(this.#ledger, adding));
    if (!noted.ok) return noted;
    for (const s of steps) {
      const done = this.#step(s);
      if (!done.ok) return done;
      const words = describeRealServerStep(s);
      this.#p.log.write({ level: 'notice', code: 'realserver.step', text: text(words, words) });
    }
    return this.#write(enter(this.#ledger, steps));
  }
  #step(s: RealServerStep): Result<void, HostError> {
    if (s.do === 'sysctl') return this.#p.sysctl.set(s.name, s.value);
    const family = familyOf(s.address);
    const address = {
      ifindex: this.#p.network.linkByName(LOOPBACK)?.ifindex ?? 1,
      prefix: { address: s.address, length: hostLength(family) },
      // Where lo's own scope were given, IPv4 would not be used as a source for answers.
      scope: 'global' as const,
      ...(family === 6 && { noDad: true }),
    };
    const command: NetCommand = { do: s.do === 'address-add' ? 'address-replace' : 'address-remove', address };
    return this.#p.network.apply([command])[0] ?? ok(undefined);
  }
  #write(l: RealServerLedger): Result<void, HostError> {
    this.#ledger = l;
    return this.#p.files.write(`${this.#o.state}.json`, new TextEncoder().encode(`${JSON.stringify(l)}\n`));
  }
}

/** What is no ledger is taken for an empty one: nothing is undone that is not known to be ours. */
function readLedger(bytes: Uint8Array | undefined): RealServerLedger {
  if (!bytes) return EMPTY_LEDGER;
  try {
    const l = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Record<'addresses' | 'sysctls', unknown>>;
    const addresses = (Array.isArray(l.addresses) ? l.addresses : []).flatMap((a) => {
      const parsed = parseIp(String(a));
      return parsed.ok ? [parsed.value] : [];
    });
    const sysctls: Record<string, { was: string; set: string }> = {};
    for (const [name, v] of Object.entries(l.sysctls ?? {})) {
      const { was, set } = (v ?? {}) as { was?: unknown; set?: unknown };
      if (
        /^net\/ipv4\/conf\/[^/]+\/(arp_\w+|rp_filter)$/.test(name) &&
        typeof was === 'string' &&
        typeof set === 'string'
      )
        sysctls[name] = { was, set };
    }
    return { addresses, sysctls };
  } catch {
    return EMPTY_LEDGER;
  }
}
