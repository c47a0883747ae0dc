/**
 * Connections that this host opens to ask a question: TCP, TLS on it, HTTP/2 on either, connected UDP, and ICMP echo.
 * Many short ones at once: a director looks at thousands of servers each second.
 */
import type { IpAddress } from '../base/index.ts';
import type { Cancel, HostError } from './ports.ts';

export type StreamTarget = {
  readonly transport: 'tcp' | 'udp' | 'icmp';
  readonly address: IpAddress;
  /** ICMP: 0. */
  readonly port: number;
  readonly source?: IpAddress;
  readonly sourcePort?: number;
  /** SO_BINDTODEVICE: packets leave by it and no other. */
  readonly interface?: string;
  /** SO_MARK. */
  readonly mark?: number;
  /**
   * TCP: nothing but whether it can be connected to. The acknowledgement that ends the handshake is held back and the
   * connection is reset, so that the program behind the port never sees it and no TIME_WAIT is left on either side.
   */
  readonly probe?: boolean;
};

/** PEM texts. Nothing is verified without `ca`: a check asks whether a server serves, not who it is. */
export type TlsSettings = {
  readonly serverName?: string;
  /** ALPN, most wanted first. */
  readonly protocols?: readonly string[];
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly passphrase?: string;
};

/** After `failed` nothing more is called, nor after `close()`. All are called later than the call that opened it. */
export type StreamEvents = {
  /** Connected, and TLS is agreed upon. */
  opened(): void;
  /** TCP: what came. UDP and ICMP: one datagram. Valid only during the call. */
  received(bytes: Uint8Array): void;
  /** The peer sends no more. */
  ended(): void;
  /** `ECONNREFUSED`, `EHOSTUNREACH`, ...; for TLS the library's code (`ERR_SSL_...`, `CERT_...`). */
  failed(error: HostError): void;
};
export interface Stream {
  /** Queued where the kernel does not take it at once. UDP, ICMP: one datagram. */
  send(bytes: Uint8Array): void;
  close(): void;
}

export type Http2Request = {
  /** Pseudo-headers (`:method`, `:path`, `:scheme`, `:authority`) included. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
};
export type Http2Events = {
  answered(status: number, headers: Readonly<Record<string, string>>): void;
  received(bytes: Uint8Array): void;
  /** The answer is complete; trailers where there are any. */
  ended(trailers: Readonly<Record<string, string>>): void;
  failed(error: HostError): void;
};

export interface Streams {
  connect(to: StreamTarget, tls: TlsSettings | undefined, on: StreamEvents): Stream;
  /** Works through what has come right now: to be called before a silence is judged. Not TLS and HTTP/2. */
  drain(): void;
  /** One request on a connection of its own: by ALPN with TLS, else with prior knowledge (RFC 9113 section 3.3). */
  http2(to: StreamTarget, tls: TlsSettings | undefined, request: Http2Request, on: Http2Events): Cancel;
}
