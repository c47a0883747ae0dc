/** Hosts and links: who there is and by which addresses. */
import { familyOf, type IpAddress, ipBytes, type Place, text } from '../../base/index.ts';
import type { Report } from '../keepalived/report.ts';
import type { Tree } from './tree.ts';

export type ClusterHost = { readonly name: string; readonly links: ReadonlyMap<string, IpAddress> };
export type ClusterLink = {
  readonly name: string;
  readonly interface: string | undefined;
  readonly prefer: readonly string[];
};
/** The link of a host that is written as one address. */
const ONLY_LINK = 'lan';
const IPV4_SUBNET = 3;
const IPV6_SUBNET = 8;

export function readHosts(t: Tree | undefined, report: Report): Map<string, ClusterHost> {
  const out = new Map<string, ClusterHost>();
  const taken = new Map<string, string>();
  for (const [name, host] of t?.keys ?? []) {
    const written =
      host.value === undefined ? [...(host.keys.get('links')?.keys ?? [])] : ([[ONLY_LINK, host]] as const);
    const links = new Map<string, IpAddress>();
    for (const [link, address] of written) {
      const ip = address.value as IpAddress | undefined;
      if (ip === undefined) continue;
      const before = taken.get(ip);
      if (before !== undefined)
        report.error(
          'HOST-02',
          address.at,
          text(`${ip} is the address of ${before} already`, `${ip} 已是 ${before} 的地址`),
        );
      taken.set(ip, `${name} (${link})`);
      links.set(link, ip);
    }
    checkSubnets(name, host, links, report);
    out.set(name, { name, links });
  }
  if (t && t.keys.size > 0 && t.keys.size < 2)
    report.error('HOST-03', t.at, text('one host is no cluster', '一台主机不构成集群'));
  return out;
}
const subnet = (ip: IpAddress): string =>
  ipBytes(ip)
    .slice(0, familyOf(ip) === 4 ? IPV4_SUBNET : IPV6_SUBNET)
    .join('.');
/** The file says no prefix lengths: /24 and /64, as nearly every such network has. */
function checkSubnets(host: string, t: Tree, links: ReadonlyMap<string, IpAddress>, report: Report): void {
  const seen = new Map<string, string>();
  for (const [link, ip] of links) {
    const before = seen.get(subnet(ip));
    if (before !== undefined)
      report.error(
        'LINK-03',
        t.keys.get('links')?.keys.get(link)?.at ?? t.at,
        text(
          `links '${before}' and '${link}' share one subnet on ${host}`,
          `${host} 上的链路 '${before}' 与 '${link}' 在同一子网`,
        ),
        text(
          'give each its own card and subnet, for example a cable between the hosts',
          '请为每条链路使用独立的网卡和子网，例如主机间直连线',
        ),
      );
    seen.set(subnet(ip), before ?? link);
  }
}

/** `hostsAt`: where the hosts are written, for what concerns all of them. */
export function readLinks(
  t: Tree | undefined,
  hosts: ReadonlyMap<string, ClusterHost>,
  hostsAt: Place | undefined,
  report: Report,
): ClusterLink[] {
  const used = new Set([...hosts.values()].flatMap((h) => [...h.links.keys()]));
  const cards = new Map<string, string>();
  const out: ClusterLink[] = [];
  for (const [name, link] of t?.keys ?? []) {
    const card = link.keys.get('interface');
    const before = card && cards.get(String(card.value));
    if (card && before !== undefined)
      report.error(
        'LINK-03',
        card.at,
        text(
          `links '${before}' and '${name}' share interface ${card.value}`,
          `链路 '${before}' 与 '${name}' 共用接口 ${card.value}`,
        ),
        text('if that card dies, both links die at once', '该网卡故障时两条链路同时中断'),
      );
    if (card) cards.set(String(card.value), before ?? name);
    if (!used.has(name))
      report.error(
        'LINK-04',
        link.keyAt,
        text(`no host has an address on link '${name}'`, `没有主机在链路 '${name}' 上有地址`),
      );
    out.push({
      name,
      interface: card && String(card.value),
      prefer: (link.keys.get('prefer')?.items ?? []).map((i) => String(i.value)),
    });
  }
  if (hosts.size > 1 && used.size === 1)
    report.warn(
      'LINK-01',
      t?.keyAt ?? hostsAt,
      text('only one link; a single cable decides', '只有一条链路；一根线缆决定一切'),
      text('add a second, for example a cable between the hosts', '请增加第二条，例如主机间直连线'),
    );
  for (const h of hosts.values())
    for (const link of used)
      if (!h.links.has(link))
        report.error(
          'LINK-02',
          hostsAt,
          text(`host ${h.name} has no address on link '${link}'`, `主机 ${h.name} 在链路 '${link}' 上没有地址`),
        );
  return out;
}
