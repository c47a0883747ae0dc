/** One proxied service: its listening sockets, its connections, and what each server has carried. */
import { err, type IpAddress, ok, type Result } from '../../../base/index.ts';
import type { Entropy, HostError, RelayEnd, RelayListener, RelayStream } from '../../../host/index.ts';
import type { ServerCounters, ServerKey, ServiceCounters, WantedService } from '../../types.ts';
import { Affinity } from './affinity.ts';
import { addressesOf } from './refusals.ts';
import { Relay, type RelayOwner, type RelaySettings } from './relay.ts';
import { type Candidate, Chooser } from './schedule.ts';

export type ServiceHost = RelayOwner['host'] & { readonly entropy: Entropy };
/** Connections of all services together: each takes two file descriptors. */
export type Admission = { readonly enter: () => boolean; readonly leave: () => void };

type Tally = { connections: number; bytesIn: number; bytesOut: number };
const BACKLOG = 1024;

export class ProxyService {
  #wanted: WantedService;
  readonly #host: ServiceHost;
  readonly #owner: RelayOwner;
  readonly #admission: Admission;
  readonly #listeners = new Map<IpAddress, RelayListener>();
  readonly #relays = new Set<Relay>();
  /** Connections of each server, those that are being opened too. */
  readonly #active = new Map<ServerKey, number>();
  readonly #tallies = new Map<ServerKey, Tally>();
  readonly #chooser = new Chooser();
  readonly #affinity = new Affinity();

  constructor(wanted: WantedService, host: ServiceHost, settings: RelaySettings, admission: Admission) {
    this.#wanted = wanted;
    this.#host = host;
    this.#admission = admission;
    this.#owner = {
      host,
      settings,
      whereIs: (key) => this.#whereIs(key),
      nextAfter: () => undefined,
      opened: (key) => {
        this.#tally(key).connections++;
      },
      moved: (from, to) => this.#moved(from, to),
      over: (r) => this.#over(r),
    };
  }
  /** Sockets for what is to be listened on and is not yet; the first refusal of the kernel. */
  apply(wanted: WantedService): Result<'kept' | 'changed', HostError> {
    const same = JSON.stringify(wanted) === JSON.stringify(this.#wanted);
    this.#wanted = wanted;
    const keys = new Set(wanted.servers.map((s) => s.key));
    for (const r of [...this.#relays]) if (!keys.has(r.server)) r.cut();
    for (const key of this.#tallies.keys()) if (!keys.has(key)) this.#tallies.delete(key);
    this.#chooser.forget(keys);
    const listened = this.listen();
    return listened.ok ? ok(same && listened.value === 0 ? 'kept' : 'changed') : listened;
  }
  /** How many were opened now. */
  listen(): Result<number, HostError> {
    const { match } = this.#wanted;
    if (match.by !== 'address') return ok(0); // refused before
    let opened = 0;
    let failed: HostError | undefined;
    for (const address of addressesOf(match.ranges)) {
      if (this.#listeners.has(address)) continue;
      const made = this.#host.relays.listen({ address, port: match.port, backlog: BACKLOG }, (c) => this.#accept(c));
      if (!made.ok) failed ??= made.error;
      else {
        this.#listeners.set(address, made.value);
        opened++;
      }
    }
    return failed ? err(failed) : ok(opened);
  }
  look(): void {
    for (const r of [...this.#relays]) r.look();
  }
  close(): void {
    for (const l of this.#listeners.values()) l.close();
    this.#listeners.clear();
    for (const r of [...this.#relays]) r.cut();
  }
  counters(): ServiceCounters {
    const running = new Map<ServerKey, { active: number; opening: number; in: number; out: number }>();
    for (const r of this.#relays) {
      const sum = running.get(r.server) ?? { active: 0, opening: 0, in: 0, out: 0 };
      if (r.established) sum.active++;
      else sum.opening++;
      sum.in += r.bytes.in;
      sum.out += r.bytes.out;
      running.set(r.server, sum);
    }
    const servers = this.#wanted.servers.map(({ key }): ServerCounters => {
      const tally = this.#tallies.get(key);
      const now = running.get(key);
      return {
        key,
        connections: tally?.connections ?? 0,
        packetsIn: 0,
        bytesIn: (tally?.bytesIn ?? 0) + (now?.in ?? 0),
        packetsOut: 0,
        bytesOut: (tally?.bytesOut ?? 0) + (now?.out ?? 0),
        active: now?.active ?? 0,
        inactive: now?.opening ?? 0,
      };
    });
    return { key: this.#wanted.key, servers };
  }

  #whereIs(key: ServerKey): RelayEnd | undefined {
    const { match, servers } = this.#wanted;
    const found = servers.find((s) => s.key === key);
    const asked = match.by === 'address' ? match.port : 0;
    return found && { address: found.address, port: found.port === 0 ? asked : found.port };
  }
  #accept(client: RelayStream): void {
    if (!this.#admission.enter()) {
      client.destroy('reset');
      return;
    }
    const nextAfter = (tried: ReadonlySet<ServerKey>): ServerKey | undefined => this.#choose(client, tried);
    const first = nextAfter(new Set());
    if (first === undefined) {
      this.#admission.leave();
      client.destroy('reset');
      return;
    }
    this.#relays.add(new Relay(client, first, { ...this.#owner, nextAfter }));
  }
  #choose(client: RelayStream, tried: ReadonlySet<ServerKey>): ServerKey | undefined {
    const { scheduler, flags, servers, persistence } = this.#wanted;
    const now = this.#host.clock.now();
    const { address, port } = client.remote;
    const known = this.#affinity.find(persistence, address, now);
    const stays = known !== undefined && !tried.has(known) && servers.some((s) => s.key === known && s.weight > 0);
    const candidates = servers.map((s): Candidate => ({ ...s, active: this.#active.get(s.key) ?? 0 }));
    const key = stays
      ? known
      : this.#chooser.choose(scheduler, flags, candidates, {
          client: address,
          clientPort: port,
          destination: client.local.address,
          tried,
          random: this.#host.entropy.u32(),
        });
    if (key !== undefined) this.#affinity.remember(persistence, address, key, now);
    return key;
  }
  #moved(from: ServerKey | undefined, to: ServerKey): void {
    if (from !== undefined) this.#count(from, -1);
    this.#count(to, 1);
  }
  #count(key: ServerKey, by: number): void {
    const n = (this.#active.get(key) ?? 0) + by;
    if (n > 0) this.#active.set(key, n);
    else this.#active.delete(key);
  }
  #tally(key: ServerKey): Tally {
    let tally = this.#tallies.get(key);
    if (tally === undefined) {
      tally = { connections: 0, bytesIn: 0, bytesOut: 0 };
      this.#tallies.set(key, tally);
    }
    return tally;
  }
  #over(r: Relay): void {
    this.#relays.delete(r);
    this.#count(r.server, -1);
    this.#admission.leave();
    const tally = this.#tallies.get(r.server);
    if (tally === undefined) return; // its server is gone
    tally.bytesIn += r.bytes.in;
    tally.bytesOut += r.bytes.out;
  }
}
