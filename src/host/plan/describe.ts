import {
  type Family,
  familyOf,
  formatPrefix,
  hostLength,
  type IpPrefix,
  type Language,
  unreachable,
} from '../../base/index.ts';
import type { LinkAddress, NetCommand, NextHop, Route, RouteMetrics, Rule } from '../ports.ts';
import type { PlannedCommand } from './plan.ts';

/** The names of links, for people; an index without a name is written as `if7`. */
export type NameOf = (ifindex: number) => string | undefined;
/** One word or two of a command line, or nothing where the value is absent. */
type Words = readonly (string | false | undefined)[];
const join = (words: Words): string => words.filter((w) => w !== undefined && w !== false && w !== '').join(' ');
const option = (word: string, value: string | number | bigint | undefined): string | undefined =>
  value === undefined ? undefined : `${word} ${value}`;
const device = (ifindex: number, nameOf: NameOf): string => nameOf(ifindex) ?? `if${ifindex}`;
const range = (r: { readonly from: number; readonly to: number } | undefined): string | undefined =>
  r === undefined ? undefined : r.from === r.to ? `${r.from}` : `${r.from}-${r.to}`;
const ip = (family: Family): string => (family === 6 ? 'ip -6' : 'ip');
const prefix = (p: IpPrefix): string => (p.length === hostLength(familyOf(p.address)) ? p.address : formatPrefix(p));

function addressWords(a: LinkAddress, nameOf: NameOf): Words {
  return [
    a.peer === undefined ? formatPrefix(a.prefix) : `${a.prefix.address} peer ${formatPrefix(a.peer)}`,
    option('broadcast', a.broadcast),
    `dev ${device(a.ifindex, nameOf)}`,
    a.scope !== 'global' && `scope ${a.scope}`,
    option('label', a.label),
    option('valid_lft', a.validSeconds),
    option('preferred_lft', a.preferredSeconds),
    a.noDad && 'nodad',
    a.home && 'home',
    a.manageTempAddr && 'mngtmpaddr',
    a.noPrefixRoute && 'noprefixroute',
    a.autoJoin && 'autojoin',
    option('proto', a.protocol),
  ];
}
function hopWords(h: NextHop, family: Family, nameOf: NameOf, several: boolean): Words {
  return [
    several && 'nexthop',
    h.encap &&
      join([
        'encap',
        h.encap.kind,
        ...Object.entries(h.encap.options).map(([k, v]) => (k === 'labels' ? v : `${k} ${v}`)),
      ]),
    h.via && (familyOf(h.via) === family ? `via ${h.via}` : `via ${familyOf(h.via) === 6 ? 'inet6' : 'inet'} ${h.via}`),
    h.ifindex !== undefined && `dev ${device(h.ifindex, nameOf)}`,
    option('weight', h.weight),
    h.onlink && 'onlink',
    h.realms !== undefined && `realms ${realms(h.realms)}`,
  ];
}
/** Source realm in the upper half, destination realm in the lower. */
const realms = (n: number): string => (n >>> 16 === 0 ? `${n}` : `${n >>> 16}/${n & 0xffff}`);
function metricWords(m: RouteMetrics): Words {
  return Object.entries(m).map(([name, value]) =>
    name === 'locked' ? undefined : `${name}${m.locked?.includes(name) ? ' lock' : ''} ${value}`,
  );
}
function routeWords(r: Route, nameOf: NameOf): Words {
  return [
    r.type !== 'unicast' && r.type,
    r.destination === undefined ? 'default' : prefix(r.destination),
    r.from && `from ${prefix(r.from)}`,
    option('tos', r.tos),
    ...(r.hops.length === 1 ? hopWords(r.hops[0] as NextHop, r.family, nameOf, false) : []),
    `table ${r.table}`,
    `proto ${r.protocol}`,
    r.scope !== 'global' && `scope ${r.scope}`,
    option('metric', r.metric),
    option('src', r.source),
    ...(r.metrics === undefined ? [] : metricWords(r.metrics)),
    option('expires', r.expiresSeconds),
    option('pref', r.preference),
    r.ttlPropagate !== undefined && `ttl-propagate ${r.ttlPropagate ? 'enabled' : 'disabled'}`,
    ...(r.hops.length > 1 ? r.hops.flatMap((h) => hopWords(h, r.family, nameOf, true)) : []),
  ];
}
function ruleWords(r: Rule): Words {
  const hex = (n: number): string => `0x${n.toString(16)}`;
  const action = r.action;
  return [
    r.invert && 'not',
    `from ${r.from === undefined ? 'all' : prefix(r.from)}`,
    r.to && `to ${prefix(r.to)}`,
    option('tos', r.tos),
    r.fwmark !== undefined && `fwmark ${hex(r.fwmark)}${r.fwmask === undefined ? '' : `/${hex(r.fwmask)}`}`,
    option('iif', r.iif),
    option('oif', r.oif),
    r.l3mdev && 'l3mdev',
    option('tun_id', r.tunnelId),
    r.uidRange && `uidrange ${r.uidRange.from}-${r.uidRange.to}`,
    option('ipproto', r.ipProtocol),
    option('sport', range(r.sourcePorts)),
    option('dport', range(r.destinationPorts)),
    `priority ${r.priority}`,
    option('protocol', r.protocol),
    action.do === 'table'
      ? !r.l3mdev && `lookup ${action.table}`
      : action.do === 'goto'
        ? `goto ${action.priority}`
        : `${action.do === 'nop' ? '' : 'type '}${action.do}`,
    r.realms !== undefined && `realms ${realms(r.realms)}`,
    option('suppress_prefixlength', r.suppressPrefixLength),
    option('suppress_ifgroup', r.suppressGroup),
  ];
}

