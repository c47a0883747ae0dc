/** What of this host matters to pools: which servers can be reached, and whose virtual address is here. */
import { compareIp, type IpAddress } from '../base/index.ts';
import type { Network } from '../host/index.ts';
import type { VirtualServerGroup } from './config.ts';
import { matchesOf, type PoolConfig, type PoolEvent } from './pool/index.ts';
import { refusedServers, type Way, wayTo } from './reach.ts';

const MAIN_TABLE = 254;

export type Survey = { readonly way: (a: IpAddress) => Way; readonly held: readonly IpAddress[] };

/** Routes are read only where somebody needs direct routing: a full table may hold a million. */
export function survey(network: Network, pools: readonly PoolConfig[]): Survey {
  const addresses = network.addresses();
  const direct = pools.some((c) => c.servers.some((s) => s.server.forwarding.method === 'direct-routing'));
  const routes = (direct ? ([4, 6] as const) : []).flatMap((family) => {
    const read = network.routes({ family, table: MAIN_TABLE });
    return read.ok ? read.value : [];
  });
  const ways = new Map<IpAddress, Way>();
  return {
    held: addresses.map((a) => a.prefix.address),
    way: (a) => {
      const known = ways.get(a) ?? wayTo(a, routes, addresses);
      ways.set(a, known);
      return known;
    },
  };
}

export const eventsOf = (c: PoolConfig, groups: readonly VirtualServerGroup[], here: Survey): PoolEvent[] => [
  { kind: 'refused', servers: refusedServers(c, groups, here.way) },
  { kind: 'suspend', on: c.service.haSuspend && !isHere(c, groups, here.held) },
];
/** A mark has no address that could be here or not. */
function isHere(c: PoolConfig, groups: readonly VirtualServerGroup[], held: readonly IpAddress[]): boolean {
  const ranges = matchesOf(c, groups).flatMap((m) => (m.match.by === 'address' ? m.match.ranges : []));
  if (ranges.length === 0) return true;
  return held.some((a) => ranges.some((r) => compareIp(r.from, a) <= 0 && compareIp(a, r.to) <= 0));
}
