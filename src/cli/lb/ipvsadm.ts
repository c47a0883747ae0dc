/** The document as `ipvsadm -Ln` would list it, whichever plane carries the packets. Pure. */
import { type IpvsadmView, type LbDocument, type LbServer, type LbService, renderIpvsadm } from '../../api/index.ts';
import type { IpAddress } from '../../base/index.ts';
import { type Rates, sumRates } from './rates.ts';

/** What scripts that look for the first line expect: the version of every IPVS of the last twenty years. */
const HEAD = { version: 0x010201, connectionTableSize: 4096 };
type Row = Parameters<typeof renderIpvsadm>[0][number];
type RowOf<K extends keyof Row> = Row[K] extends readonly (infer T)[] ? T : never;
type Counters = Row['counters'];

const isLocal = (address: string): boolean => address.startsWith('127.') || address === '::1';
const NO_RATES = sumRates([]);

/** `rates`: by service, then server; as ratesOf makes them. */
export function ipvsTable(
  d: LbDocument,
  view: IpvsadmView,
  rates: ReadonlyMap<string, ReadonlyMap<string, Rates>> = new Map(),
): string {
  return renderIpvsadm(
    d.services.flatMap((s) => rowsOf(s, rates.get(s.key))),
    HEAD,
    view,
  );
}
/** One for each match: a group is several services to the kernel. A range is listed by its first address. */
function rowsOf(s: LbService, rates: ReadonlyMap<string, Rates> | undefined): Row[] {
  const there = s.servers.filter((x) => x.planeWeight !== undefined);
  const servers = there.map((x) => serverRow(x, rates?.get(x.key) ?? NO_RATES));
  const total = sumRates(there.map((x) => x.counters ?? NO_RATES));
  const fast = sumRates(there.map((x) => rates?.get(x.key) ?? NO_RATES));
  return s.matches.map((m) => ({
    match:
      m.by === 'fwmark'
        ? m
        : { by: 'address', protocol: m.protocol as 'tcp', address: m.from as IpAddress, port: m.port },
    scheduler: s.scheduler,
    flags: s.flags,
    onePacket: s.onePacket,
    ...(s.persistence ? { persistence: s.persistence } : {}),
    servers,
    counters: countersOf(total, fast),
  }));
}
function serverRow(x: LbServer, r: Rates): RowOf<'servers'> {
  return {
    address: x.address as IpAddress,
    port: x.port,
    forward: isLocal(x.address) ? 'local' : x.forwarding,
    weight: x.planeWeight ?? 0,
    active: x.counters?.active ?? 0,
    inactive: x.counters?.inactive ?? 0,
    counters: countersOf(x.counters ?? NO_RATES, r),
  };
}
const countersOf = (total: Rates, r: Rates): Counters => ({
  connections: total.connections,
  packetsIn: total.packetsIn,
  packetsOut: total.packetsOut,
  bytesIn: total.bytesIn,
  bytesOut: total.bytesOut,
  connectionRate: r.connections,
  packetRateIn: r.packetsIn,
  packetRateOut: r.packetsOut,
  byteRateIn: r.bytesIn,
  byteRateOut: r.bytesOut,
});
