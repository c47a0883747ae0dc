/** The table of `ipvsadm -Ln`, column for column, for eyes and scripts that know it (ipvsadm 1.31). */
import { compareIp, familyOf, formatEndpoint, hostLength } from '../base/index.ts';
import type { LvsCounters, LvsServerRow, LvsServiceRow } from '../director/index.ts';

/** `stats` is `--stats`, `rate` is `--rate`. */
export type IpvsadmView = 'list' | 'stats' | 'rate';
export type IpvsadmHead = {
  /** 0x010201 is 1.2.1. */
  readonly version: number;
  readonly connectionTableSize: number;
};

/** Of an address with its port, behind its indentation: columns of numbers begin here, unless it is longer. */
const NAME_WIDTH = 33;
const TITLES: Record<IpvsadmView, readonly string[]> = {
  list: [
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
  ],
  stats: ['Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes', '  -> RemoteAddress:Port'],
  rate: ['Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS', '  -> RemoteAddress:Port'],
};
const FORWARD: Record<LvsServerRow['forward'], string> = {
  nat: 'Masq',
  local: 'Local',
  tunnel: 'Tunnel',
  'direct-routing': 'Route',
  bypass: 'Bypass',
};

export function renderIpvsadm(rows: readonly LvsServiceRow[], head: IpvsadmHead, view: IpvsadmView): string {
  const v = head.version;
  const title = `IP Virtual Server version ${v >> 16}.${(v >> 8) & 255}.${v & 255} (size=${head.connectionTableSize})`;
  const lines = [...rows]
    .sort(byService)
    .flatMap((s) => [serviceLine(s, view), ...[...s.servers].sort(byServer).map((d) => serverLine(d, view))]);
  return `${[title, ...TITLES[view], ...lines].join('\n')}\n`;
}

const PROTOCOLS = ['tcp', 'udp', 'sctp'];
/** Addresses before marks, IPv4 before IPv6; then protocol, address and port. */
function byService(a: LvsServiceRow, b: LvsServiceRow): number {
  const [x, y] = [a.match, b.match];
  if (x.by === 'fwmark' || y.by === 'fwmark') {
    const mark = (m: LvsServiceRow['match']): number => (m.by === 'fwmark' ? m.mark : 0);
    return mark(x) - mark(y) || (x.by === 'fwmark' && y.by === 'fwmark' ? x.family - y.family : 0);
  }
  return (
    familyOf(x.address) - familyOf(y.address) ||
    PROTOCOLS.indexOf(x.protocol) - PROTOCOLS.indexOf(y.protocol) ||
    compareIp(x.address, y.address) ||
    x.port - y.port
  );
}
const byServer = (a: LvsServerRow, b: LvsServerRow): number => compareIp(a.address, b.address) || a.port - b.port;

function serviceLine(s: LvsServiceRow, view: IpvsadmView): string {
  const m = s.match;
  const name =
    m.by === 'fwmark'
      ? `FWM  ${m.mark}${m.family === 6 ? ' IPv6' : ''}`
      : `${m.protocol.toUpperCase().padEnd(4)} ${formatEndpoint(m.address, m.port)}`;
  if (view !== 'list') return name.padEnd(NAME_WIDTH) + numbers(s.counters, view);
  return [name, s.scheduler, ...flagWords(s)].join(' ');
}
function flagWords(s: LvsServiceRow): string[] {
  const words: string[] = [];
  // These two know two flags; a third leaves empty parentheses.
  const named = s.scheduler === 'sh' || s.scheduler === 'mh' ? s.flags.filter((f) => f !== 'flag-3') : s.flags;
  if (s.flags.length > 0) words.push(`(${named.join(',')})`);
  const p = s.persistence;
  if (p !== undefined) {
    words.push(`persistent ${p.seconds}`);
    const family = s.match.by === 'fwmark' ? s.match.family : familyOf(s.match.address);
    if (p.granularity !== undefined && p.granularity < hostLength(family))
      words.push(`mask ${family === 4 ? dotted(p.granularity) : p.granularity}`);
    if (p.engine !== undefined) words.push(`pe ${p.engine}`);
  }
  if (s.onePacket) words.push('ops');
  return words;
}
const dotted = (length: number): string =>
  [0, 8, 16, 24].map((at) => 256 - 2 ** (8 - Math.min(8, Math.max(0, length - at)))).join('.');

function serverLine(d: LvsServerRow, view: IpvsadmView): string {
  const name = `  -> ${formatEndpoint(d.address, d.port)}`;
  if (view !== 'list') return name.padEnd(NAME_WIDTH) + numbers(d.counters, view);
  const counts = [`${d.weight}`.padEnd(6), `${d.active}`.padEnd(10), `${d.inactive}`.padEnd(10)];
  return [name.padEnd(NAME_WIDTH), FORWARD[d.forward].padEnd(7), ...counts].join(' ');
}

function numbers(c: LvsCounters, view: Exclude<IpvsadmView, 'list'>): string {
  const shown =
    view === 'stats'
      ? [c.connections, c.packetsIn, c.packetsOut, c.bytesIn, c.bytesOut]
      : [c.connectionRate, c.packetRateIn, c.packetRateOut, c.byteRateIn, c.byteRateOut];
  return shown.map(large).join('');
}
/** Nine columns: the last eight digits, or thousands, millions, ... with their letter. */
function large(n: number): string {
  if (n < 1e8) return `${n}`.padStart(9);
  const [unit, letter] = n < 1e9 ? [1e3, 'K'] : n < 1e11 ? [1e6, 'M'] : n < 1e14 ? [1e9, 'G'] : [1e12, 'T'];
  return `${Math.floor(n / unit)}`.padStart(8) + letter;
}