/** The `ip` command that does the same: for logs and plans, to be read and pasted, never run by Holdfast. */
export function commandLine(c: NetCommand, nameOf: NameOf): string {
  switch (c.do) {
    case 'address-replace':
      return join(['ip address replace', ...addressWords(c.address, nameOf)]);
    case 'address-remove': {
      const { ifindex, prefix: p, peer } = c.address;
      return join([
        'ip address del',
        ...addressWords({ ifindex, prefix: p, ...(peer && { peer }), scope: 'global' }, nameOf),
      ]);
    }
    case 'route-replace':
      return join([
        ip(c.route.family),
        `route ${c.append ? 'append' : c.prepend ? 'prepend' : 'replace'}`,
        ...routeWords(c.route, nameOf),
      ]);
    case 'route-remove': {
      const { metrics, expiresSeconds, preference, ttlPropagate, ...key } = c.route;
      return join([ip(c.route.family), 'route del', ...routeWords(key, nameOf)]);
    }
    case 'rule-add':
      return join([ip(c.rule.family), 'rule add', ...ruleWords(c.rule)]);
    case 'rule-remove':
      return join([ip(c.rule.family), 'rule del', ...ruleWords(c.rule)]);
    case 'neighbour-remove':
      return `ip neigh del ${c.neighbour.address} dev ${device(c.neighbour.ifindex, nameOf)}`;
    case 'macvlan-add':
      return join([
        `ip link add link ${device(c.lower, nameOf)} name ${c.name} address ${c.mac}`,
        option('group', c.group),
        `type macvlan mode ${c.mode}`,
      ]);
    case 'link-set':
      return join([
        `ip link set dev ${device(c.ifindex, nameOf)}`,
        c.up !== undefined && (c.up ? 'up' : 'down'),
        option('address', c.mac),
        option('name', c.name),
        c.master !== undefined && (c.master === 0 ? 'nomaster' : `master ${device(c.master, nameOf)}`),
        c.noAddressGeneration && 'addrgenmode none',
      ]);
    case 'link-remove':
      return `ip link del dev ${device(c.ifindex, nameOf)}`;
    default:
      return unreachable(c);
  }
}

/** One line for each command, with its reason as a comment; what a plan looks like in logs and golden files. */
export function describePlan(steps: readonly PlannedCommand[], nameOf: NameOf, language: Language): string {
  if (steps.length === 0) return language === 'zh' ? '# 无需改动' : '# nothing to do';
  return steps.map((s) => `${commandLine(s.command, nameOf)}  # ${s.reason[language]}`).join('\n');
}
