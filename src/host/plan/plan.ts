import { familyOf, type Text, text } from '../../base/index.ts';
import type { Link, LinkAddress, NetCommand, Route, Rule } from '../ports.ts';
import { addressKey, fixedParts, routeFits, routeKey, ruleKey, sendable, subnetKey } from './canonical.ts';

/** A route, and where it goes among others of the same key; without a placement it is the only one. */
export type PlacedRoute = Route & { readonly placement?: 'append' | 'prepend' };
export type NetTables = {
  readonly addresses: readonly LinkAddress[];
  readonly routes: readonly PlacedRoute[];
  readonly rules: readonly Rule[];
};
/** What the kernel has now. Of routes, at least those of the tables that `wanted` and `mine` name. */
export type ActualTables = NetTables & { readonly links: readonly Link[] };
/** One step, and why it is taken. */
export type PlannedCommand = { readonly command: NetCommand; readonly reason: Text };

export const NO_TABLES: NetTables = { addresses: [], routes: [], rules: [] };
export type PlanOptions = {
  /**
   * Lifetimes of addresses are set again however much is left of them: for who renews a lease in time, since what is
   * known of an address is what the kernel last told, and that does not count down.
   */
  readonly renewLifetimes?: boolean;
};
/** linux/rtnetlink.h: set by the kernel itself, with an address. */
const RTPROT_KERNEL = 2;
const MISSING = text('is missing', '缺失');
const RENEWED = text('its lifetime is renewed', '续期');
const unneeded = (command: NetCommand): PlannedCommand => ({
  command,
  reason: text('is no longer wanted', '不再需要'),
});

/**
 * The fewest commands that bring the kernel's tables from `actual` to `wanted`. None where all is as it should be: a
 * restarted daemon takes over what is there. Ours is what has the key of something wanted, and what `mine` lists (what
 * was held before); of all else nothing is removed or changed.
 *
 * Additions come before removals, so that nothing that stays is ever without its address; addresses before the routes
 * that use them as source, and those before the rules that lead to them; removals the other way round. What the kernel
 * takes along with a removed address is put back.
 */
export function plan(
  wanted: NetTables,
  actual: ActualTables,
  mine: NetTables = NO_TABLES,
  options: PlanOptions = {},
): PlannedCommand[] {
  const addresses = planAddresses(wanted.addresses, actual, options.renewLifetimes ?? false);
  const removedRoutes = unwantedRoutes(wanted.routes, actual.routes, mine.routes);
  const removedAddresses = removedOf(mine.addresses, wanted.addresses, actual.addresses);
  const renewed = new Set(addresses.flatMap(({ command: c }) => (c.do === 'address-remove' ? [c.address] : [])));
  return [
    ...addresses,
    ...planRoutes(wanted.routes, actual.routes, [...renewed]),
    ...planRules(wanted.rules, actual.rules),
    ...unwanted(wanted.rules, actual.rules, mine.rules, ruleKey).map((rule) => unneeded({ do: 'rule-remove', rule })),
    ...removedRoutes.map((route) => unneeded({ do: 'route-remove', route })),
    ...removedAddresses.map((address) => unneeded({ do: 'address-remove', address })),
    ...putBack(removedAddresses, wanted, actual, removedRoutes),
  ];
}

/** Addresses of ours that are there and are not wanted any more. */
export function removedOf(
  mine: readonly LinkAddress[],
  wanted: readonly LinkAddress[],
  actual: readonly LinkAddress[],
): LinkAddress[] {
  return unwanted(wanted, among(mine, actual), mine, addressKey);
}
/** Of all that are there those with an IP address of `some`: a host may have thousands, and only a few are given their keys. */
function among(some: readonly LinkAddress[], actual: readonly LinkAddress[]): readonly LinkAddress[] {
  if (some.length === 0) return [];
  const ips = new Set(some.map((a) => a.prefix.address));
  return actual.filter((a) => ips.has(a.prefix.address));
}

