import { err, ok, type Result } from './result.ts';
import type { Brand } from './units.ts';

/**
 * An IP address in its canonical text: `192.0.2.1`, or RFC 5952 form for IPv6 (lower case, longest run of zeros
 * shortened). Two addresses are equal exactly when the strings are. A zone (`%eth0`) is never part of it.
 */
export type IpAddress = Brand<string, 'ip'>;
export type Family = 4 | 6;
/** An address with a prefix length, host bits kept: `192.168.1.99/24`. */
export type IpPrefix = { readonly address: IpAddress; readonly length: number };

export const familyOf = (a: IpAddress): Family => (a.includes(':') ? 6 : 4);
export const hostLength = (f: Family): 32 | 128 => (f === 4 ? 32 : 128);

/** 4 or 16 bytes in network order. */
export function ipBytes(a: IpAddress): Uint8Array {
  if (familyOf(a) === 4) return quadBytes(a);
  const out = new Uint8Array(16);
  const [head = '', tail] = a.split('::');
  const put = (groups: string[], from: number): void => {
    groups.forEach((g, i) => {
      const v = Number.parseInt(g, 16);
      out[(from + i) * 2] = v >> 8;
      out[(from + i) * 2 + 1] = v & 255;
    });
  };
  const left = head === '' ? [] : head.split(':');
  put(left, 0);
  if (tail !== undefined && tail !== '') {
    const right = tail.split(':');
    put(right, 8 - right.length);
  }
  return out;
}

/** An IPv4 address as a number of 32 bits, without anything in between: tables of a hundred thousand addresses are written with it. */
export function ip4Number(a: IpAddress): number {
  let [number, value] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const c = a.charCodeAt(i);
    if (c === DOT) {
      number = (number << 8) | value;
      value = 0;
    } else value = value * 10 + c - ZERO;
  }
  return ((number << 8) | value) >>> 0;
}
function quadBytes(a: IpAddress): Uint8Array {
  const n = ip4Number(a);
  return Uint8Array.of(n >>> 24, n >>> 16, n >>> 8, n);
}
const [DOT, ZERO] = [0x2e, 0x30];

/** `bytes` must hold 4 or 16 of them; a view is fine, nothing is kept of it. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` as IpAddress;
  if (bytes.length !== 16) throw new Error(`bug: an IP address of ${bytes.length} bytes`);
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] as number) << 8) | (bytes[i + 1] as number));
  let best = -1;
  let bestLength = 1; // RFC 5952 section 4.2.2: a single zero group is not shortened
  for (let i = 0; i < 8; ) {
    let j = i;
    while (j < 8 && groups[j] === 0) j++;
    if (j - i > bestLength) {
      best = i;
      bestLength = j - i;
    }
    i = j === i ? i + 1 : j;
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(':');
  return (best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`) as IpAddress;
}

/** Accepts what inet_pton accepts: dotted quad without leading zeros, any IPv6 spelling, an embedded IPv4 tail. */
export function parseIp(s: string): Result<IpAddress, 'not-an-address'> {
  const bad = err('not-an-address' as const);
  const quad = (q: string): number[] | undefined => {
    const parts = q.split('.');
    if (parts.length !== 4 || !parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) < 256)) return undefined;
    return parts.map(Number);
  };
  if (!s.includes(':')) return quad(s) ? ok(s as IpAddress) : bad;
  let t = s;
  if (t.includes('.')) {
    const at = t.lastIndexOf(':') + 1;
    const q = quad(t.slice(at)) as [number, number, number, number] | undefined;
    if (!q) return bad;
    t = `${t.slice(0, at)}${((q[0] << 8) | q[1]).toString(16)}:${((q[2] << 8) | q[3]).toString(16)}`;
  }
  const halves = t.split('::');
  if (halves.length > 2) return bad;
  const groups = halves.map((h) => (h === '' ? [] : h.split(':')));
  const count = groups.reduce((n, g) => n + g.length, 0);
  if (!groups.flat().every((g) => /^[0-9a-fA-F]{1,4}$/.test(g))) return bad;
  if (halves.length === 1 ? count !== 8 : count > 7) return bad;
  const expanded =
    halves.length === 1 ? groups.flat() : [...(groups[0] ?? []), ...Array(8 - count).fill('0'), ...(groups[1] ?? [])];
  const out = new Uint8Array(16);
  expanded.forEach((g, i) => {
    const v = Number.parseInt(g, 16);
    out[i * 2] = v >> 8;
    out[i * 2 + 1] = v & 255;
  });
  return ok(ipFromBytes(out));
}

/** Numeric order, IPv4 before IPv6; VRRP breaks ties of priority with it (RFC 9568 section 6.4.3). */
export function compareIp(a: IpAddress, b: IpAddress): number {
  const [x, y] = [ipBytes(a), ipBytes(b)];
  if (x.length !== y.length) return x.length - y.length;
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return (x[i] as number) - (y[i] as number);
  return 0;
}

export const isMulticast = (a: IpAddress): boolean => {
  const first = ipBytes(a)[0] as number;
  return familyOf(a) === 4 ? first >= 224 && first <= 239 : first === 0xff;
};
/** fe80::/10, or 169.254.0.0/16. */
export const isLinkLocal = (a: IpAddress): boolean => {
  const b = ipBytes(a);
  return familyOf(a) === 4 ? b[0] === 169 && b[1] === 254 : b[0] === 0xfe && ((b[1] as number) & 0xc0) === 0x80;
};
/** `192.0.2.1:80`, `[2001:db8::1]:80`. */
export const formatEndpoint = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
export const formatPrefix = (p: IpPrefix): string => `${p.address}/${p.length}`;
