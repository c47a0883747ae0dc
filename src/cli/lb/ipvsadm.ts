/** The tables that `ipvsadm -Ln` prints, for eyes and scripts that know them, whichever plane carries the packets. Pure. */
import type { LbDocument, LbServer, LbService } from '../../api/index.ts';
import { type Rates, sumRates } from './rates.ts';

const FORWARD = { nat: 'Masq', 'direct-routing': 'Route', tunnel: 'Tunnel' } as const;
const forward = (x: LbServer): string => (isLocal(x.address) ? 'Local' : FORWARD[x.forwarding]);
const isLocal = (address: string): boolean => address.startsWith('127.') || address === '::1';

/** One line for each match: a group is several services to the kernel. */
function names(s: LbService): string[] {
  return s.matches.map((m) => {
    if (m.by === 'fwmark') return `FWM  ${m.mark}${m.family === 6 ? ' IPv6' : ''}`;
    const at = m.from.includes(':') ? `[${m.from}]` : m.from;
    const range = m.to === m.from ? at : `${at}-${m.to}`;
    return `${m.protocol.toUpperCase().padEnd(4)} ${range}:${m.port}`;
  });
}
const remote = (x: LbServer): string =>
  x.address.includes(':') ? `[${x.address}]:${x.port}` : `${x.address}:${x.port}`;
const inPlane = (s: LbService): readonly LbServer[] => s.servers.filter((x) => x.planeWeight !== undefined);
const planes = (d: LbDocument): string => [...new Set(d.services.map((s) => s.plane ?? 'none'))].join(', ') || 'none';

export function ipvsTable(d: LbDocument): string {
  const out = [
    `IP Virtual Server by Holdfast (plane=${planes(d)})`,
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
  ];
  for (const s of d.services)
    for (const name of names(s)) {
      const flags = s.flags.length > 0 ? ` (${s.flags.join(',')})` : '';
      const persistent = s.persistenceSeconds === undefined ? '' : ` persistent ${s.persistenceSeconds}`;
      out.push(`${name} ${s.scheduler}${flags}${persistent}${s.onePacket ? ' ops' : ''}`);
      for (const x of inPlane(s)) {
        const cells = [
          remote(x).padEnd(28),
          forward(x).padEnd(7),
          String(x.planeWeight).padEnd(6),
          String(x.counters?.active ?? 0).padEnd(10),
          String(x.counters?.inactive ?? 0).padEnd(10),
        ];
        out.push(`  -> ${cells.join(' ')}`);
      }
    }
  return `${out.join('\n')}\n`;
}

const STATS = ['Conns', 'InPkts', 'OutPkts', 'InBytes', 'OutBytes'];
const RATE = ['CPS', 'InPPS', 'OutPPS', 'InBPS', 'OutBPS'];

/** `--stats`: totals. */
export const ipvsStats = (d: LbDocument): string => numbers(d, STATS, (_, x) => x.counters);
/** `--rate`: per second. */
export const ipvsRates = (d: LbDocument, rates: ReadonlyMap<string, ReadonlyMap<string, Rates>>): string =>
  numbers(d, RATE, (s, x) => rates.get(s.key)?.get(x.key));

function numbers(
  d: LbDocument,
  heads: readonly string[],
  of: (s: LbService, x: LbServer) => Rates | undefined,
): string {
  const out = [
    `IP Virtual Server by Holdfast (plane=${planes(d)})`,
    `${'Prot LocalAddress:Port'.padEnd(33)}${heads.map((h) => h.padStart(9)).join('')}`,
    '  -> RemoteAddress:Port',
  ];
  for (const s of d.services)
    for (const name of names(s)) {
      const each = inPlane(s).map((x) => [x, of(s, x) ?? sumRates([])] as const);
      out.push(line(name, sumRates(each.map(([, r]) => r))));
      for (const [x, r] of each) out.push(line(`  -> ${remote(x)}`, r));
    }
  return `${out.join('\n')}\n`;
}
const line = (name: string, r: Rates): string =>
  name.padEnd(33) + [r.connections, r.packetsIn, r.packetsOut, r.bytesIn, r.bytesOut].map(large).join('');

/** Nine columns: plain below a hundred million, then in thousands, millions and so on. */
function large(n: number): string {
  let [left, unit] = [n, ''];
  for (const u of ['K', 'M', 'G', 'T']) {
    if (left < (unit === '' ? 1e8 : 1e7)) break;
    [left, unit] = [Math.floor(left / 1000), u];
  }
  return `${left}${unit}`.padStart(9);
}
