/**
 * The header by which a relay tells a server whom it speaks for: HAProxy's "The PROXY protocol", versions 1 (a line of
 * text) and 2 (binary). It stands once, before the first byte of the connection.
 */

import type { Result } from '../base/index.ts';
import {
  ByteReader,
  ByteWriter,
  err,
  familyOf,
  type IpAddress,
  ipBytes,
  ipFromBytes,
  ok,
  parseIp,
} from '../base/index.ts';
import { type Short, short } from './short.ts';

export type ProxiedPath = {
  readonly source: IpAddress;
  /** Of the same family. */
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
};

// ------------------------------------------------------------------------------------------ version 1

/** Undefined: `PROXY UNKNOWN`, and the server uses the connection's own addresses. */
export type ProxyLine = { readonly path: ProxiedPath | undefined };
export type ProxyLineError =
  /** No line end within the 107 bytes that a line may have. */
  | { readonly kind: 'line' }
  /** Bytes behind the line's end. */
  | { readonly kind: 'trailing'; readonly have: number }
  | { readonly kind: 'word' | 'address' | 'port'; readonly have: string };

const LONGEST_LINE = 107;

export function decodeProxyLine(b: Uint8Array): Result<ProxyLine, ProxyLineError> {
  const end = b.subarray(0, LONGEST_LINE).findIndex((byte, i) => byte === 0x0a && i > 0 && b[i - 1] === 0x0d);
  if (end < 0) return err({ kind: 'line' });
  if (b.length > end + 1) return err({ kind: 'trailing', have: b.length - end - 1 });
  const line = String.fromCharCode(...b.subarray(0, end - 1));
  const words = line.split(' ');
  const [proxy, protocol, source, destination, from, to] = words;
  if (proxy !== 'PROXY') return err({ kind: 'word', have: proxy ?? '' });
  if (protocol === 'UNKNOWN') return ok({ path: undefined }); // whatever follows is to be ignored
  const family = protocol === 'TCP4' ? 4 : protocol === 'TCP6' ? 6 : undefined;
  if (family === undefined || words.length !== 6) return err({ kind: 'word', have: protocol ?? '' });
  const addresses = [source, destination].map((a) => parseIp(a as string));
  const ports = [from, to].map((p) => (/^(0|[1-9][0-9]{0,4})$/.test(p as string) ? Number(p) : 0x10000));
  const [s, d] = addresses;
  if (!s?.ok || familyOf(s.value) !== family) return err({ kind: 'address', have: source ?? '' });
  if (!d?.ok || familyOf(d.value) !== family) return err({ kind: 'address', have: destination ?? '' });
  const [sourcePort = 0, destinationPort = 0] = ports;
  if (sourcePort > 0xffff) return err({ kind: 'port', have: from ?? '' });
  if (destinationPort > 0xffff) return err({ kind: 'port', have: to ?? '' });
  return ok({ path: { source: s.value, destination: d.value, sourcePort, destinationPort } });
}

export function encodeProxyLine({ path: p }: ProxyLine): Uint8Array {
  const words =
    p === undefined
      ? 'UNKNOWN'
      : `TCP${familyOf(p.source)} ${p.source} ${p.destination} ${p.sourcePort} ${p.destinationPort}`;
  return new TextEncoder().encode(`PROXY ${words}\r\n`);
}

// ------------------------------------------------------------------------------------------ version 2

export type ProxyTlv = { readonly type: number; readonly value: Uint8Array };
export type ProxyHeader =
  /** The relay speaks for itself (a health check), or for addresses of no kind: what else it says is ignored. */
  | { readonly command: 'local' | 'unspecified' }
  | {
      readonly command: 'proxy';
      readonly transport: 'stream' | 'datagram';
      readonly path: ProxiedPath;
      readonly tlvs: readonly ProxyTlv[];
    }
  | {
      readonly command: 'proxy';
      readonly transport: 'stream' | 'datagram';
      /** Paths of unix sockets, 108 bytes each, as the kernel has them. */
      readonly unix: { readonly source: Uint8Array; readonly destination: Uint8Array };
      readonly tlvs: readonly ProxyTlv[];
    };
