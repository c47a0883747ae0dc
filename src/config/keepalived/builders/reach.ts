/** How the adverts of an instance get out: source, peers or group, and the macvlan that they may leave from. */
import { type Family, familyOf, type IpAddress, isMulticast, text } from '../../../base/index.ts';
import type { UnicastPeer, Vmac } from '../../../vrrp/config.ts';
import type { Got } from '../grammar/spec.ts';
import type { Report } from '../report.ts';
import { flat, type GlobalValues, type InstanceValues, maybe } from './values.ts';

export type ReachContext = {
  readonly global: GlobalValues;
  readonly report: Report;
  /** Names of macvlans that are taken, with the instance that has them. */
  readonly vmacNames: Map<string, string>;
};

const DEFAULT_GROUP: Readonly<Record<Family, IpAddress>> = {
  4: '224.0.0.18' as IpAddress,
  6: 'ff02::12' as IpAddress,
};

export function sourceOf(v: InstanceValues, name: string, report: Report): IpAddress | undefined {
  const [u, m] = [v.unicast_src_ip, v.mcast_src_ip];
  if (u && m && u.value !== m.value)
    report.fault(
      'vrrp-source-both',
      m.at,
      text(`${name}: unicast_src_ip is another address`, `${name}：与 unicast_src_ip 不是同一个地址`),
    );
  return (u ?? m)?.value;
}

export function unicastOf(
  v: InstanceValues,
  family: Family,
  source: IpAddress | undefined,
  name: string,
  report: Report,
): { readonly peers: readonly UnicastPeer[] | undefined } {
  if (source !== undefined && familyOf(source) !== family)
    report.fault(
      'address-family',
      (v.unicast_src_ip ?? v.mcast_src_ip)?.at,
      text(
        `${name}: ${source} is not an IPv${family} address as the virtual ones are`,
        `${name}:${source} 与虚拟地址的协议族不同`,
      ),
    );
  const given = v.unicast_peer !== undefined;
  const peers: UnicastPeer[] = [];
  for (const { value, at } of flat(v.unicast_peer)) {
    if (familyOf(value.address) !== family || isMulticast(value.address))
      report.fault(
        'vrrp-peer-address',
        at,
        text(
          `${name}: ${value.address} is not an IPv${family} host address`,
          `${name}:${value.address} 不是 IPv${family} 主机地址`,
        ),
      );
    else if (value.address === source)
      report.warn(
        'vrrp-peer-self',
        at,
        text(
          `${name}: ${value.address} is this host's own source address; it is left out`,
          `${name}:${value.address} 是本机的源地址，忽略`,
        ),
      );
    else if (peers.some((p) => p.address === value.address))
      report.warn('vrrp-peer-repeated', at, text(`${value.address} is listed already`, `${value.address} 已在列表中`));
    else peers.push(value);
  }
  const wanted = given || v.unicast_src_ip !== undefined || v.unicast_fault_no_peer !== undefined;
  if (v.unicast_ttl && peers.length === 0)
    report.warn(
      'vrrp-unicast-ttl-alone',
      v.unicast_ttl.keyword,
      text(`${name}: unicast_ttl does nothing without unicast peers`, `${name}：没有单播对端时 unicast_ttl 不起作用`),
    );
  if (peers.length > 0) return { peers };
  if (!wanted) return { peers: undefined };
  if (v.unicast_fault_no_peer) return { peers: [] };
  report.warn(
    'vrrp-unicast-no-peer',
    (v.unicast_peer?.[0] ?? v.unicast_src_ip)?.keyword,
    text(`${name}: no unicast peer is given, so multicast is used`, `${name}：没有单播对端，改用组播`),
    text('list the peers, or add unicast_fault_no_peer', '请列出对端，或加 unicast_fault_no_peer'),
  );
  return { peers: undefined };
}

