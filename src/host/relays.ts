/** TCP connections whose bytes go from one to the other without being looked at: what a proxy needs of the world. */
import type { IpAddress, Microseconds, Result } from '../base/index.ts';
import type { HostError } from './ports.ts';

export type RelayEnd = { readonly address: IpAddress; readonly port: number };
export type RelayEvents = {
  /** The other side will send no more; all that it sent has been handed on. */
  readonly ended: () => void;
  /** Nothing comes or goes any more. Called once; never by the call that destroys. */
  readonly closed: () => void;
};
export interface RelayStream {
  readonly local: RelayEnd;
  readonly remote: RelayEnd;
  /** Bytes of payload. */
  readonly received: number;
  readonly sent: number;
  on(events: RelayEvents): void;
  /** For what stands before the relayed bytes. */
  write(bytes: Uint8Array): void;
  /**
   * From now on everything received goes to `other`, and the other way round: what one does not take at once (64 KiB) is
   * left with the sender, and the end of sending is passed on behind the last byte. Until this is called nothing is read. Once.
   */
  relayWith(other: RelayStream): void;
  /** `reset`: the other side sees that it was cut; else what was written is still sent. */
  destroy(how: 'reset' | 'close'): void;
}
export interface RelayListener {
  /** No further connections; those that were accepted go on. */
  close(): void;
}
export interface Relays {
  /** The address need not be on this host yet (IP_FREEBIND). */
  listen(
    o: { readonly address: IpAddress; readonly port: number; readonly backlog: number },
    accepted: (s: RelayStream) => void,
  ): Result<RelayListener, HostError>;
  /** `done` is called once, unless cancelled before. */
  connect(
    o: { readonly to: RelayEnd; readonly source: IpAddress | undefined; readonly timeout: Microseconds },
    done: (r: Result<RelayStream, HostError>) => void,
  ): () => void;
}
