/** ServerStream sockets of a server, read into memory that stands ready: no object for each chunk. */
import type { IpAddress, Result } from '../base/index.ts';
import type { HostError } from './ports.ts';

export type StreamAddress =
  /** Made with mode 0600; a socket that nobody listens on any more is replaced. */
  | { readonly kind: 'unix'; readonly path: string }
  /** Port 0 lets the kernel choose. */
  | { readonly kind: 'tcp'; readonly address: IpAddress; readonly port: number };

/** Files in PEM form, read anew for each connection, so that a renewed certificate needs no restart. */
export type TlsFiles = {
  readonly certificate: string;
  readonly key: string;
  /** Of those who sign clients' certificates; with it, a client without a valid one is refused. */
  readonly clientAuthority: string | undefined;
};

export interface ServerStream {
  /** For people: `192.0.2.1:50311`, `unix`. */
  readonly peer: string;
  /** Bytes received; 0 at the end of the stream; a negative errno, -EAGAIN when nothing is there now. */
  receive(into: Uint8Array, from: number, to: number): number;
  /** Bytes taken of `first` and then `second`; a negative errno, -EAGAIN when there is no room now. What was taken may be overwritten. */
  send(first: Uint8Array, from: number, to: number, second: Uint8Array, from2: number, to2: number): number;
  /** Called whenever what `interest` asked for is so; it begins with readable. Whoever is given later takes the place. */
  watch(ready: () => void): void;
  interest(readable: boolean, writable: boolean): void;
  /** Goes on as a TLS server. Neither receive nor send until `done`. `identity`: the common name of a verified client certificate. */
  startTls(files: TlsFiles, done: (r: Result<{ readonly identity: string | undefined }, HostError>) => void): void;
  /** Twice is harmless. */
  close(): void;
}
/** The client's end of a connection. */
export interface ClientStream extends ServerStream {
  /** From now on only the end of the connection is told, to what `watch` was given: another reads and writes. */
  watchEnd(): void;
  /** A descriptor of the connection for the kernel, which keeps a reference of its own; closed when `use` returns. */
  lend<T>(use: (descriptor: number) => T): T;
}
export interface StreamListener {
  /** The port, where it is TCP. */
  readonly port: number;
  close(): void;
}
/** Sizes of the kernel's buffers of a connection, in bytes; undefined: the system's choice. */
export type StreamBuffers = { readonly send?: number | undefined; readonly receive?: number | undefined };
/** Where a TCP connection comes from. */
export type StreamOrigin = StreamBuffers & { readonly source: IpAddress };
export interface StreamServer {
  listen(
    address: StreamAddress,
    accepted: (s: ServerStream) => void,
    buffers?: StreamBuffers,
  ): Result<StreamListener, HostError>;
  /**
   * With TCP it may still be under way when it returns: until then nothing can be received, and `send` says -EAGAIN. Writable
   * tells its end: `receive` says then how it failed, or -EAGAIN.
   */
  connect(address: StreamAddress, from?: StreamOrigin): Result<ClientStream, HostError>;
}
