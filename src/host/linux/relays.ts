/** Relays through native/relay.c: of the bytes that are relayed none comes here. */
import { err, formatEndpoint, invariant, ipFromBytes, ok, type Result, type Text, text } from '../../base/index.ts';
import type { HostError, RelayEnd, RelayEvents, RelayStream, Relays } from '../index.ts';
import { hostError } from './addon.ts';
import { loadNative } from './native.ts';
import { AF_INET6, LITTLE, sockaddrIp, sockaddrPort } from './sockaddr.ts';

declare const hub: unique symbol;
type HubHandle = { readonly [hub]: true };
/** native/relay.c. Ends and listeners are numbers. Negative is the negative errno; misuse throws. */
interface RelayAddon {
  hub(): HubHandle | number;
  /** What is told, five doubles each: number, kind, value, bytes received, bytes sent. */
  watch(h: HubHandle, told: (n: number) => void): ArrayBuffer | number;
  keepAlive(h: HubHandle, yes: boolean): void;
  listen(h: HubHandle, name: Uint8Array, backlog: number): number;
  resume(h: HubHandle, listener: number): number;
  connect(h: HubHandle, name: Uint8Array, source: Uint8Array | undefined): number;
  write(h: HubHandle, end: number, bytes: Uint8Array): number;
  relay(h: HubHandle, one: number, other: number): number;
  names(h: HubHandle, end: number, room: Uint8Array): number;
  received(h: HubHandle, end: number): number;
  sent(h: HubHandle, end: number): number;
  end(h: HubHandle, end: number, reset: boolean): number;
}
const PARTS = 5;
const KIND = { accepted: 1, connected: 2, failed: 3, ended: 4, closed: 5, crowded: 6 } as const;
/** Room for a sockaddr_in6. */
const NAME = 28;
/** A listener that found no descriptor free looks again after so long. Milliseconds. */
const CROWDED_MS = 100;

const endOf = (name: Uint8Array): RelayEnd => {
  const family = new DataView(name.buffer, name.byteOffset, name.length).getUint16(0, LITTLE);
  return {
    address: ipFromBytes(family === AF_INET6 ? name.slice(8, 24) : name.slice(4, 8)),
    port: sockaddrPort(name),
  };
};

type Pending = { readonly done: (r: Result<RelayStream, HostError>) => void; readonly doing: Text };

/** All of one thread. */
class Hub {
  readonly addon: RelayAddon;
  readonly handle: HubHandle;
  readonly #told: Float64Array;
  readonly #listeners = new Map<number, (s: RelayStream) => void>();
  readonly #pending = new Map<number, Pending>();
  readonly #ends = new Map<number, End>();
  #alive = false;

