/**
 * Lightweight tunnels of a next hop (linux/lwtunnel.h, mpls_iptunnel.h, ila.h). Options by kind, as `ip route` names them:
 *
 * - `mpls`: `labels` (`100/200`, outermost first), `ttl`
 * - `ip`: `id`, `dst`, `src`, `ttl`, `tos`, `flags`; `ip6`: `id`, `dst`, `src`, `hoplimit`, `tc`, `flags`
 * - `ila`: `locator` (four groups of hexadecimal digits: `2001:db8:0:1`), `csum-mode`, `ident-type`, `hook-type`
 *
 * Numbers are read in decimal, or in hexadecimal with `0x`; they come back in decimal.
 */
import { type Family, familyOf, parseIp } from '../../base/index.ts';
import type { Attributes } from './attributes.ts';
import type { RouteEncap } from './types.ts';
import type { NetlinkWriter } from './writer.ts';

type Kind = RouteEncap['kind'];
/** How one option lies in its attribute. `write` is given what `accepts` let through; `read` says undefined where it is absent. */
type Form = {
  readonly accepts: (s: string) => boolean;
  readonly write: (w: NetlinkWriter, type: number, s: string) => void;
  readonly read: (a: Attributes, type: number) => string | undefined;
};

const NUMBER = /^(0x[0-9a-f]{1,16}|\d{1,20})$/i;
const upTo =
  (max: bigint) =>
  (s: string): boolean =>
    NUMBER.test(s) && BigInt(s) <= max;
const u8: Form = {
  accepts: upTo(0xffn),
  write: (w, type, s) => w.attrU8(type, Number(s)),
  read: (a, type) => a.u8(type)?.toString(),
};
const be16: Form = {
  accepts: upTo(0xffffn),
  write: (w, type, s) => w.attrBe16(type, Number(s)),
  read: (a, type) => a.be16(type)?.toString(),
};
const be64: Form = {
  accepts: upTo(0xffff_ffff_ffff_ffffn),
  write: (w, type, s) => w.attrBe64(type, BigInt(s)),
  read: (a, type) => a.be64(type)?.toString(),
};
const ip = (family: Family): Form => ({
  accepts: (s) => {
    const parsed = parseIp(s);
    return parsed.ok && familyOf(parsed.value) === family;
  },
  write: (w, type, s) => {
    const parsed = parseIp(s);
    if (parsed.ok) w.attrIp(type, parsed.value);
  },
  read: (a, type) => a.ip(type, family),
});
/** One of the names, by its place; a number that has no name stays a number. */
const named = (names: readonly string[]): Form => ({
  accepts: (s) => names.includes(s) || u8.accepts(s),
  write: (w, type, s) => w.attrU8(type, names.includes(s) ? names.indexOf(s) : Number(s)),
  read: (a, type) => {
    const n = a.u8(type);
    return n === undefined ? undefined : (names[n] ?? n.toString());
  },
});
/** RFC 3032: label in 20 bits, class in 3, bottom of stack in one, TTL in 8. */
const labels: Form = {
  accepts: (s) => s.split('/').length <= 32 && s.split('/').every(upTo(0xfffffn)),
  write: (w, type, s) => {
    const stack = s.split('/').map(Number);
    const out = new DataView(new ArrayBuffer(stack.length * 4));
    stack.forEach((label, i) => {
      out.setUint32(i * 4, ((label << 12) | (i === stack.length - 1 ? 0x100 : 0)) >>> 0);
    });
    w.attrBytes(type, new Uint8Array(out.buffer));
  },
  read: (a, type) => {
    const b = a.bytes(type);
    if (b === undefined) return undefined;
    if (b.length === 0 || b.length % 4 !== 0 || b.length > 128) return a.reject(type);
    const v = new DataView(b.buffer, b.byteOffset, b.length);
    return Array.from({ length: b.length / 4 }, (_, i) => v.getUint32(i * 4) >>> 12).join('/');
  },
};
const locator: Form = {
  accepts: (s) => /^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){3}$/i.test(s),
  write: (w, type, s) =>
    w.attrBe64(
      type,
      s.split(':').reduce((n, g) => (n << 16n) | BigInt(`0x${g}`), 0n),
    ),
  read: (a, type) => {
    const n = a.be64(type);
    return n === undefined ? undefined : [48n, 32n, 16n, 0n].map((at) => ((n >> at) & 0xffffn).toString(16)).join(':');
  },
};

type Option = readonly [type: number, form: Form];
const KINDS: Record<Kind, { readonly number: number; readonly options: Readonly<Record<string, Option>> }> = {
  mpls: { number: 1, options: { labels: [1, labels], ttl: [2, u8] } },
  ip: {
    number: 2,
    options: { id: [1, be64], dst: [2, ip(4)], src: [3, ip(4)], ttl: [4, u8], tos: [5, u8], flags: [6, be16] },
  },
  ila: {
    number: 3,
    options: {
      locator: [1, locator],
      'csum-mode': [7, named(['adj-transport', 'neutral-map', 'no-action', 'neutral-map-auto'])],
      'ident-type': [8, named(['iid', 'luid', 'virt-v4', 'virt-uni-v6', 'virt-multi-v6', 'nonlocal-addr'])],
      'hook-type': [9, named(['output', 'input'])],
    },
  },
  ip6: {
    number: 4,
    options: { id: [1, be64], dst: [2, ip(6)], src: [3, ip(6)], hoplimit: [4, u8], tc: [5, u8], flags: [6, be16] },
  },
};
const KIND_BY_NUMBER = new Map((Object.keys(KINDS) as Kind[]).map((kind) => [KINDS[kind].number, kind]));

/** The first option that is unknown or has a value that cannot be sent; undefined when all can. To be asked before writing. */
export function encapFault(e: RouteEncap): string | undefined {
  return Object.entries(e.options).find(([name, value]) => !KINDS[e.kind].options[name]?.[1].accepts(value))?.[0];
}
/** Writes what `encapFault` has found no fault with. */
export function writeEncap(
  w: NetlinkWriter,
  e: RouteEncap,
  types: { readonly type: number; readonly encap: number },
): void {
  const { number, options } = KINDS[e.kind];
  w.attrU16(types.type, number);
  w.nest(types.encap, () => {
    for (const [name, [type, form]] of Object.entries(options)) {
      const value = e.options[name];
      if (value !== undefined) form.write(w, type, value);
    }
  });
}
/** Undefined where there is none, or one of a kind that is not spoken here (SRv6, BPF, RPL, ...). */
export function readEncap(
  a: Attributes,
  types: { readonly type: number; readonly encap: number },
): RouteEncap | undefined {
  const kind = KIND_BY_NUMBER.get(a.u16(types.type) ?? 0);
  const inside = a.nested(types.encap);
  if (kind === undefined || inside === undefined) return undefined;
  const found = Object.entries(KINDS[kind].options).flatMap(([name, [type, form]]) => {
    const value = form.read(inside, type);
    return value === undefined ? [] : [[name, value] as const];
  });
  return { kind, options: Object.fromEntries(found) };
}
