/** Relays through native/relay.c: threads of their own move the bytes, and none of them comes here. */
import { availableParallelism } from 'node:os';
import {
  err,
  formatEndpoint,
  type IpAddress,
  invariant,
  ipFromBytes,
  ok,
  type Result,
  text,
} from '../../base/index.ts';
import type {
  HostError,
  RelayAnswer,
  RelayEnd,
  RelayFront,
  RelayHub,
  RelayQuestion,
  RelayServer,
  Relays,
  RelayTally,
} from '../index.ts';
import { hostError } from './addon.ts';
import { loadNative } from './native.ts';
import { AF_INET6, LITTLE, sockaddrIp } from './sockaddr.ts';

declare const hub: unique symbol;
type HubHandle = { readonly [hub]: true };
/** native/relay.c. Fronts, servers and questions are numbers. Negative is the negative errno; misuse throws. */
interface RelayAddon {
  hub(workers: number, batches: boolean, most: number, connectMs: number, idleMs: number): HubHandle | number;
  /** What is told, thirteen int32 each: kind, question, front, listener, server, errno, and the client's sockaddr. */
  watch(h: HubHandle, told: (n: number) => void): ArrayBuffer | number;
  keepAlive(h: HubHandle, yes: boolean): void;
  front(h: HubHandle): number;
  listen(h: HubHandle, front: number, name: Uint8Array, backlog: number): number;
  server(h: HubHandle, front: number, name: Uint8Array, source: Uint8Array | undefined): number;
  turns(h: HubHandle, front: number, servers: Uint8Array | undefined): number;
  take(h: HubHandle, question: number, server: number | undefined, header: Uint8Array | undefined): number;
  tally(h: HubHandle, server: number, room: Uint8Array): number;
  dropServer(h: HubHandle, server: number): number;
  dropFront(h: HubHandle, front: number): number;
  close(h: HubHandle): void;
}
const PARTS = 13;
const NAME = 6;
const KIND = { asked: 1, refused: 2, settled: 3 } as const;
/** One for each processor, as the kernel's own share of each connection is done on it too; beyond this the network is full. */
const MOST_WORKERS = 8;
const milliseconds = (micro: number): number => Math.max(1, Math.round(micro / 1000));

function endAt(told: DataView, at: number): RelayEnd {
  const v6 = told.getUint16(at, LITTLE) === AF_INET6;
  const bytes = new Uint8Array(told.buffer, told.byteOffset + at + (v6 ? 8 : 4), v6 ? 16 : 4);
  return { address: ipFromBytes(bytes), port: told.getUint16(at + 2) };
}

class Hub implements RelayHub {
  readonly addon: RelayAddon;
  readonly handle: HubHandle;
  readonly #told: DataView;
  readonly #fronts = new Map<number, Front>();
  #open = true;

