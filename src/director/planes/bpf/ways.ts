/** How a server is reached from here, or why not: by the links, addresses and routes of this host. */
import { err, familyOf, type IpAddress, type IpPrefix, ipBytes, ok, type Result, text } from '../../../base/index.ts';
import type { Link, LinkAddress, Route } from '../../../host/index.ts';
import type { Refusal, WantedServer } from '../../types.ts';
import type { Way } from './tables.ts';

export type Facts = {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  /** Of the main table, both families. */
  readonly routes: readonly Route[];
};

export function contains(p: IpPrefix, a: IpAddress): boolean {
  const [x, y] = [ipBytes(p.address), ipBytes(a)];
  if (x.length !== y.length) return false;
  const whole = p.length >> 3;
  for (let i = 0; i < whole; i++) if (x[i] !== y[i]) return false;
  const rest = p.length & 7;
  return rest === 0 || ((x[whole] as number) ^ (y[whole] as number)) >> (8 - rest) === 0;
}

const ETHERNET = 1;
const refuse = (code: string, en: string, zh: string): Result<never, Refusal> => err({ code, text: text(en, zh) });

/** The link in whose subnet the address is. */
function onLink(f: Facts, a: IpAddress): Link | undefined {
  const at = f.addresses
    .filter((x) => x.peer === undefined && x.prefix.length < (familyOf(a) === 4 ? 32 : 128) && contains(x.prefix, a))
    .sort((x, y) => y.prefix.length - x.prefix.length)[0];
  return at && f.links.find((l) => l.ifindex === at.ifindex);
}

/** The link of the most specific route, gateways included. */
function routed(f: Facts, a: IpAddress): Link | undefined {
  const best = f.routes
    .filter((r) => r.family === familyOf(a) && r.type === 'unicast' && (!r.destination || contains(r.destination, a)))
    .sort(
      (x, y) => (y.destination?.length ?? 0) - (x.destination?.length ?? 0) || (x.metric ?? 0) - (y.metric ?? 0),
    )[0];
  const ifindex = best?.hops[0]?.ifindex;
  return f.links.find((l) => l.ifindex === ifindex);
}

/** Own address on the link, of the family and not of one host alone where there is a better one. */
function sourceOn(f: Facts, link: Link, to: IpAddress): IpAddress | undefined {
  const host = familyOf(to) === 4 ? 32 : 128;
  const own = f.addresses.filter(
    (x) =>
      x.ifindex === link.ifindex && familyOf(x.prefix.address) === familyOf(to) && x.scope !== 'link' && !x.tentative,
  );
  return (own.find((x) => contains(x.prefix, to)) ?? own.find((x) => x.prefix.length < host) ?? own[0])?.prefix.address;
}

export function wayTo(f: Facts, s: WantedServer): Result<Way, Refusal> {
  const { forwarding, address } = s;
  if (f.addresses.some((a) => a.prefix.address === address)) return ok({ send: 'here' });
  if (forwarding.method === 'nat')
    return refuse(
      'bpf-nat',
      `${s.key}: the bpf plane does DR and TUN; NAT is for nft or ipvs`,
      `${s.key}：bpf 平面支持 DR 与 TUN；NAT 请用 nft 或 ipvs`,
    );
  if (forwarding.method !== 'tunnel') {
    const link = onLink(f, address);
    if (!link)
      return refuse(
        'bpf-dr-off-link',
        `${s.key}: DR reaches only servers on a link of this host, and no interface has an address in the subnet of ${address}; TUN goes through routers`,
        `${s.key}：DR 只能到达与本机直连的服务器，而没有接口地址与 ${address} 同网段；跨路由器请用 TUN`,
      );
    return link.hardware === ETHERNET
      ? ok({ send: 'direct', ifindex: link.ifindex })
      : refuse(
          'bpf-not-ethernet',
          `${s.key}: ${link.name} is no Ethernet interface`,
          `${s.key}：${link.name} 不是以太网接口`,
        );
  }
  if (forwarding.checksum !== 'none')
    return refuse(
      'bpf-tunnel-checksum',
      `${s.key}: tunnels of the bpf plane carry no checksum of their own`,
      `${s.key}：bpf 平面的隧道不带校验和`,
    );
  const link = onLink(f, address) ?? routed(f, address);
  const source = link && sourceOn(f, link, address);
  if (!link || source === undefined)
    return refuse(
      'bpf-no-route',
      `${s.key}: no route to ${address}, or no own address to send from`,
      `${s.key}：没有到 ${address} 的路由，或没有可用的源地址`,
    );
  if (link.hardware !== ETHERNET)
    return refuse(
      'bpf-not-ethernet',
      `${s.key}: ${link.name} is no Ethernet interface`,
      `${s.key}：${link.name} 不是以太网接口`,
    );
  const guePort = forwarding.type === 'gue' ? (forwarding.port ?? 6080) : 0;
  return ok({ send: forwarding.type, ifindex: link.ifindex, source, mtu: link.mtu, guePort });
}
