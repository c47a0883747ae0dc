import { type Text, text, unreachable } from '../../../base/index.ts';
import {
  encapFault,
  type LinkAddress,
  type LinkSettings,
  NLM_F,
  type Route,
  RTM,
  writeAddress,
  writeLinkIndex,
  writeLinkSettings,
  writeMacvlan,
  writeNeighbourKey,
  writeRoute,
  writeRule,
} from '../../../wire/index.ts';
import { commandLine, type NameOf, type NetCommand, type NetlinkRequest } from '../../index.ts';

const CHANGE = NLM_F.create | NLM_F.replace;

/** The key of an address is all that its removal names: a label or lifetime that has changed meanwhile must not save it. */
const addressKey = (a: LinkAddress): LinkAddress => ({
  ifindex: a.ifindex,
  prefix: a.prefix,
  ...(a.peer !== undefined && { peer: a.peer }),
  scope: a.scope,
});
/** Next hops stay, for of two routes with one key (`append`) they tell which; metrics and times do not. */
function routeKey(r: Route): Route {
  const { metrics, expiresSeconds, preference, ttlPropagate, ...key } = r;
  return key;
}

/** Of one message the kernel raises the link before it turns address generation off: the link-local address would be there. */
function linkSteps(s: LinkSettings): readonly LinkSettings[] {
  if (!s.up || !s.noAddressGeneration) return [s];
  const { up, ...rest } = s;
  return [rest, { ifindex: s.ifindex, up }];
}

/** The messages that do it, in their order, or the option that cannot be sent. */
export function requestsOf(c: NetCommand): readonly NetlinkRequest[] | { readonly fault: string } {
  switch (c.do) {
    case 'address-replace':
      return [{ type: RTM.newAddress, flags: CHANGE, write: (w) => writeAddress(w, c.address) }];
    case 'address-remove':
      return [{ type: RTM.delAddress, flags: 0, write: (w) => writeAddress(w, addressKey(c.address)) }];
    case 'route-replace': {
      const fault = c.route.hops.map((h) => h.encap && encapFault(h.encap)).find((f) => f !== undefined);
      if (fault !== undefined) return { fault };
      const flags = c.append ? NLM_F.create | NLM_F.append : c.prepend ? NLM_F.create : CHANGE;
      return [{ type: RTM.newRoute, flags, write: (w) => writeRoute(w, c.route) }];
    }
    case 'route-remove':
      return [{ type: RTM.delRoute, flags: 0, write: (w) => writeRoute(w, routeKey(c.route)) }];
    case 'rule-add':
      return [{ type: RTM.newRule, flags: NLM_F.create | NLM_F.excl, write: (w) => writeRule(w, c.rule) }];
    case 'rule-remove':
      // The kernel removes the first rule that agrees in what is named here, also one that asks for more (a mark, an
      // interface): only a protocol of our own tells ours from a narrower rule of others at the same priority.
      return [{ type: RTM.delRule, flags: 0, write: (w) => writeRule(w, c.rule) }];
    case 'neighbour-remove': {
      const { ifindex, address } = c.neighbour;
      return [{ type: RTM.delNeighbour, flags: 0, write: (w) => writeNeighbourKey(w, ifindex, address) }];
    }
    case 'macvlan-add':
      return [{ type: RTM.newLink, flags: NLM_F.create | NLM_F.excl, write: (w) => writeMacvlan(w, c) }];
    case 'link-set':
      return linkSteps(c).map((s) => ({ type: RTM.setLink, flags: 0, write: (w) => writeLinkSettings(w, s) }));
    case 'link-remove':
      return [{ type: RTM.delLink, flags: 0, write: (w) => writeLinkIndex(w, c.ifindex) }];
    default:
      return unreachable(c);
  }
}

/** Refusals that mean that the table already is as it should be. A link that is gone took its addresses and routes along. */
const ALREADY: Record<NetCommand['do'], readonly string[]> = {
  'address-replace': [],
  'address-remove': ['EADDRNOTAVAIL', 'ENODEV'],
  'route-replace': ['EEXIST'],
  'route-remove': ['ESRCH', 'ENODEV'],
  'rule-add': ['EEXIST'],
  'rule-remove': ['ENOENT'],
  'neighbour-remove': ['ENOENT', 'ENODEV'],
  'macvlan-add': [],
  'link-set': [],
  'link-remove': ['ENODEV'],
};
export const alreadySo = (c: NetCommand, code: string): boolean => ALREADY[c.do].includes(code);

const VERB: Record<NetCommand['do'], Text> = {
  'address-replace': text('set an address', '设置地址'),
  'address-remove': text('remove an address', '删除地址'),
  'route-replace': text('set a route', '设置路由'),
  'route-remove': text('remove a route', '删除路由'),
  'rule-add': text('add a policy rule', '添加策略规则'),
  'rule-remove': text('remove a policy rule', '删除策略规则'),
  'neighbour-remove': text('forget a neighbour', '清除邻居项'),
  'macvlan-add': text('create a macvlan', '创建 macvlan'),
  'link-set': text('change a link', '修改链路'),
  'link-remove': text('remove a link', '删除链路'),
};
/** What was tried, and the `ip` command that would do the same. */
export function doing(c: NetCommand, nameOf: NameOf): Text {
  const [verb, line] = [VERB[c.do], commandLine(c, nameOf)];
  return text(`${verb.en} (${line})`, `${verb.zh}（${line}）`);
}
