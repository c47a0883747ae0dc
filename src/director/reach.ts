/** Which real servers can be reached in their mode at all. What cannot work is one clear line at the start, not packets that vanish. */
import { type Family, familyOf, type IpAddress, type IpPrefix, ipBytes, type Text, text } from '../base/index.ts';
import type { LinkAddress, Route } from '../host/index.ts';
import type { RealServer, VirtualServerGroup } from './config.ts';
import type { PoolConfig } from './pool/index.ts';
import { crosses, matchesOf } from './pool/index.ts';
import type { ServerKey } from './types.ts';

/** How this host would send to an address. `unknown`: no route, which may still come. */
export type Way =
  | { readonly is: 'local' | 'on-link' | 'unknown' }
  /** `ifindex`: of a gateway whose address is good on one link only. */
  | { readonly is: 'routed'; readonly via: IpAddress; readonly ifindex?: number };

export function covers(p: IpPrefix, a: IpAddress): boolean {
  const [x, y] = [ipBytes(p.address), ipBytes(a)];
  if (x.length !== y.length) return false;
  const whole = p.length >> 3;
  for (let i = 0; i < whole; i++) if (x[i] !== y[i]) return false;
  const mask = (0xff00 >> (p.length & 7)) & 0xff;
  return mask === 0 || ((x[whole] as number) & mask) === ((y[whole] as number) & mask);
}

/** The longest prefix of the main table wins, then the lowest metric. Other tables are for packets with marks and sources that we do not know here. */
export function wayTo(a: IpAddress, routes: readonly Route[], addresses: readonly LinkAddress[]): Way {
  if (addresses.some((x) => x.prefix.address === a) || isLoopback(a)) return { is: 'local' };
  let best: Route | undefined;
  const lengthOf = (r: Route): number => r.destination?.length ?? 0;
  for (const r of routes) {
    if (r.type !== 'unicast' || r.family !== familyOf(a)) continue;
    if (r.destination && !covers(r.destination, a)) continue;
    if (
      !best ||
      lengthOf(r) > lengthOf(best) ||
      (lengthOf(r) === lengthOf(best) && (r.metric ?? 0) < (best.metric ?? 0))
    )
      best = r;
  }
  if (!best) return { is: 'unknown' };
  const hop = best.hops.find((h) => h.via !== undefined);
  if (hop?.via === undefined) return { is: 'on-link' };
  const { via, ifindex } = hop;
  return { is: 'routed', via, ...(isLinkLocal(via) && ifindex !== undefined ? { ifindex } : {}) };
}
export const isLinkLocal = (a: IpAddress): boolean => covers({ address: 'fe80::' as IpAddress, length: 10 }, a);
const isLoopback = (a: IpAddress): boolean =>
  a === '::1' || covers({ address: '127.0.0.0' as IpAddress, length: 8 }, a);

/** Undefined: nothing speaks against it. */
function against(
  server: Pick<RealServer, 'address' | 'port' | 'forwarding'>,
  matches: ReturnType<typeof matchesOf>,
  way: (a: IpAddress) => Way,
): Text | undefined {
  const { method } = server.forwarding;
  const families: Family[] = [...new Set(matches.map((m) => m.family))];
  if (families.length > 0 && !families.some((f) => crosses(server, f))) {
    const [has, wants] = [familyOf(server.address), families.join('/')];
    return text(
      `it has an IPv${has} address and the service is IPv${wants}: only TUN crosses families`,
      `其地址为 IPv${has}，而服务为 IPv${wants}：只有 TUN 可以跨协议族`,
    );
  }
  if (method === 'nat') return undefined;
  const ports = matches.flatMap((m) => (m.match.by === 'address' && m.match.port !== 0 ? [m.match.port] : []));
  const { port } = server;
  if (port !== undefined && port !== 0 && ports.length > 0 && !ports.includes(port)) {
    const mode = method === 'tunnel' ? 'TUN' : 'DR';
    return text(
      `${mode} cannot change the port: the service has ${[...new Set(ports)].join(', ')}, this server ${port}; use NAT, or let it listen on the service's port`,
      `${mode} 不能改变端口：服务端口为 ${[...new Set(ports)].join(', ')}，该服务器为 ${port}；请使用 NAT，或让其监听服务端口`,
    );
  }
  if (method !== 'direct-routing') return undefined;
  const w = way(server.address);
  if (w.is !== 'routed') return undefined;
  return text(
    `DR needs it in a subnet of this host, and packets to it go by the gateway ${w.via}; use TUN or NAT`,
    `DR 要求其与本机处于同一子网，而发往它的报文要经过网关 ${w.via}；请使用 TUN 或 NAT`,
  );
}

export function refusedServers(
  c: PoolConfig,
  groups: readonly VirtualServerGroup[],
  way: (a: IpAddress) => Way,
): { readonly servers: ReadonlyMap<ServerKey, Text>; readonly sorry: Text | undefined } {
  const matches = matchesOf(c, groups);
  const servers = new Map<ServerKey, Text>();
  for (const p of c.servers) {
    const why = against(p.server, matches, way);
    if (why) servers.set(p.key, why);
  }
  const { sorryServer } = c.service;
  return { servers, sorry: sorryServer && against(sorryServer, matches, way) };
}
