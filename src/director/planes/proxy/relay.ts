/** Drives one session: the sockets of a client and its server. */
import type { Microseconds } from '../../../base/index.ts';
import type { Clock, RelayEnd, RelayStream, Relays } from '../../../host/index.ts';
import { encodeProxyHeader, encodeProxyLine } from '../../../wire/index.ts';
import type { ServerKey } from '../../types.ts';
import { opening, type Session, type SessionEnd, type SessionEvent, type SessionStep, stepSession } from './session.ts';

/** What each server is told first: nothing, or whom the relay speaks for. */
export type HeaderKind = 'none' | 'v1' | 'v2';
export type RelaySettings = {
  readonly header: HeaderKind;
  /** Undefined: as the route to the server has it. */
  readonly source: RelayEnd['address'] | undefined;
  readonly connectTimeout: Microseconds;
  readonly idleTimeout: Microseconds;
};
export type RelayOwner = {
  readonly host: { readonly clock: Pick<Clock, 'now'>; readonly relays: Relays };
  readonly settings: RelaySettings;
  /** Undefined: it is no longer wanted. */
  readonly whereIs: (server: ServerKey) => RelayEnd | undefined;
  readonly nextAfter: (tried: ReadonlySet<ServerKey>) => ServerKey | undefined;
  readonly opened: (server: ServerKey) => void;
  /** It counts with this server now. */
  readonly moved: (from: ServerKey | undefined, to: ServerKey) => void;
  readonly over: (r: Relay, because: SessionEnd) => void;
};

export class Relay {
  #session: Session;
  #server: ServerKey;
  #stream: RelayStream | undefined;
  #giveUp: () => void = () => {};
  readonly #client: RelayStream;
  readonly #owner: RelayOwner;

  constructor(client: RelayStream, server: ServerKey, owner: RelayOwner) {
    this.#client = client;
    this.#server = server;
    this.#owner = owner;
    const first = opening(server);
    this.#session = first.session;
    client.on({
      ended: () => this.#feed({ kind: 'ended', side: 'client' }),
      closed: () => this.#feed({ kind: 'closed', side: 'client' }),
    });
    owner.moved(undefined, server);
    this.#perform(first);
  }
  get server(): ServerKey {
    return this.#server;
  }
  get established(): boolean {
    return this.#session.is === 'open';
  }
  get bytes(): { readonly in: number; readonly out: number } {
    return { in: this.#client.received, out: this.#client.sent };
  }
  look(): void {
    this.#feed({ kind: 'look', bytes: this.#client.received + this.#client.sent });
  }
  cut(): void {
    this.#feed({ kind: 'cut' });
  }

  #feed(e: SessionEvent): void {
    if (this.#session.is === 'over') return;
    this.#perform(stepSession(this.#owner.settings.idleTimeout, this.#session, e, this.#owner.host.clock.now()));
  }
  #perform(step: SessionStep): void {
    this.#session = step.session;
    for (const e of step.effects) {
      if (e.do === 'connect') this.#connect(e.server);
      else if (e.do === 'give-up-connecting') this.#giveUp();
      else if (e.do === 'relay') this.#relay();
      else if (e.side === 'client') this.#client.destroy(e.how);
      else this.#stream?.destroy(e.how);
    }
    if (step.session.is === 'over') this.#owner.over(this, step.session.because);
  }
  #connect(server: ServerKey): void {
    if (server !== this.#server) this.#owner.moved(this.#server, server);
    this.#server = server;
    const { host, settings } = this.#owner;
    const to = this.#owner.whereIs(server);
    if (to === undefined) {
      this.#refused(server);
      return;
    }
    this.#giveUp = host.relays.connect({ to, source: settings.source, timeout: settings.connectTimeout }, (r) => {
      if (!r.ok) {
        this.#refused(server);
        return;
      }
      this.#stream = r.value;
      r.value.on({
        ended: () => this.#feed({ kind: 'ended', side: 'server' }),
        closed: () => this.#feed({ kind: 'closed', side: 'server' }),
      });
      this.#feed({ kind: 'connected' });
    });
  }
  #refused(server: ServerKey): void {
    const tried = this.#session.is === 'connecting' ? this.#session.tried : new Set([server]);
    this.#feed({ kind: 'refused', next: this.#owner.nextAfter(tried) });
  }
  #relay(): void {
    const server = this.#stream as RelayStream;
    const { remote, local } = this.#client;
    const path = {
      source: remote.address,
      destination: local.address,
      sourcePort: remote.port,
      destinationPort: local.port,
    };
    this.#owner.opened(this.#server);
    const { header } = this.#owner.settings;
    if (header === 'v1') server.write(encodeProxyLine({ path }));
    if (header === 'v2') server.write(encodeProxyHeader({ command: 'proxy', transport: 'stream', path, tlvs: [] }));
    this.#client.relayWith(server);
  }
}