export type ProxyHeaderError =
  | Short
  | { readonly kind: 'signature' }
  | { readonly kind: 'version' | 'command' | 'family' | 'length' | 'trailing'; readonly have: number };

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const HEADER = 16;
const VERSION = 2;
const [LOCAL, PROXY] = [0, 1];
const UNSPECIFIED = 0;
const FAMILY = { inet: 1, inet6: 2, unix: 3 } as const;
const TRANSPORT = { stream: 1, datagram: 2 } as const;
const UNIX_PATH = 108;

export function decodeProxyHeader(b: Uint8Array): Result<ProxyHeader, ProxyHeaderError> {
  if (b.length < HEADER) return short(HEADER, b.length);
  if (SIGNATURE.some((byte, i) => b[i] !== byte)) return err({ kind: 'signature' });
  const r = new ByteReader(b.subarray(SIGNATURE.length));
  const [first, second, length] = [r.u8(), r.u8(), r.u16()];
  if (first >> 4 !== VERSION) return err({ kind: 'version', have: first >> 4 });
  if (b.length < HEADER + length) return short(HEADER + length, b.length);
  if (b.length > HEADER + length) return err({ kind: 'trailing', have: b.length - HEADER - length });
  const command = first & 0xf;
  if (command === LOCAL) return ok({ command: 'local' });
  if (command !== PROXY) return err({ kind: 'command', have: command });
  const [family, kind] = [second >> 4, second & 0xf];
  if (family === UNSPECIFIED || kind === UNSPECIFIED) return ok({ command: 'unspecified' });
  if (kind > TRANSPORT.datagram) return err({ kind: 'family', have: second });
  const transport = kind === TRANSPORT.stream ? 'stream' : 'datagram';
  switch (family) {
    case FAMILY.inet:
    case FAMILY.inet6: {
      const size = family === FAMILY.inet ? 4 : 16;
      const [source, destination] = [r.bytes(size), r.bytes(size)];
      const [sourcePort, destinationPort] = [r.u16(), r.u16()];
      const tlvs = decodeTlvs(r);
      if (tlvs === undefined) return err({ kind: 'length', have: length });
      const path = { source: ipFromBytes(source), destination: ipFromBytes(destination), sourcePort, destinationPort };
      return ok({ command: 'proxy', transport, path, tlvs });
    }
    case FAMILY.unix: {
      const unix = { source: r.bytes(UNIX_PATH), destination: r.bytes(UNIX_PATH) };
      const tlvs = decodeTlvs(r);
      return tlvs === undefined
        ? err({ kind: 'length', have: length })
        : ok({ command: 'proxy', transport, unix, tlvs });
    }
    default:
      return err({ kind: 'family', have: second });
  }
}
/** Undefined where anything before or in them was cut. */
function decodeTlvs(r: ByteReader): readonly ProxyTlv[] | undefined {
  const out: ProxyTlv[] = [];
  while (!r.short && r.left > 0) {
    const type = r.u8();
    out.push({ type, value: r.bytes(r.u16()) });
  }
  return r.short ? undefined : out;
}

/** Everything behind the first sixteen bytes is at most 65,535 bytes. */
export function encodeProxyHeader(h: ProxyHeader): Uint8Array {
  const w = new ByteWriter().put(SIGNATURE).u8((VERSION << 4) | (h.command === 'local' ? LOCAL : PROXY));
  if (h.command !== 'proxy') return w.u8(UNSPECIFIED).u16(0).done();
  const transport = TRANSPORT[h.transport];
  if ('unix' in h)
    w.u8((FAMILY.unix << 4) | transport)
      .u16(0)
      .put(h.unix.source)
      .put(h.unix.destination);
  else {
    const { source, destination, sourcePort, destinationPort } = h.path;
    const family = familyOf(source) === 4 ? FAMILY.inet : FAMILY.inet6;
    w.u8((family << 4) | transport)
      .u16(0)
      .put(ipBytes(source))
      .put(ipBytes(destination));
    w.u16(sourcePort).u16(destinationPort);
  }
  for (const { type, value } of h.tlvs) w.u8(type).u16(value.length).put(value);
  if (w.length - HEADER > 0xffff) throw new Error(`bug: a PROXY header of ${w.length} bytes`);
  return w.patchU16(HEADER - 2, w.length - HEADER).done();
}
