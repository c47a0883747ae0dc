/** native/streams.c, typed. Negative numbers are negative errno values; misuse throws with a code, as in `../addon.ts`. */
declare const stream: unique symbol;
declare const listener: unique symbol;
export type StreamHandle = { readonly [stream]: true };
export type ListenerHandle = { readonly [listener]: true };

export const READABLE = 1;
export const WRITABLE = 2;
/** The peer hung up. */
export const HANGUP = 4;

export interface StreamsAddon {
  listen(name: Uint8Array, from: number, to: number, backlog: number): ListenerHandle | number;
  accept(l: ListenerHandle): StreamHandle | number;
  connect(name: Uint8Array, from: number, to: number): StreamHandle | number;
  /** As `connect`, from the address `source` and with socket buffers of so many bytes; 0: the system's. */
  dial(
    name: Uint8Array,
    from: number,
    to: number,
    source: Uint8Array,
    from2: number,
    to2: number,
    send: number,
    receive: number,
  ): StreamHandle | number;
  /** Of the sockets that it will accept; 0: the system's. */
  buffers(l: ListenerHandle, send: number, receive: number): number;
  /** The descriptor is the caller's. */
  duplicate(s: StreamHandle): number;
  name(l: ListenerHandle, room: Uint8Array, from: number, to: number): number;
  peer(s: StreamHandle, room: Uint8Array, from: number, to: number): number;
  receive(s: StreamHandle, into: Uint8Array, from: number, to: number): number;
  send(
    s: StreamHandle,
    first: Uint8Array,
    from: number,
    to: number,
    second: Uint8Array,
    from2: number,
    to2: number,
  ): number;
  watch(s: StreamHandle, events: number, ready: (events: number) => void): number;
  attend(l: ListenerHandle, events: number, ready: (events: number) => void): number;
  interest(s: StreamHandle, events: number): number;
  /** The handle is closed; the descriptor is the caller's. */
  detach(s: StreamHandle): number;
  close(s: StreamHandle): void;
  dismiss(l: ListenerHandle): void;
}
