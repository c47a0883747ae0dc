/** What values may be. Each reader tells what is wrong with a value at its place, and gives nothing then. */
import {
  type Family,
  familyOf,
  type IpAddress,
  ipBytes,
  ipFromBytes,
  type Place,
  parseIp,
  text,
} from '../../base/index.ts';
import type { Forwarding } from '../../director/config.ts';
import type { Report } from '../keepalived/report.ts';
import { nearest } from '../keepalived/suggest.ts';
import type { Directive } from './lines.ts';

export type Names = {
  /** A host's address; undefined where it has none of that family. */
  readonly host: (name: string, family: Family) => IpAddress | undefined;
  readonly port: (name: string) => number | undefined;
};
export type Context = { readonly report: Report; readonly names: Names };

const wrong = (c: Context, d: Directive, en: string, zh: string, hint?: string): undefined => {
  c.report.error(
    'ldirectord-value',
    d.valueAt,
    text(`${d.name}: ${en}`, `${d.name}：${zh}`),
    hint === undefined ? undefined : text(`did you mean '${hint}'?`, `是否想写 '${hint}'？`),
  );
  return undefined;
};

export function readNumber(c: Context, d: Directive, low: number, high: number): number | undefined {
  const n = /^\d{1,10}$/.test(d.value) ? Number(d.value) : Number.NaN;
  if (n >= low && n <= high) return n;
  return wrong(c, d, `'${d.value}' is no number in ${low}..${high}`, `'${d.value}' 不是 ${low}..${high} 之间的数`);
}
export function readYesNo(c: Context, d: Directive): boolean | undefined {
  if (d.value === 'yes') return true;
  if (d.value === 'no') return false;
  return wrong(c, d, `'${d.value}' is neither yes nor no`, `'${d.value}' 既不是 yes 也不是 no`);
}
export function readOneOf<T extends string>(c: Context, d: Directive, words: readonly T[]): T | undefined {
  const found = words.find((w) => w === d.value);
  if (found !== undefined) return found;
  return wrong(
    c,
    d,
    `'${d.value}' is none of ${words.join(', ')}`,
    `'${d.value}' 不在 ${words.join('、')} 之中`,
    nearest(d.value, words),
  );
}

/** A word within a value, where it stands. */
export type Piece = { readonly word: string; readonly at: Place };
export function piecesOf(d: Directive): Piece[] {
  return [...d.value.matchAll(/\S+/g)].map((m) => ({
    word: m[0],
    at: { ...d.valueAt, column: d.valueAt.column + m.index, length: m[0].length },
  }));
}

export type Endpoint = { readonly address: IpAddress; readonly port: number | undefined };
const bad = (c: Context, at: Place, en: string, zh: string): undefined => {
  c.report.error('ldirectord-address', at, text(en, zh));
  return undefined;
};

export function readPort(c: Context, word: string, at: Place): number | undefined {
  const n = /^\d{1,5}$/.test(word) ? Number(word) : c.names.port(word);
  if (n !== undefined && n <= 65535) return n;
  return bad(c, at, `'${word}' is no port and no name of a service`, `'${word}' 既不是端口也不是服务名`);
}
function readHost(c: Context, word: string, at: Place, family: Family): IpAddress | undefined {
  const bare = word.replace(/^\[(.*)\]$/, '$1');
  const ip = parseIp(bare);
  if (ip.ok && familyOf(ip.value) === family) return ip.value;
  if (ip.ok)
    return bad(
      c,
      at,
      `${bare} is an address of IPv${family === 4 ? 6 : 4}; for IPv6 there are virtual6, real6 and fallback6`,
      `${bare} 是 IPv${family === 4 ? 6 : 4} 地址；IPv6 请用 virtual6、real6 和 fallback6`,
    );
  const found =
    /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(bare) && !/^[\d.]+$/.test(bare) ? c.names.host(bare, family) : undefined;
  return (
    found ??
    bad(c, at, `'${bare}' is no address, and no host of that name is known`, `'${bare}' 不是地址，也不是已知的主机名`)
  );
}
/** `host[:port]`, IPv6 in brackets. */
export function readEndpoint(c: Context, p: Piece, family: Family): Endpoint | undefined {
  const m = /^(\[[^\]]*\]|[^:]*)(?::(.+))?$/.exec(p.word);
  if (!m)
    return bad(c, p.at, `'${p.word}' is no address; IPv6 stands in brackets`, `'${p.word}' 不是地址；IPv6 须加方括号`);
  const address = readHost(c, m[1] as string, p.at, family);
  const port = m[2] === undefined ? undefined : readPort(c, m[2], p.at);
  if (address === undefined || (m[2] !== undefined && port === undefined)) return undefined;
  return { address, port };
}

const MOST_SERVERS = 4096;
/** `first->last[:port]`, or one server. */
export function readRange(c: Context, p: Piece, family: Family): Endpoint[] | undefined {
  const arrow = p.word.indexOf('->');
  if (arrow < 0) {
    const one = readEndpoint(c, p, family);
    return one && [one];
  }
  const first = readEndpoint(c, { word: p.word.slice(0, arrow), at: p.at }, family);
  const last = readEndpoint(c, { word: p.word.slice(arrow + 2), at: p.at }, family);
  if (!first || !last) return undefined;
  const number = (a: IpAddress): bigint => ipBytes(a).reduce((n, b) => (n << 8n) | BigInt(b), 0n);
  const [from, to] = [number(first.address), number(last.address)];
  if (from > to || to - from >= MOST_SERVERS)
    return bad(
      c,
      p.at,
      `the range ${p.word} is empty or has more than ${MOST_SERVERS} servers`,
      `范围 ${p.word} 为空或超过 ${MOST_SERVERS} 台服务器`,
    );
  const size = family === 4 ? 4 : 16;
  return Array.from({ length: Number(to - from) + 1 }, (_, i) => {
    const b = new Uint8Array(size);
    for (let n = from + BigInt(i), at = size - 1; at >= 0; n >>= 8n, at--) b[at] = Number(n & 255n);
    return { address: ipFromBytes(b), port: last.port };
  });
}

export const METHODS: Readonly<Record<string, Forwarding>> = {
  gate: { method: 'direct-routing' },
  masq: { method: 'nat' },
  ipip: { method: 'tunnel', type: 'ipip', checksum: 'none' },
};
export function readMethod(c: Context, p: Piece): Forwarding | undefined {
  const m = METHODS[p.word];
  if (m) return m;
  const near = nearest(p.word, Object.keys(METHODS));
  c.report.error(
    'ldirectord-method',
    p.at,
    text(`'${p.word}' is none of gate, masq, ipip`, `'${p.word}' 不是 gate、masq 或 ipip`),
    near === undefined ? undefined : text(`did you mean '${near}'?`, `是否想写 '${near}'？`),
  );
  return undefined;
}
