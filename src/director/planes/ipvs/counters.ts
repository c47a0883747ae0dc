import type { IpvsDestination } from '../../../wire/index.ts';
import type { ServerCounters, WantedService } from '../../types.ts';
import { endpoint } from './actual.ts';
import { countersOf } from './rows.ts';

/** By server, summed over the addresses of the service. */
export function countServers(service: WantedService, servers: readonly IpvsDestination[]): ServerCounters[] {
  const by = Map.groupBy(servers, endpoint);
  return service.servers.flatMap((s) => {
    const found = by.get(endpoint(s));
    if (found === undefined) return [];
    const counts = found.map((d) => ({ ...countersOf(d.stats), ...(d.counts ?? { active: 0, inactive: 0 }) }));
    const sum = (name: keyof (typeof counts)[number] & string): number => counts.reduce((n, c) => n + c[name], 0);
    return [
      {
        key: s.key,
        connections: sum('connections'),
        packetsIn: sum('packetsIn'),
        bytesIn: sum('bytesIn'),
        packetsOut: sum('packetsOut'),
        bytesOut: sum('bytesOut'),
        active: sum('active'),
        inactive: sum('inactive'),
      },
    ];
  });
}
