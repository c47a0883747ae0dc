/** What a resource is told and what it wants done. Offsets and lengths are bytes, results 0 or a negative errno of Linux. */
import type { Microseconds, Text } from '../../base/index.ts';
import type { DrbdDialect, DrbdPacket, DrbdSocket, Sector } from '../../wire/index.ts';
import type { MirrorConfig, MirrorHandler } from '../config.ts';
import type { Placement } from '../metadata/index.ts';
import type { MirrorAnswer, MirrorReason, MirrorRequest } from '../status.ts';
import type { Adjusted } from './adoption.ts';
import type { UndoStep } from './resync/undo.ts';

/** A volume's devices, as the driver found them; with internal metadata both are the same one. */
export type Devices = {
  readonly volume: number;
  readonly placement: Placement;
  readonly data: Sector;
  readonly metadata: Sector;
};
export type DiskOperation =
  | { readonly op: 'read'; readonly offset: number; readonly into: Uint8Array }
  /** `bytes` are the machine's until it is done; `through`: durable before it is done. */
  | { readonly op: 'write'; readonly offset: number; readonly bytes: Uint8Array; readonly through: boolean }
  /** All writes that are done are durable. */
  | { readonly op: 'flush' }
  | { readonly op: 'zero'; readonly offset: number; readonly length: number; readonly keep: boolean }
  | { readonly op: 'discard'; readonly offset: number; readonly length: number };

/** A request of who uses the device. `tag`s are its own. Data of a write must stay until it is answered. */
export type AppRequest =
  | { readonly op: 'read'; readonly tag: number; readonly offset: number; readonly into: Uint8Array }
  | {
      readonly op: 'write';
      readonly tag: number;
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly through: boolean;
    }
  | {
      readonly op: 'zero';
      readonly tag: number;
      readonly offset: number;
      readonly length: number;
      /** Space may be given back. */
      readonly unmap: boolean;
    }
  | { readonly op: 'flush'; readonly tag: number };

export type ResourceEvent =
  | { readonly kind: 'request'; readonly id: number; readonly request: MirrorRequest }
  | { readonly kind: 'app'; readonly volume: number; readonly request: AppRequest }
  /** Its file says something else than before: answered as a request is. */
  | { readonly kind: 'adjust'; readonly id: number; readonly adjusted: Adjusted }
  /** A disk operation is done. */
  | { readonly kind: 'disk'; readonly tag: number; readonly result: number }
  | { readonly kind: 'socket'; readonly socket: DrbdSocket; readonly opened: 'here' | 'there' }
  | { readonly kind: 'packet'; readonly socket: DrbdSocket; readonly packet: DrbdPacket }
  /** A socket of the connection is gone, or what came over it made no sense. */
  | { readonly kind: 'closed'; readonly because: Text }
  /** A program that was run has ended; `status` undefined: not by itself, or it could not be started. */
  | { readonly kind: 'handled'; readonly handler: number; readonly status: number | undefined }
  /** A step of an undo file is done; `failed`: it could not be; `file`: its name, after `open` and `keep`. */
  | {
      readonly kind: 'undone';
      readonly id: number;
      readonly failed: Text | undefined;
      readonly file: string | undefined;
    }
  /** Whether what a volume comes after (`resync-after`) is under way. */
  | { readonly kind: 'dependency'; readonly volume: number; readonly busy: boolean }
  /** The devices as they are now, after `measure`. */
  | { readonly kind: 'measured'; readonly volume: number; readonly data: Sector; readonly metadata: Sector }
  | { readonly kind: 'tick' };

export type ResourceEffect =
  | {
      readonly kind: 'disk';
      readonly tag: number;
      readonly volume: number;
      readonly on: 'data' | 'metadata';
      readonly operation: DiskOperation;
    }
  /** What is under way on a volume's devices has failed: what comes back of it writes to no memory of ours any more. */
  | { readonly kind: 'abandon'; readonly volume: number }
  /** Look for the peer: listen, and connect now and then, until both sockets are there or `close`. */
  | { readonly kind: 'seek' }
  | { readonly kind: 'open'; readonly socket: DrbdSocket }
  | { readonly kind: 'agree'; readonly dialect: DrbdDialect }
  /** The payload may be used again when this was done, or, with `sent`, when that is called: once, whatever becomes of it. */
  | {
      readonly kind: 'send';
      readonly socket: DrbdSocket;
      readonly packet: DrbdPacket;
      readonly sent: (() => void) | undefined;
    }
  /**
   * Both sockets, and stop looking. `verdict`: the handshake has ended in a refusal, at which the peer arrives by itself if
   * it is left the time to read what was sent; one that only sees its sockets end would try again and again.
   */
  | { readonly kind: 'close'; readonly verdict: boolean }
  | { readonly kind: 'done'; readonly volume: number; readonly tag: number; readonly result: number }
  /** The settings from now on. */
  | { readonly kind: 'adopted'; readonly config: MirrorConfig }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: MirrorAnswer }
  | {
      readonly kind: 'run';
      readonly handler: number;
      readonly name: MirrorHandler;
      readonly volume: number | undefined;
    }
  /** It took too long: end it, and all that it started. */
  | { readonly kind: 'end-run'; readonly handler: number }
  | { readonly kind: 'reason'; readonly reason: MirrorReason }
  /** Look at the size of a volume's devices again. */
  | { readonly kind: 'measure'; readonly volume: number }
  | { readonly kind: 'resized'; readonly volume: number }
  | { readonly kind: 'undo'; readonly id: number; readonly volume: number | undefined; readonly step: UndoStep };

/** What every part of a resource uses. */
export interface Context {
  readonly now: Microseconds;
  /** Milliseconds since the Unix epoch: for what people read. */
  wall(): number;
  /** 64 random bits. */
  random64(): bigint;
  emit(e: ResourceEffect): void;
  /** `then` is told once, later. */
  disk(volume: number, on: 'data' | 'metadata', operation: DiskOperation, then: (result: number) => void): void;
  send(socket: DrbdSocket, packet: DrbdPacket, sent?: () => void): void;
  reason(code: string, volume: number | undefined, text: Text): void;
}
export const EIO = -5;
export const EROFS = -30;