  private constructor(addon: RelayAddon, handle: HubHandle) {
    this.addon = addon;
    this.handle = handle;
    const memory = addon.watch(handle, (n) => this.#hear(n));
    invariant(typeof memory !== 'number', 'the event loop watches an epoll');
    this.#told = new Float64Array(memory);
    addon.keepAlive(handle, false);
  }
  static open(): Result<Hub, HostError> {
    const addon = loadNative<RelayAddon>('relay');
    if (!addon.ok) return addon;
    const handle = addon.value.hub();
    if (typeof handle === 'number') return err(hostError(handle, text('watch connections', '监视连接')));
    return ok(new Hub(addon.value, handle));
  }
  /** What is called may close any of those that are told of later: they are not known then. */
  #hear(n: number): void {
    // Copied first: whatever is called may cause the memory to be filled anew.
    const told = this.#told.slice(0, n * PARTS);
    for (let i = 0; i < told.length; i += PARTS) {
      const [number, value] = [told[i] as number, told[i + 2] as number];
      switch (told[i + 1]) {
        case KIND.accepted: {
          const accepted = this.#listeners.get(number);
          if (accepted === undefined) this.addon.end(this.handle, value, true);
          else accepted(this.#stream(value));
          break;
        }
        case KIND.connected: {
          const p = this.#take(number);
          p?.done(ok(this.#stream(number)));
          break;
        }
        case KIND.failed: {
          const p = this.#take(number);
          p?.done(err(hostError(value, p.doing)));
          break;
        }
        case KIND.ended:
          this.#ends.get(number)?.ended();
          break;
        case KIND.closed: {
          const end = this.#ends.get(number);
          this.forget(number);
          end?.closed(told[i + 3] as number, told[i + 4] as number);
          break;
        }
        case KIND.crowded:
          setTimeout(() => this.addon.resume(this.handle, number), CROWDED_MS).unref();
          break;
      }
    }
    this.#live();
  }
  #stream(number: number): RelayStream {
    const end = new End(this, number);
    this.#ends.set(number, end);
    return end;
  }
  #take(number: number): Pending | undefined {
    const p = this.#pending.get(number);
    this.#pending.delete(number);
    return p;
  }
  #live(): void {
    const alive = this.#listeners.size + this.#pending.size + this.#ends.size > 0;
    if (alive === this.#alive) return;
    this.#alive = alive;
    this.addon.keepAlive(this.handle, alive);
  }
  forget(number: number): void {
    this.#ends.delete(number);
    this.#live();
  }
  listen(name: Uint8Array, backlog: number, accepted: (s: RelayStream) => void): number {
    const number = this.addon.listen(this.handle, name, backlog);
    if (number < 0) return number;
    this.#listeners.set(number, accepted);
    this.#live();
    return number;
  }
  dismiss(number: number): void {
    if (!this.#listeners.delete(number)) return;
    this.addon.end(this.handle, number, false);
    this.#live();
  }
  connect(to: Uint8Array, source: Uint8Array | undefined, p: Pending): number {
    const number = this.addon.connect(this.handle, to, source);
    if (number < 0) return number;
    this.#pending.set(number, p);
    this.#live();
    return number;
  }
  abandon(number: number): void {
    if (!this.#pending.delete(number)) return;
    this.addon.end(this.handle, number, true);
    this.#live();
  }
}

class End implements RelayStream {
  readonly #hub: Hub;
  readonly #number: number;
  #names: { readonly local: RelayEnd; readonly remote: RelayEnd } | undefined;
  #events: RelayEvents | undefined;
  /** Once it is gone. */
  #moved: { readonly received: number; readonly sent: number } | undefined;

  constructor(hub: Hub, number: number) {
    this.#hub = hub;
    this.#number = number;
  }
  #named(): { readonly local: RelayEnd; readonly remote: RelayEnd } {
    if (this.#names !== undefined) return this.#names;
    const room = new Uint8Array(2 * NAME);
    // Of one that was cut already all is zero: nobody will be relayed.
    this.#hub.addon.names(this.#hub.handle, this.#number, room);
    this.#names = { local: endOf(room.subarray(0, NAME)), remote: endOf(room.subarray(NAME)) };
    return this.#names;
  }
  get local(): RelayEnd {
    return this.#named().local;
  }
  get remote(): RelayEnd {
    return this.#named().remote;
  }
  get received(): number {
    return this.#moved?.received ?? Math.max(0, this.#hub.addon.received(this.#hub.handle, this.#number));
  }
  get sent(): number {
    return this.#moved?.sent ?? Math.max(0, this.#hub.addon.sent(this.#hub.handle, this.#number));
  }
  on(events: RelayEvents): void {
    this.#events = events;
  }
  ended(): void {
    this.#events?.ended();
  }
  closed(received: number, sent: number): void {
    this.#moved = { received, sent };
    this.#events?.closed();
  }
  write(bytes: Uint8Array): void {
    this.#hub.addon.write(this.#hub.handle, this.#number, bytes);
  }
  relayWith(other: RelayStream): void {
    this.#hub.addon.relay(this.#hub.handle, this.#number, (other as End).#number);
  }
  destroy(how: 'reset' | 'close'): void {
    this.#events = undefined;
    if (this.#moved !== undefined) return;
    this.#moved = { received: this.received, sent: this.sent };
    this.#hub.addon.end(this.#hub.handle, this.#number, how === 'reset');
    this.#hub.forget(this.#number);
  }
}

let opened: Hub | undefined;
function open(): Result<Hub, HostError> {
  if (opened !== undefined) return ok(opened);
  const h = Hub.open();
  if (h.ok) opened = h.value;
  return h;
}

export const linuxRelays: Relays = {
  listen: (o, accepted) => {
    const at = formatEndpoint(o.address, o.port);
    const doing = text(`listen on ${at}`, `监听 ${at}`);
    const h = open();
    if (!h.ok) return h;
    const number = h.value.listen(sockaddrIp(o.address, o.port, 0), o.backlog, accepted);
    return number < 0 ? err(hostError(number, doing)) : ok({ close: () => h.value.dismiss(number) });
  },
  connect: (o, done) => {
    const to = formatEndpoint(o.to.address, o.to.port);
    const doing = text(`connect to ${to}`, `连接 ${to}`);
    const h = open();
    const over = (): void => clearTimeout(timer);
    const finished = (r: Result<RelayStream, HostError>): void => {
      over();
      done(r);
    };
    const source = o.source === undefined ? undefined : sockaddrIp(o.source, 0, 0);
    const number = h.ok
      ? h.value.connect(sockaddrIp(o.to.address, o.to.port, 0), source, { done: finished, doing })
      : undefined;
    const failed = !h.ok ? h.error : (number as number) < 0 ? hostError(number as number, doing) : undefined;
    // What failed at once is told later too.
    const timer = setTimeout(
      () => {
        if (failed === undefined && h.ok) h.value.abandon(number as number);
        done(err(failed ?? { code: 'ETIMEDOUT', doing }));
      },
      failed === undefined ? o.timeout / 1000 : 0,
    );
    return () => {
      over();
      if (failed === undefined && h.ok) h.value.abandon(number as number);
    };
  },
};
