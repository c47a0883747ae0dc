/** One pool's configuration from the operator's, with the keys and checker ids by which everything else names its parts. */
import { type Text, text } from '../../base/index.ts';
import type { DirectorConfig, VirtualServer } from '../config.ts';
import type { ServiceKey } from '../types.ts';
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

export type Repeated = { readonly service: ServiceKey; readonly text: Text };

/** One pool for each virtual server. Of what is written twice, and could only be told apart by its place, the first is used. */
export function poolConfigs(d: DirectorConfig): { readonly configs: PoolConfig[]; readonly repeated: Repeated[] } {
  const repeated: Repeated[] = [];
  const pools = twice(
    d.virtualServers.map((v) => poolConfig(v, d)),
    (c) => c.key,
  );
  for (const { key } of pools.again)
    repeated.push({
      service: key,
      text: text(`${key} is written twice; the first is used`, `${key} 重复出现；使用第一个`),
    });
  const configs = pools.once.map((c) => {
    const servers = twice(c.servers, (s) => s.key);
    for (const { key } of servers.again)
      repeated.push({
        service: c.key,
        text: text(`${key} of ${c.key} is written twice; the first is used`, `${c.key} 的 ${key} 重复出现；使用第一个`),
      });
    return servers.again.length === 0 ? c : { ...c, servers: servers.once };
  });
  return { configs, repeated };
}
function twice<T>(items: readonly T[], key: (t: T) => string): { readonly once: T[]; readonly again: T[] } {
  const seen = new Set<string>();
  const once: T[] = [];
  const again: T[] = [];
  for (const item of items) {
    (seen.has(key(item)) ? again : once).push(item);
    seen.add(key(item));
  }
  return { once, again };
}