export function groupOf(v: InstanceValues, family: Family, c: ReachContext): IpAddress {
  const own = v.mcast_dst_ip;
  const byGlobal = family === 4 ? c.global.vrrp_mcast_group4 : c.global.vrrp_mcast_group6;
  if (own && (familyOf(own.value) !== family || !isMulticast(own.value)))
    c.report.fault(
      'vrrp-group-address',
      own.at,
      text(`${own.value} is not an IPv${family} multicast group`, `${own.value} 不是 IPv${family} 组播地址`),
    );
  else if (own) return own.value;
  return byGlobal && isMulticast(byGlobal.value) ? byGlobal.value : DEFAULT_GROUP[family];
}

export function vmacOf(
  v: InstanceValues,
  family: Family,
  name: string,
  unicast: boolean,
  c: ReachContext,
): Vmac | undefined {
  const [m, i] = [v.use_vmac, v.use_ipvlan];
  if (!m && !i) return undefined;
  if (m && i)
    c.report.fault(
      'vrrp-vmac-both',
      i.keyword,
      text(`${name}: use_vmac and use_ipvlan`, `${name}：同时有 use_vmac 和 use_ipvlan`),
    );
  const got = (m ?? i) as Got<{ readonly name?: string; readonly group?: number }>;
  if (!v.interface)
    c.report.fault(
      'vrrp-vmac-interface',
      got.keyword,
      text(`${name}: a VMAC needs an interface`, `${name}:VMAC 需要 interface`),
    );
  const prefix = c.global.vmac_prefix?.value ?? 'vrrp';
  const vrid = v.virtual_router_id?.value ?? 0;
  const usual = `${prefix}.${vrid}`;
  const free = [
    usual,
    `${prefix}${family === 6 ? '6' : '4'}.${vrid}`,
    ...Array.from({ length: 255 }, (_, n) => `${prefix}${n}.${vrid}`),
  ];
  const chosen = got.value.name ?? free.find((n) => !c.vmacNames.has(n)) ?? usual;
  const other = c.vmacNames.get(chosen);
  if (other !== undefined)
    c.report.fault(
      'vrrp-vmac-name',
      got.at,
      text(`the interface ${chosen} is ${other}'s already`, `接口 ${chosen} 已属于 ${other}`),
    );
  c.vmacNames.set(chosen, name);
  if (m)
    return {
      kind: 'macvlan',
      name: chosen,
      mode: 'private',
      notify: m.value.notify ?? false,
      ...maybe('mac', m.value.mac),
      ...maybe('group', m.value.group),
    };
  const ipvlan = i!.value;
  if (family === 4 && !ipvlan.address && !unicast && !v.mcast_src_ip)
    c.report.fault(
      'vrrp-ipvlan-address',
      i!.keyword,
      text(`${name}: an IPv4 ipvlan needs an address`, `${name}:IPv4 的 ipvlan 需要地址`),
    );
  return {
    kind: 'ipvlan',
    name: chosen,
    mode: ipvlan.mode,
    notify: false,
    ...maybe('address', ipvlan.address),
    ...maybe('group', ipvlan.group),
  };
}

export function xmitBaseOf(
  v: InstanceValues,
  vmac: Vmac | undefined,
  unicast: boolean,
  name: string,
  report: Report,
): boolean {
  const asked = v.vmac_xmit_base;
  if (asked && !vmac) {
    report.fault(
      'vrrp-xmit-base-alone',
      asked.keyword,
      text(
        `${name}: vmac_xmit_base does nothing without use_vmac`,
        `${name}：没有 use_vmac 时 vmac_xmit_base 不起作用`,
      ),
    );
    return false;
  }
  if (vmac?.kind === 'macvlan' && unicast && !asked) {
    report.warn(
      'vrrp-xmit-base-set',
      v.use_vmac?.keyword,
      text(`${name}: unicast adverts leave from the base interface`, `${name}：单播通告从底层接口发出`),
      text('add vmac_xmit_base', '请加 vmac_xmit_base'),
    );
    return true;
  }
  return asked !== undefined;
}
