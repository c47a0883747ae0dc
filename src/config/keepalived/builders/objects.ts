import { type Family, familyOf, type Place, text } from '../../../base/index.ts';
import type { ObjectTracking, WantedAddress, WantedRoute, WantedRule } from '../../../vrrp/config.ts';
import type { AddressValue } from '../grammar/addresses.ts';
import type { RuleValue } from '../grammar/rules.ts';
import type { Got } from '../grammar/spec.ts';
import type { Report } from '../report.ts';

/** Addresses, routes and rules as lines say them, made whole: an interface for each, a priority for each rule. */
export type Objects = {
  readonly addresses: readonly WantedAddress[];
  readonly routes: readonly WantedRoute[];
  readonly rules: readonly WantedRule[];
};

const placedAddress = (v: AddressValue, byDefault: string): WantedAddress => ({
  ...v,
  interface: v.interface ?? byDefault,
  interfaceGiven: v.interface !== undefined,
});

/** Refuses what is there twice; the key is address and interface. */
export function buildAddresses(
  got: readonly Got<AddressValue>[],
  byDefault: string,
  seen: Map<string, Place>,
  report: Report,
): WantedAddress[] {
  return got.flatMap(({ value, at }) => {
    const wanted = placedAddress(value, byDefault);
    const key = `${wanted.prefix.address}/${wanted.prefix.length} ${wanted.interface} ${wanted.label ?? ''}`;
    const first = seen.get(key);
    if (first) {
      report.warn(
        'address-repeated',
        at,
        text(
          `${value.prefix.address} is given in line ${first.line} already; once is enough`,
          `${value.prefix.address} 在第 ${first.line} 行已经给出，忽略重复`,
        ),
      );
      return [];
    }
    seen.set(key, at);
    return [wanted];
  });
}

/** A route that names no interface cannot be followed in the kernel's messages: keepalived says so and does not track it. */
export function buildRoutes(got: readonly Got<WantedRoute>[], report: Report): WantedRoute[] {
  return got.map(({ value, at }) => {
    const tracked = value.tracking.kind !== 'ignore';
    const named = value.hops.some((h) => h.interface !== undefined);
    const discards = value.type !== 'unicast';
    if (!tracked || named || discards) return value;
    report.warn(
      'route-untracked',
      at,
      text('this route names no interface: its loss is not noticed', '该路由没有指定接口，它丢失时不会被发现'),
      text("add 'dev IF', or 'no_track' to say that this is meant", "请加 'dev 接口',或用 'no_track' 表明这是有意的"),
    );
    const ignored: ObjectTracking = { kind: 'ignore' };
    return { ...value, tracking: ignored };
  });
}

/** keepalived makes preferences up from here downwards, for the whole file. */
const FIRST_MADE_UP = 16384;
export class RulePreferences {
  readonly #next: Record<Family, number> = { 4: FIRST_MADE_UP, 6: FIRST_MADE_UP };
  build(got: readonly Got<RuleValue>[], report: Report): WantedRule[] {
    return got.map(({ value, at }) => {
      let priority = value.priority;
      if (priority === undefined) {
        priority = this.#next[value.rule.family]--;
        report.warn(
          'rule-preference-missing',
          at,
          text(`this rule has no preference; ${priority} is taken`, `该规则没有 preference，取 ${priority}`),
          text('rules are ordered by preference alone: give each its own', '规则只按 preference 排序，请逐条指定'),
        );
      }
      return { rule: { ...value.rule, priority }, tracking: value.tracking };
    });
  }
}

export const familyOfAddress = (a: WantedAddress): Family => familyOf(a.prefix.address);