  constructor(addon: RelayAddon, handle: HubHandle) {
    this.addon = addon;
    this.handle = handle;
    const memory = addon.watch(handle, (n) => this.#hear(n));
    invariant(typeof memory !== 'number', 'the event loop watches an eventfd');
    this.#told = new DataView(memory);
    addon.keepAlive(handle, false);
  }
  /** What is asked may close anything, this too; the memory is filled anew only by the next call. */
  #hear(n: number): void {
    const word = (i: number, part: number): number => this.#told.getInt32((i * PARTS + part) * 4, LITTLE);
    for (let i = 0; i < n && this.#open; i++) {
      const front = this.#fronts.get(word(i, 2));
      const question = word(i, 1) >>> 0;
      if (word(i, 0) === KIND.settled) front?.settled(question);
      else front?.asked(question, word(i, 3), endAt(this.#told, (i * PARTS + NAME) * 4), word(i, 4));
    }
  }
  front(
    o: { readonly port: number; readonly backlog: number },
    who: (q: RelayQuestion) => RelayAnswer | undefined,
  ): Result<RelayFront, HostError> {
    const number = this.addon.front(this.handle);
    if (number < 0) return err(hostError(number, text(`relay port ${o.port}`, `转发端口 ${o.port}`)));
    const front = new Front(this, number, o, who);
    this.#fronts.set(number, front);
    this.addon.keepAlive(this.handle, true);
    return ok(front);
  }
  forget(front: number): void {
    this.#fronts.delete(front);
    if (this.#fronts.size === 0 && this.#open) this.addon.keepAlive(this.handle, false);
  }
  close(): void {
    if (!this.#open) return;
    for (const f of [...this.#fronts.values()]) f.close();
    this.#open = false;
    this.addon.close(this.handle);
  }
}

class Front implements RelayFront {
  readonly #hub: Hub;
  readonly #number: number;
  readonly #o: { readonly port: number; readonly backlog: number };
  readonly #who: (q: RelayQuestion) => RelayAnswer | undefined;
  readonly #servers = new Map<number, Server>();
  /** Of each connection that was refused, until it stands or is gone. */
  readonly #tried = new Map<number, Set<RelayServer>>();
  readonly #locals: IpAddress[] = [];
  #open = true;

  constructor(
    hub: Hub,
    number: number,
    o: { readonly port: number; readonly backlog: number },
    who: (q: RelayQuestion) => RelayAnswer | undefined,
  ) {
    this.#hub = hub;
    this.#number = number;
    this.#o = o;
    this.#who = who;
  }
  listen(address: IpAddress): Result<void, HostError> {
    const { addon, handle } = this.#hub;
    const r = addon.listen(handle, this.#number, sockaddrIp(address, this.#o.port, 0), this.#o.backlog);
    if (r >= 0) this.#locals[r] = address;
    const at = formatEndpoint(address, this.#o.port);
    return r < 0 ? err(hostError(r, text(`listen on ${at}`, `监听 ${at}`))) : ok(undefined);
  }
  server(at: RelayEnd, source: IpAddress | undefined): Result<RelayServer, HostError> {
    const { addon, handle } = this.#hub;
    const from = source === undefined ? undefined : sockaddrIp(source, 0, 0);
    const number = addon.server(handle, this.#number, sockaddrIp(at.address, at.port, 0), from);
    const to = formatEndpoint(at.address, at.port);
    if (number < 0) return err(hostError(number, text(`relay to ${to}`, `转发到 ${to}`)));
    const made = new Server(this.#hub, number, at, () => this.#servers.delete(number));
    this.#servers.set(number, made);
    return ok(made);
  }
  turns(order: readonly RelayServer[] | 'ask'): void {
    const { addon, handle } = this.#hub;
    const numbers = order === 'ask' ? undefined : Uint32Array.from(order, (s) => (s as Server).number);
    const r = addon.turns(handle, this.#number, numbers && new Uint8Array(numbers.buffer));
    invariant(r === 0, 'a turn is of a server of the same front');
  }
  asked(question: number, listener: number, client: RelayEnd, refusedBy: number): void {
    const refused = this.#servers.get(refusedBy);
    if (refused !== undefined) this.#tried.set(question, (this.#tried.get(question) ?? new Set()).add(refused));
    const local = { address: this.#locals[listener] as IpAddress, port: this.#o.port };
    const answer = this.#who({ client, local, tried: this.#tried.get(question) ?? new Set() });
    const { addon, handle } = this.#hub;
    if (this.#open) addon.take(handle, question, (answer?.server as Server | undefined)?.number, answer?.header);
  }
  settled(question: number): void {
    this.#tried.delete(question);
  }
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const s of this.#servers.values()) s.gone();
    this.#hub.addon.dropFront(this.#hub.handle, this.#number);
    this.#hub.forget(this.#number);
  }
}

class Server implements RelayServer {
  readonly #hub: Hub;
  readonly number: number;
  readonly at: RelayEnd;
  readonly #dropped: () => void;
  readonly #room = new Float64Array(5);
  #there = true;

  constructor(hub: Hub, number: number, at: RelayEnd, dropped: () => void) {
    this.#hub = hub;
    this.number = number;
    this.at = at;
    this.#dropped = dropped;
  }
  tally(): RelayTally {
    if (this.#there) this.#hub.addon.tally(this.#hub.handle, this.number, new Uint8Array(this.#room.buffer));
    const [opened = 0, received = 0, sent = 0, active = 0, opening = 0] = this.#room;
    return { opened, in: received, out: sent, active, opening };
  }
  drop(): void {
    if (!this.#there) return;
    this.gone();
    this.#hub.addon.dropServer(this.#hub.handle, this.number);
    this.#dropped();
  }
  /** With its front. */
  gone(): void {
    this.#there = false;
  }
}

/** `workers`: threads. `batches`: many system calls in one, where the kernel has an io_uring for it. */
export function relaysWith(workers: number, batches: boolean): Relays {
  return {
    open: (o) => {
      const addon = loadNative<RelayAddon>('relay');
      if (!addon.ok) return addon;
      const [connect, idle] = [milliseconds(o.connectTimeout), milliseconds(o.idleTimeout)];
      const handle = addon.value.hub(workers, batches, o.most, connect, idle);
      if (typeof handle === 'number') return err(hostError(handle, text('relay connections', '转发连接')));
      return ok(new Hub(addon.value, handle));
    },
  };
}
export const linuxRelays: Relays = relaysWith(Math.min(availableParallelism(), MOST_WORKERS), true);
