/** What of this host matters to pools: which servers can be reached, and whose virtual address is here. */
import { compareIp, type IpAddress } from '../base/index.ts';
import type { Network, Route } from '../host/index.ts';
import type { VirtualServerGroup } from './config.ts';
import { matchesOf, type PoolConfig, type PoolEvent } from './pool/index.ts';
import { refusedServers, type Way, wayTo } from './reach.ts';

const MAIN_TABLE = 254;
/** Who puts routes to neighbours: the kernel, boot scripts, hands, DHCP. A routing daemon may have put a million others, which are not read. */
const PROTOCOLS = [2, 3, 4, 16];

export type Survey = {
  /** How this host sends to each server that needs direct routing. */
  readonly ways: ReadonlyMap<IpAddress, Way>;
  readonly held: ReadonlySet<IpAddress>;
};

export function survey(network: Network, pools: readonly PoolConfig[]): Survey {
  const addresses = network.addresses();
  const direct = new Set<IpAddress>();
  for (const { servers, service } of pools)
    for (const s of [...servers.map((p) => p.server), ...(service.sorryServer ? [service.sorryServer] : [])])
      if (s.forwarding.method === 'direct-routing') direct.add(s.address);
  const routes: Route[] = [];
  if (direct.size > 0)
    for (const family of [4, 6] as const)
      for (const protocol of PROTOCOLS) {
        const read = network.routes({ family, table: MAIN_TABLE, protocol });
        if (read.ok) routes.push(...read.value);
      }
  return {
    ways: new Map([...direct].map((a) => [a, wayTo(a, routes, addresses)])),
    held: new Set(addresses.map((a) => a.prefix.address)),
  };
}

const sameWays = (a: Survey, b: Survey): boolean =>
  a.ways.size === b.ways.size &&
  [...a.ways].every(([at, way]) => JSON.stringify(b.ways.get(at)) === JSON.stringify(way));

/** What a pool is to hear. `before`: the last survey of the same pools, so that of 10,000 only those hear whom it concerns. */
export function newsOf(
  here: Survey,
  before: Survey | undefined,
  groups: readonly VirtualServerGroup[],
): (c: PoolConfig) => readonly PoolEvent[] {
  const moved = before === undefined || !sameWays(here, before);
  return (c) => {
    const out: PoolEvent[] = [];
    if (moved) {
      const way = (a: IpAddress): Way => here.ways.get(a) ?? { is: 'unknown' };
      out.push({ kind: 'refused', ...refusedServers(c, groups, way) });
    }
    if (before === undefined || c.service.haSuspend)
      out.push({ kind: 'suspend', on: c.service.haSuspend && !isHere(c, groups, here.held) });
    return out;
  };
}
/** A mark has no address that could be here or not. */
function isHere(c: PoolConfig, groups: readonly VirtualServerGroup[], held: ReadonlySet<IpAddress>): boolean {
  const ranges = matchesOf(c, groups).flatMap((m) => (m.match.by === 'address' ? m.match.ranges : []));
  if (ranges.length === 0) return true;
  return ranges.some((r) =>
    r.from === r.to ? held.has(r.from) : [...held].some((a) => compareIp(r.from, a) <= 0 && compareIp(a, r.to) <= 0),
  );
}
