/** Which hosts a resource has, which of them is this one, and by which addresses the two speak. */
import { type IpAddress, type Place, type Text, text } from '../../base/index.ts';
import type { Endpoint } from '../../mirror/config.ts';
import type { AddressGiven, At, ConnectionGiven, EndGiven, HostGiven, ResourceGiven } from './model.ts';

export type Me = { readonly hostName: string; readonly addresses: readonly IpAddress[] };

const firstLabel = (s: string): string => s.split('.')[0] as string;
/** Host names are compared whole; where none fits, by what stands before the first dot. */
export const sameHost = (a: string, b: string): boolean => a === b || firstLabel(a) === firstLabel(b);

export const nameOf = (h: HostGiven): string =>
  h.kind === 'floating' ? (h.address ? h.address.value.address : (h.names[0]?.text ?? '')) : (h.names[0]?.text ?? '');

function findMe(r: ResourceGiven, me: Me): HostGiven | undefined {
  const named = r.hosts.filter((h) => h.kind === 'on');
  const whole = named.find((h) => h.names.some((n) => n.text === me.hostName));
  if (whole) return whole;
  const short = named.filter((h) => h.names.some((n) => sameHost(n.text, me.hostName)));
  if (short.length === 1) return short[0];
  return r.hosts.find((h) => h.kind === 'floating' && h.address && me.addresses.includes(h.address.value.address));
}

export type Pair = {
  readonly mine: HostGiven;
  readonly other: HostGiven;
  readonly local: At<AddressGiven>;
  readonly remote: At<AddressGiven>;
  readonly connection: ConnectionGiven | undefined;
};
export type PairResult =
  | { readonly kind: 'pair'; readonly pair: Pair; readonly morePaths: number }
  | { readonly kind: 'elsewhere' }
  /** It can be read and not be run here. */
  | { readonly kind: 'refused'; readonly why: Text; readonly at: Place }
  /** The file says too little. */
  | { readonly kind: 'wrong'; readonly code: string; readonly message: Text; readonly at: Place };

const refused = (at: Place, en: string, zh: string): PairResult => ({ kind: 'refused', at, why: text(en, zh) });
const wrong = (code: string, at: Place, en: string, zh: string): PairResult => ({
  kind: 'wrong',
  code,
  at,
  message: text(en, zh),
});

/** The two hosts of a resource as this one sees them. */
export function pairOf(r: ResourceGiven, me: Me): PairResult {
  const stacked = r.hosts.find((h) => h.kind === 'stacked');
  if (stacked)
    return refused(
      stacked.at,
      'it is stacked on another resource, which would need a third replica',
      '它堆叠在另一资源之上，需要第三个副本',
    );
  const mine = findMe(r, me);
  if (!mine) return { kind: 'elsewhere' };
  const others = r.hosts.filter((h) => h !== mine);
  const [other] = others;
  if (!other) return refused(r.at, 'it has one host', '它只有一台主机');
  if (others.length > 1)
    return refused(
      r.at,
      `it has ${r.hosts.length} hosts; protocol 101 joins two`,
      `它有 ${r.hosts.length} 台主机；101 协议只连接两台`,
    );
  const proxy = mine.proxy ?? other.proxy ?? r.connections.flatMap((x) => x.ends).find((e) => e.via)?.via;
  if (proxy) return refused(proxy, 'its link goes through DRBD Proxy', '其链路经过 DRBD Proxy');
  return paired(r, mine, other);
}

function paired(r: ResourceGiven, mine: HostGiven, other: HostGiven): PairResult {
  const is = (h: HostGiven) => (e: EndGiven) => h.names.some((n) => sameHost(n.text, e.host.text));
  const connection = r.connections[0];
  const routes = connection ? (connection.paths.length > 0 ? connection.paths : [connection.ends]) : [];
  const route = routes[0];
  const addressOf = (h: HostGiven): At<AddressGiven> | undefined => {
    const end = route?.find(is(h));
    const own = end?.address ?? h.address;
    if (!own) return undefined;
    const port = end?.port ?? own.value.port;
    return { at: own.at, value: { ...own.value, port } };
  };
  for (const e of route ?? [])
    if (!is(mine)(e) && !is(other)(e))
      return wrong(
        'drbd-host-unknown',
        e.host.at,
        `host ${e.host.text} is not in this resource`,
        `主机 ${e.host.text} 不在此资源中`,
      );
  const [local, remote] = [addressOf(mine), addressOf(other)];
  for (const [h, a] of [
    [mine, local],
    [other, remote],
  ] as const)
    if (a?.value.port === undefined)
      return wrong(
        'drbd-address-missing',
        h.at,
        `host ${nameOf(h)} has no address with a port`,
        `主机 ${nameOf(h)} 没有带端口的地址`,
      );
  if (!local || !remote) throw new Error('bug: an address is missing');
  for (const a of [local, remote])
    if (a.value.family !== 'ipv4' && a.value.family !== 'ipv6')
      return refused(
        a.at,
        `its link is ${a.value.family}; the mirror speaks TCP over IP`,
        `其链路为 ${a.value.family}；镜像只使用 IP 上的 TCP`,
      );
  if (local.value.family !== remote.value.family)
    return wrong(
      'drbd-address-family',
      remote.at,
      'one address is IPv4 and the other IPv6',
      '一个地址是 IPv4，另一个是 IPv6',
    );
  return { kind: 'pair', pair: { mine, other, local, remote, connection }, morePaths: Math.max(0, routes.length - 1) };
}
export const endpointOf = (a: At<AddressGiven>): Endpoint => ({ address: a.value.address, port: a.value.port ?? 0 });
