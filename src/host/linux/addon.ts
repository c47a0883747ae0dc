import { getSystemErrorName } from 'node:util';
import { ok, type Result, type Text } from '../../base/index.ts';
import type { HostError } from '../index.ts';
import { loadNative } from './native.ts';

declare const handle: unique symbol;
/** A socket, timer or epoll of the addon. Watched, the event loop keeps it alive; unwatched and unreachable, it is closed by garbage collection. */
export type Handle = { readonly [handle]: 'socket' | 'timer' | 'epoll' };
export type SocketHandle = Handle & { readonly [handle]: 'socket' };
export type EpollHandle = Handle & { readonly [handle]: 'epoll' };
export type TimerHandle = Handle & { readonly [handle]: 'timer' };

/**
 * What every process of the suite asks of the kernel: native/sockets.c, and native/thread.c. Where a function returns a number and the kernel may refuse, negative is the negative errno
 * (`hostError` names it). Misuse throws an error with a code: ERR_MISSING_ARGS, ERR_INVALID_ARG_TYPE,
 * ERR_OUT_OF_RANGE, ERR_HANDLE_CLOSED, ERR_NO_BATCH, ERR_OPTION_HOLDS_POINTER.
 * Addresses (`name`) are the kernel's sockaddr structures, byte for byte.
 */
interface SocketsAddon {
  /** Close-on-exec and non-blocking. */
  open(family: number, type: number, protocol: number): SocketHandle | number;
  /** Closing twice is harmless, also inside the handle's own callback. */
  close(h: Handle): void;
  bind(s: SocketHandle, name: Uint8Array): number;
  connect(s: SocketHandle, name: Uint8Array): number;
  /** Fills `room` with the socket's own sockaddr and returns its length. */
  localName(s: SocketHandle, room: Uint8Array): number;
  setOption(s: SocketHandle, level: number, option: number, value: Uint8Array): number;
  /** Fills `room` and returns the value's length. */
  getOption(s: SocketHandle, level: number, option: number, room: Uint8Array): number;
  /** Requests on a struct ifreq, which is passed and overwritten. */
  ioctl(s: SocketHandle, request: number, bytes: Uint8Array): number;
  /** sendmsg. Never blocks: -EAGAIN when the kernel's buffer is full. */
  send(
    s: SocketHandle,
    bytes: Uint8Array,
    name: Uint8Array | undefined,
    control: Uint8Array | undefined,
    flags: number,
  ): number;
  /** The memory that everything is received into; class Batch knows its layout. At most 64 MiB in all. */
  batch(s: SocketHandle, slots: number, slotBytes: number, controlBytes: number): ArrayBuffer;
  /** Receives now, without waiting, one batch: the number of packets, 0 when none is queued. */
  receive(s: SocketHandle): number;
  /** Stream sockets: bytes received now into `room`; 0 is the end, -EAGAIN that nothing is there. */
  receiveInto(s: SocketHandle, room: Uint8Array): number;
  /** A descriptor of the connection for somebody else to own (net.Socket); the handle is closed by it. */
  detach(s: SocketHandle): number;
  /** Watches many sockets with one handle of the event loop and one call for each wake. */
  epoll(): EpollHandle | number;
  /** Two int32 for each ready socket: its number, its EPOLL* events. At most 4096 slots. Before `watch`. */
  epollMemory(e: EpollHandle, slots: number): ArrayBuffer;
  /** Tell once of each change of `events` of `s` (edge-triggered), and now of what is so; 0: no more. A socket that is closed leaves by itself, one that is detached does not. */
  epollSet(e: EpollHandle, s: SocketHandle, number: number, events: number): number;
  /** Sockets that are ready right now, without waiting for the event loop's turn. */
  epollTake(e: EpollHandle): number;
  /**
   * Sockets: one batch and one call for each wake; `n` < 0 is an error that was pending on the socket (-ENOBUFS: packets were lost),
   * and watching goes on. Timers: `n` is 1. Epoll: `n` sockets are ready. What the callback throws goes to `uncaughtException`.
   */
  watch(h: Handle, ready: (n: number) => void): number;
  unwatch(h: Handle): void;
  /** Whether a watched handle keeps the process running; it does unless told otherwise. Only after `watch`. */
  keepAlive(h: Handle, yes: boolean): void;
  /** CLOCK_MONOTONIC in whole microseconds. */
  now(): number;
  /** CLOCK_REALTIME minus CLOCK_MONOTONIC, in microseconds, at this moment. */
  wallOffset(): number;
  timer(): TimerHandle | number;
  /** Fires once when `now()` has reached `deadline`, at once if it has; 0 disarms. */
  arm(t: TimerHandle, deadline: number): number;
}
interface ThreadAddon {
  /** SCHED_* of this thread; children start with ordinary scheduling (SCHED_RESET_ON_FORK). */
  setScheduler(policy: number, priority: number): number;
  /** policy x 256 + priority. */
  getScheduler(): number;
  setNice(nice: number): number;
  /** Bit i of the bytes, lowest first, is processor i. */
  setAffinity(mask: Uint8Array): number;
  getAffinity(room: Uint8Array): number;
  /** Moves this thread into the network namespace at `path` (`/run/netns/NAME`). First thing in a process: the thread pool stays. */
  enterNetwork(path: string): number;
}
export type Addon = SocketsAddon & ThreadAddon;

let loaded: Addon | undefined;

/** Loaded once. */
export function loadAddon(): Result<Addon, HostError> {
  if (loaded) return ok(loaded);
  const sockets = loadNative<SocketsAddon>('sockets');
  if (!sockets.ok) return sockets;
  const thread = loadNative<ThreadAddon>('thread');
  if (!thread.ok) return thread;
  loaded = { ...sockets.value, ...thread.value };
  return ok(loaded);
}

/** The name of a negative errno: -1 is `EPERM`. */
export function errnoName(negative: number): string {
  try {
    return getSystemErrorName(negative);
  } catch {
    return `errno ${-negative}`;
  }
}
/** Turns the addon's negative errno into the port's error. */
export const hostError = (negative: number, doing: Text): HostError => ({ code: errnoName(negative), doing });