/** What is there under a key of ours that is not wanted any more. */
function unwanted<T>(wanted: readonly T[], actual: readonly T[], mine: readonly T[], key: (t: T) => string): T[] {
  if (mine.length === 0) return [];
  const keep = new Set(wanted.map(key));
  const ours = new Set(mine.map(key));
  return actual.filter((t) => {
    const k = key(t);
    return ours.has(k) && !keep.has(k);
  });
}

function planAddresses(wanted: readonly LinkAddress[], actual: ActualTables, renew: boolean): PlannedCommand[] {
  const there = new Map(among(wanted, actual.addresses).map((a) => [addressKey(a), a]));
  const names = new Map(actual.links.map((l) => [l.ifindex, l.name]));
  return wanted.flatMap((address): PlannedCommand[] => {
    const replace = { do: 'address-replace', address } as const;
    const old = there.get(addressKey(address));
    if (old === undefined) return [{ command: replace, reason: MISSING }];
    const name = names.get(address.ifindex);
    if (fixedParts(address, name) !== fixedParts(old, name)) {
      // The kernel changes nothing but lifetimes of an address that is there.
      const reason = text('differs, and cannot be changed in place', '内容不同，且无法就地修改');
      return [
        { command: { do: 'address-remove', address: old }, reason },
        { command: replace, reason },
      ];
    }
    if (old.dadFailed) {
      const reason = text('was found to be a duplicate and is tried again', '曾被判定为重复地址，重新尝试');
      return [
        { command: { do: 'address-remove', address: old }, reason },
        { command: replace, reason },
      ];
    }
    const reason = renew && address.validSeconds !== undefined ? RENEWED : lifetimeReason(address, old);
    return reason === undefined ? [] : [{ command: replace, reason }];
  });
}
/** A lifetime counts down by itself: it is set again once less than half of it is left. */
function lifetimeReason(wanted: LinkAddress, old: LinkAddress): Text | undefined {
  const [w, o] = [lifetimes(wanted), lifetimes(old)];
  for (const which of ['valid', 'preferred'] as const) {
    const [want, left] = [w[which], o[which]];
    if (want === left || (Number.isFinite(left) && left <= want && left * 2 >= want)) continue;
    const en = (n: number): string => (Number.isFinite(n) ? `${n} s` : 'for ever');
    const zh = (n: number): string => (Number.isFinite(n) ? `${n} 秒` : '永久');
    const zhWhich = which === 'valid' ? '有效期' : '首选期';
    return text(
      `its ${which} lifetime is ${en(left)}, wanted is ${en(want)}`,
      `${zhWhich}剩余${zh(left)}，期望为${zh(want)}`,
    );
  }
  return undefined;
}
function lifetimes(a: LinkAddress): { readonly valid: number; readonly preferred: number } {
  const valid = a.validSeconds ?? Number.POSITIVE_INFINITY;
  return { valid, preferred: Math.min(a.preferredSeconds ?? Number.POSITIVE_INFINITY, valid) };
}

/** Of several routes with one key (`append`) only those that are like one of ours. */
function unwantedRoutes(wanted: readonly PlacedRoute[], actual: readonly Route[], mine: readonly Route[]): Route[] {
  const [want, there, ours] = [wanted, actual, mine].map((list) => Map.groupBy(list, routeKey)) as [
    Map<string, PlacedRoute[]>,
    Map<string, Route[]>,
    Map<string, Route[]>,
  ];
  return actual.filter((r) => {
    const key = routeKey(r);
    const wantedHere = want.get(key) ?? [];
    const oursHere = ours.get(key) ?? [];
    // Without a placement the wanted route overwrites what is there.
    if (wantedHere.some((w) => w.placement === undefined || routeFits(w, r))) return false;
    const alone = wantedHere.length === 0 && there.get(key)?.length === 1;
    return alone ? oursHere.length > 0 : oursHere.some((m) => routeFits(m, r));
  });
}

/**
 * With an IPv4 address the kernel removes those behind it in its subnet (secondaries), whoever set them, and the routes
 * that lead through that subnet, unless the sysctl promote_secondaries is on. All these are set once more behind the
 * removal; where they were spared, this changes nothing.
 */
