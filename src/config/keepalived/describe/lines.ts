import { familyOf, formatPrefix, hostLength, type IpPrefix } from '../../../base/index.ts';
import type { ObjectTracking, WantedAddress, WantedHop, WantedRoute, WantedRule } from '../../../vrrp/config.ts';
import { quoted } from './writer.ts';

const prefixText = (p: IpPrefix): string =>
  p.length === hostLength(familyOf(p.address)) ? p.address : formatPrefix(p);
const trackingText = (t: ObjectTracking): string[] =>
  t.kind === 'ignore' ? ['no_track'] : t.kind === 'group' ? ['track_group', quoted(t.group)] : [];
const pair = (word: string, value: string | number | undefined): string[] =>
  value === undefined ? [] : [word, String(value)];

export function addressText(a: WantedAddress): string {
  const broadcast = a.broadcast === 'derive' ? '+' : a.broadcast === 'none' ? '-' : a.broadcast;
  return [
    formatPrefix(a.prefix),
    ...(a.interfaceGiven ? ['dev', quoted(a.interface)] : []),
    ...pair('brd', broadcast),
    ...pair('scope', a.scope),
    ...pair('label', a.label === undefined ? undefined : quoted(a.label)),
    ...pair('peer', a.peer && formatPrefix(a.peer)),
    ...(a.home ? ['home'] : []),
    ...(a.detectDuplicates ? ['-nodad'] : []),
    ...(a.manageTempAddr ? ['mngtmpaddr'] : []),
    ...(a.noPrefixRoute ? ['noprefixroute'] : []),
    ...(a.autoJoin ? ['autojoin'] : []),
    ...pair('preferred_lft', a.preferredSeconds),
    ...(a.useVmac ? ['use_vmac'] : []),
    ...trackingText(a.tracking),
  ].join(' ');
}

const realmsText = (r: number): string => (r > 65535 ? `${Math.floor(r / 65536)}/${r % 65536}` : String(r));

function hopText(h: WantedHop): string[] {
  const { labels, locator, ...options } = h.encap?.options ?? {};
  return [
    ...pair('via', h.via),
    ...pair('dev', h.interface === undefined ? undefined : quoted(h.interface)),
    ...pair('weight', h.weight),
    ...(h.onlink ? ['onlink'] : []),
    ...pair('realms', h.realms === undefined ? undefined : realmsText(h.realms)),
    ...(h.encap
      ? [
          'encap',
          h.encap.kind,
          ...[labels, locator].flatMap((x) => (x === undefined ? [] : [quoted(x)])),
          ...Object.entries(options).flatMap(([k, v]) => [k, quoted(v)]),
        ]
      : []),
  ];
}

export function routeText(r: WantedRoute): string {
  const { congctl, locked = [], features, ...numbers } = r.metrics ?? {};
  const [first, ...others] = r.hops;
  const hops = others.length === 0 ? (first ? hopText(first) : []) : r.hops.flatMap((h) => ['nexthop', ...hopText(h)]);
  const lock = (word: string): string[] => (locked.includes(word) ? ['lock'] : []);
  return [
    ...(r.family === 6 ? ['inet6'] : []),
    ...(r.how === 'replace' ? [] : [r.how]),
    ...(r.type === 'unicast' ? [] : [r.type]),
    r.destination ? prefixText(r.destination) : 'default',
    ...pair('from', r.from && prefixText(r.from)),
    ...pair('src', r.source),
    'table',
    String(r.table),
    ...pair('metric', r.metric),
    ...pair('scope', r.scope),
    ...pair('protocol', r.protocol),
    ...pair('tos', r.tos),
    ...Object.entries(numbers).flatMap(([k, v]) => [k, ...lock(k), String(v)]),
    ...(features === undefined ? [] : ['features', 'ecn']),
    ...(congctl === undefined ? [] : ['congctl', ...lock('congctl'), quoted(congctl)]),
    ...pair('expires', r.expiresSeconds),
    ...pair('pref', r.preference),
    ...pair('ttl-propagate', r.ttlPropagate === undefined ? undefined : r.ttlPropagate ? 'enabled' : 'disabled'),
    ...pair('vrf', r.vrf === undefined ? undefined : quoted(r.vrf)),
    ...trackingText(r.tracking),
    ...hops,
  ].join(' ');
}

const span = (s: { readonly from: number; readonly to: number } | undefined): string | undefined =>
  s && (s.from === s.to ? String(s.from) : `${s.from}-${s.to}`);
export function ruleText({ rule: r, tracking }: WantedRule): string {
  const { action } = r;
  return [
    ...(r.family === 6 ? ['inet6'] : []),
    ...(r.invert ? ['not'] : []),
    ...pair('from', r.from && prefixText(r.from)),
    ...pair('to', r.to && prefixText(r.to)),
    ...pair('tos', r.tos),
    ...pair(
      'fwmark',
      r.fwmark === undefined ? undefined : r.fwmask === undefined ? r.fwmark : `${r.fwmark}/${r.fwmask}`,
    ),
    ...pair('iif', r.iif === undefined ? undefined : quoted(r.iif)),
    ...pair('oif', r.oif === undefined ? undefined : quoted(r.oif)),
    ...pair('realms', r.realms === undefined ? undefined : realmsText(r.realms)),
    ...pair('suppress_prefixlength', r.suppressPrefixLength),
    ...pair('suppress_ifgroup', r.suppressGroup),
    ...pair('tunnel-id', r.tunnelId === undefined ? undefined : String(r.tunnelId)),
    ...pair('uidrange', span(r.uidRange)),
    ...pair('ipproto', r.ipProtocol),
    ...pair('sport', span(r.sourcePorts)),
    ...pair('dport', span(r.destinationPorts)),
    ...pair('protocol', r.protocol),
    'priority',
    String(r.priority),
    ...(r.l3mdev
      ? ['l3mdev']
      : action.do === 'table'
        ? ['table', String(action.table)]
        : action.do === 'goto'
          ? ['goto', String(action.priority)]
          : [action.do]),
    ...trackingText(tracking),
  ].join(' ');
}
