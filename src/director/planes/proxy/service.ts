/** One proxied service: where it listens, its servers, and who takes the next connection. */
import { err, type IpAddress, ok, type Result } from '../../../base/index.ts';
import type {
  Clock,
  Entropy,
  HostError,
  RelayAnswer,
  RelayEnd,
  RelayFront,
  RelayHub,
  RelayQuestion,
  RelayServer,
} from '../../../host/index.ts';
import { encodeProxyHeader, encodeProxyLine } from '../../../wire/index.ts';
import type { ServerCounters, ServerKey, ServiceCounters, WantedServer, WantedService } from '../../types.ts';
import { Affinity } from './affinity.ts';
import { addressesOf } from './refusals.ts';
import { type Candidate, Chooser, turnsOf } from './schedule.ts';

/** What each server is told first: nothing, or whom the relay speaks for. */
export type HeaderKind = 'none' | 'v1' | 'v2';
export type ServiceSettings = {
  readonly header: HeaderKind;
  /** Undefined: as the route to the server has it. */
  readonly source: IpAddress | undefined;
};
export type ServiceHost = { readonly clock: Pick<Clock, 'now'>; readonly entropy: Entropy };
const BACKLOG = 1024;

export class ProxyService {
  #wanted: WantedService;
  /** The order that stands, as text; undefined: none was given yet. */
  #turns: string | undefined;
  readonly #host: ServiceHost;
  readonly #settings: ServiceSettings;
  readonly #front: RelayFront;
  readonly #listening = new Set<IpAddress>();
  readonly #servers = new Map<ServerKey, RelayServer>();
  readonly #keys = new Map<RelayServer, ServerKey>();
  readonly #chooser = new Chooser();
  readonly #affinity = new Affinity();

  private constructor(wanted: WantedService, host: ServiceHost, settings: ServiceSettings, front: RelayFront) {
    this.#wanted = wanted;
    this.#host = host;
    this.#settings = settings;
    this.#front = front;
  }
  static open(
    wanted: WantedService,
    host: ServiceHost,
    settings: ServiceSettings,
    hub: RelayHub,
  ): Result<ProxyService, HostError> {
    const port = wanted.match.by === 'address' ? wanted.match.port : 0; // others were refused before
    let service: ProxyService | undefined;
    const front = hub.front({ port, backlog: BACKLOG }, (q) => (service === undefined ? undefined : service.#who(q)));
    if (!front.ok) return front;
    service = new ProxyService(wanted, host, settings, front.value);
    return ok(service);
  }
  /** Sockets for what is to be listened on and is not yet; the first refusal of the kernel. */
  apply(wanted: WantedService): Result<'kept' | 'changed', HostError> {
    const same = JSON.stringify(wanted) === JSON.stringify(this.#wanted);
    this.#wanted = wanted;
    const added = this.#add();
    this.#order();
    this.#remove();
    const listened = this.listen();
    if (!added.ok) return added;
    return listened.ok ? ok(same && listened.value === 0 ? 'kept' : 'changed') : listened;
  }
  /** How many were opened now. */
  listen(): Result<number, HostError> {
    const { match } = this.#wanted;
    if (match.by !== 'address') return ok(0);
    let opened = 0;
    let failed: HostError | undefined;
    for (const address of addressesOf(match.ranges)) {
      if (this.#listening.has(address)) continue;
      const made = this.#front.listen(address);
      if (!made.ok) failed ??= made.error;
      else {
        this.#listening.add(address);
        opened++;
      }
    }
    return failed ? err(failed) : ok(opened);
  }
  close(): void {
    this.#front.close();
  }
  counters(): ServiceCounters {
    const servers = this.#wanted.servers.map(({ key }): ServerCounters => {
      const t = this.#servers.get(key)?.tally();
      return {
        key,
        connections: t?.opened ?? 0,
        packetsIn: 0,
        bytesIn: t?.in ?? 0,
        packetsOut: 0,
        bytesOut: t?.out ?? 0,
        active: t?.active ?? 0,
        inactive: t?.opening ?? 0,
      };
    });
    return { key: this.#wanted.key, servers };
  }

  #endOf(s: WantedServer): RelayEnd {
    const { match } = this.#wanted;
    const asked = match.by === 'address' ? match.port : 0;
    return { address: s.address, port: s.port === 0 ? asked : s.port };
  }
  #add(): Result<void, HostError> {
    for (const s of this.#wanted.servers) {
      if (this.#servers.has(s.key)) continue;
      const made = this.#front.server(this.#endOf(s), this.#settings.source);
      if (!made.ok) return made;
      this.#servers.set(s.key, made.value);
      this.#keys.set(made.value, s.key);
    }
    return ok(undefined);
  }
  #remove(): void {
    const kept = new Set(this.#wanted.servers.map((s) => s.key));
    for (const [key, server] of [...this.#servers]) {
      if (kept.has(key)) continue;
      this.#servers.delete(key);
      this.#keys.delete(server);
      server.drop();
    }
    this.#chooser.forget(kept);
  }
  /** Turns where nothing but the servers decides; else each connection is asked about. */
  #order(): void {
    const { scheduler, servers, persistence } = this.#wanted;
    const asks = persistence !== undefined || this.#settings.header !== 'none';
    const keys = asks ? undefined : turnsOf(scheduler, servers);
    const text = JSON.stringify(keys ?? 'ask');
    if (text === this.#turns) return;
    this.#turns = text;
    const known = (keys ?? []).map((k) => this.#servers.get(k)).filter((s) => s !== undefined);
    this.#front.turns(keys === undefined ? 'ask' : known);
  }
  #who(q: RelayQuestion): RelayAnswer | undefined {
    const tried = new Set([...q.tried].map((s) => this.#keys.get(s)).filter((k) => k !== undefined));
    const key = this.#choose(q, tried);
    const server = key === undefined ? undefined : this.#servers.get(key);
    if (server === undefined) return undefined;
    const header = this.#header(q);
    return { server, ...(header && { header }) };
  }
  #choose({ client, local }: RelayQuestion, tried: ReadonlySet<ServerKey>): ServerKey | undefined {
    const { scheduler, flags, servers, persistence } = this.#wanted;
    const now = this.#host.clock.now();
    const known = this.#affinity.find(persistence, client.address, now);
    const stays = known !== undefined && !tried.has(known) && servers.some((s) => s.key === known && s.weight > 0);
    const key = stays
      ? known
      : this.#chooser.choose(
          scheduler,
          flags,
          servers.map((s) => this.#candidate(s)),
          {
            client: client.address,
            clientPort: client.port,
            destination: local.address,
            tried,
            random: this.#host.entropy.u32(),
          },
        );
    if (key !== undefined) this.#affinity.remember(persistence, client.address, key, now);
    return key;
  }
  #candidate(s: WantedServer): Candidate {
    const t = this.#servers.get(s.key)?.tally();
    return { ...s, active: t === undefined ? 0 : t.active + t.opening };
  }
  #header({ client, local }: RelayQuestion): Uint8Array | undefined {
    const path = {
      source: client.address,
      destination: local.address,
      sourcePort: client.port,
      destinationPort: local.port,
    };
    switch (this.#settings.header) {
      case 'none':
        return undefined;
      case 'v1':
        return encodeProxyLine({ path });
      case 'v2':
        return encodeProxyHeader({ command: 'proxy', transport: 'stream', path, tlvs: [] });
    }
  }
}