function putBack(
  removed: readonly LinkAddress[],
  wanted: NetTables,
  actual: NetTables,
  removedRoutes: readonly Route[],
): PlannedCommand[] {
  const addresses = takenAlong(removed, wanted.addresses, actual.addresses);
  if (addresses.length === 0) return [];
  const links = new Set(addresses.map((a) => a.ifindex));
  const wantedKeys = new Set(wanted.routes.map(routeKey));
  const routes = [...wanted.routes, ...actual.routes.filter((r) => !wantedKeys.has(routeKey(r)))].filter(
    (r) =>
      r.family === 4 &&
      r.protocol !== RTPROT_KERNEL && // comes back with its address
      r.hops.some((h) => h.ifindex !== undefined && links.has(h.ifindex)) &&
      !removedRoutes.includes(r),
  );
  const reason = text(
    'may have gone with the address that was before another one in its subnet',
    '可能已随同一子网中排在前面的地址一并被内核删除',
  );
  return [
    ...addresses.map((address) => ({ command: { do: 'address-replace', address } as const, reason })),
    ...routes.map((route) => ({ command: routeCommand(route), reason })),
  ];
}

/** Addresses that stay, and that the kernel may take away together with `removed`: they are behind one of these in its subnet. */
export function takenAlong(
  removed: readonly LinkAddress[],
  wanted: readonly LinkAddress[],
  actual: readonly LinkAddress[],
): LinkAddress[] {
  const subnets = new Set(removed.filter((a) => familyOf(a.prefix.address) === 4 && !a.secondary).map(subnetKey));
  if (subnets.size === 0) return [];
  const gone = new Set(removed.map(addressKey));
  const after = new Map(actual.filter((a) => a.secondary).map((a) => [addressKey(a), a]));
  const held = new Set(among(wanted, actual).map(addressKey));
  for (const a of wanted) {
    // What is wanted and was not there has just been added: behind what is now removed.
    if (after.has(addressKey(a)) || !held.has(addressKey(a))) after.set(addressKey(a), a);
  }
  return [...after.values()].filter((a) => subnets.has(subnetKey(a)) && !gone.has(addressKey(a)));
}

function routeCommand({ placement, ...route }: PlacedRoute): NetCommand {
  return {
    do: 'route-replace',
    route: sendable(route),
    ...(placement === 'append' && { append: true }),
    ...(placement === 'prepend' && { prepend: true }),
  };
}
/** `renewed`: addresses that are taken away and set again before, with which routes may have gone. */
function planRoutes(
  wanted: readonly PlacedRoute[],
  actual: readonly Route[],
  renewed: readonly LinkAddress[],
): PlannedCommand[] {
  const there = Map.groupBy(actual, routeKey);
  return wanted.flatMap((route): PlannedCommand[] => {
    const old = there.get(routeKey(route)) ?? [];
    const fit = old.find((r) => routeFits(route, r));
    const command = routeCommand(route);
    if (fit === undefined) {
      const reason = old.length === 0 || route.placement !== undefined ? MISSING : text('differs', '内容不同');
      return [{ command, reason }];
    }
    if (renewed.some((a) => a.prefix.address === fit.source || fit.hops.some((h) => h.ifindex === a.ifindex)))
      return [{ command, reason: text('may have gone with an address of its link', '可能已随其链路上的地址一并消失') }];
    const [want, left] = [route.expiresSeconds, fit.expiresSeconds];
    if (want === undefined ? left === undefined : left !== undefined && left <= want && left * 2 >= want) return [];
    return [{ command, reason: text('its lifetime is not the wanted one', '有效期与期望不符') }];
  });
}

function planRules(wanted: readonly Rule[], actual: readonly Rule[]): PlannedCommand[] {
  const there = new Set(actual.map(ruleKey));
  return wanted
    .filter((rule) => !there.has(ruleKey(rule)))
    .map((rule) => ({ command: { do: 'rule-add', rule }, reason: MISSING }));
}
