/**
 * The sockets that adverts travel by. One for each interface, family, protocol and way of addressing, shared by all
 * virtual routers: what arrives is handed on by its VRID. A thousand routers on one interface cost one socket.
 */
import { err, type Family, type IpAddress, isMulticast, ok, type Result } from '../base/index.ts';
import type { Datagram, HostError, IpSocket, Sockets } from '../host/index.ts';
import { IP_PROTOCOL } from '../wire/index.ts';

export type ChannelSpec = {
  readonly family: Family;
  readonly protocol: typeof IP_PROTOCOL.vrrp | typeof IP_PROTOCOL.ah;
  /** Undefined: unicast without an interface. */
  readonly ifindex: number | undefined;
  /** Undefined: unicast. */
  readonly group: IpAddress | undefined;
  /** IPv6 only, where the kernel writes the header. */
  readonly source?: IpAddress;
  readonly ttl?: number;
  readonly receiveBuffer?: number;
};
export type Listener = (d: Datagram) => void;
export interface Attachment {
  send(bytes: Uint8Array, to: IpAddress): Result<void, HostError>;
  close(): void;
}
type Channel = {
  readonly spec: ChannelSpec;
  readonly socket: IpSocket;
  readonly listeners: Map<number, Set<Listener>>;
  users: number;
};

/** RFC 9568 section 5.2.8: where the checksum is in the packet, for the kernel to fill in. */
const CHECKSUM_AT = 6;
const keyOf = (s: ChannelSpec): string =>
  [s.family, s.protocol, s.ifindex ?? '*', s.group ?? 'unicast', s.source ?? '', s.ttl ?? ''].join(' ');

/** The VRID of a packet of either protocol, or -1 where it is too short to have one. */
function vridOf(protocol: number, b: Uint8Array): number {
  const at = protocol === IP_PROTOCOL.ah ? ((b[1] ?? 0) + 2) * 4 + 1 : 1;
  return b[at] ?? -1;
}

export class SocketHub {
  readonly #sockets: Sockets;
  readonly #channels = new Map<string, Channel>();
  readonly #unknown: (vrid: number, d: Datagram) => void;
  readonly #before: () => void;

  /** `before` runs ahead of every datagram; `unknown` is told of VRIDs that nobody listens to. */
  constructor(sockets: Sockets, before: () => void, unknown: (vrid: number, d: Datagram) => void) {
    this.#sockets = sockets;
    this.#before = before;
    this.#unknown = unknown;
  }

  /** A part in a channel, opened if need be. Without `listener` it only sends. */
  attach(spec: ChannelSpec, vrid: number, listener: Listener | undefined): Result<Attachment, HostError> {
    const key = keyOf(spec);
    let channel = this.#channels.get(key);
    if (!channel) {
      const opened = this.#open(spec);
      if (!opened.ok) return opened;
      channel = opened.value;
      this.#channels.set(key, channel);
    }
    const c = channel;
    c.users++;
    if (listener) c.listeners.set(vrid, (c.listeners.get(vrid) ?? new Set()).add(listener));
    return ok({
      send: (bytes, to) => c.socket.send(bytes, { address: to }),
      close: () => {
        if (listener) c.listeners.get(vrid)?.delete(listener);
        if (--c.users > 0) return;
        c.socket.close();
        this.#channels.delete(key);
      },
    });
  }

  /** Delivers whatever is queued in the kernel: before a silence is judged. */
  drain(): void {
    for (const c of [...this.#channels.values()]) c.socket.drain();
  }

  #open(spec: ChannelSpec): Result<Channel, HostError> {
    const listeners = new Map<number, Set<Listener>>();
    const opened = this.#sockets.raw(
      {
        family: spec.family,
        protocol: spec.protocol,
        ifindex: spec.ifindex,
        groups: spec.group === undefined ? [] : [spec.group],
        ...(spec.family === 4 ? { ownHeader: true } : { checksumOffset: CHECKSUM_AT }),
        ...(spec.source === undefined ? {} : { source: spec.source }),
        ...(spec.ttl === undefined ? {} : { ttl: spec.ttl }),
        ...(spec.receiveBuffer === undefined ? {} : { receiveBuffer: spec.receiveBuffer }),
      },
      (d) => {
        this.#before();
        const vrid = vridOf(spec.protocol, d.bytes);
        const heard = listeners.get(vrid);
        if (heard && heard.size > 0) for (const listener of heard) listener(d);
        else if (vrid > 0 && isMulticast(d.destination) === (spec.group !== undefined)) this.#unknown(vrid, d);
      },
    );
    return opened.ok ? ok({ spec, socket: opened.value, listeners, users: 0 }) : err(opened.error);
  }
}
