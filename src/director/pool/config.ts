/** One pool's configuration from the operator's, with the keys and checker ids by which everything else names its parts. */
import type { VirtualServer } from '../config.ts';
import { checkIds, serverKey, serviceKey } from './names.ts';
import type { PoolConfig } from './types.ts';

export function poolConfig(service: VirtualServer, o: { readonly notifyAtStart: boolean }): PoolConfig {
  const key = serviceKey(service);
  return {
    key,
    service,
    notifyAtStart: o.notifyAtStart,
    servers: service.realServers.map((server) => {
      const name = serverKey(service, server);
      const ids = checkIds(key, name, server.checkers);
      return { key: name, server, checks: server.checkers.map((checker, i) => ({ id: ids[i] as string, checker })) };
    }),
  };
}

/** What is written twice and could only be told apart by its place. The first of each is kept. */
export function twice<T>(items: readonly T[], key: (t: T) => string): { readonly once: T[]; readonly again: T[] } {
  const seen = new Set<string>();
  const once: T[] = [];
  const again: T[] = [];
  for (const item of items) {
    (seen.has(key(item)) ? again : once).push(item);
    seen.add(key(item));
  }
  return { once, again };
}
