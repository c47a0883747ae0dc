/** Routes and policy rules of a simulated kernel: kept and told of; no packet is routed by them. */
import type { Family } from '../base/index.ts';
import {
  type NetChange,
  type NetCommand,
  type Route,
  type Rule,
  routeIdentities,
  routeIdentity,
  ruleKey,
} from '../host/index.ts';

const byHops = (r: Route): string | undefined => routeIdentities(r)[1];

export class RoutingTables {
  readonly #tell: (c: NetChange) => void;
  #routes: readonly Route[] = [];
  #rules: readonly Rule[] = [];

  constructor(tell: (c: NetChange) => void) {
    this.#tell = tell;
  }
  get routes(): readonly Route[] {
    return this.#routes;
  }
  get rules(): readonly Rule[] {
    return this.#rules;
  }
  find(o: { readonly family: Family; readonly table?: number; readonly protocol?: number }): readonly Route[] {
    return this.#routes.filter(
      (r) => r.family === o.family && (o.table ?? r.table) === r.table && (o.protocol ?? r.protocol) === r.protocol,
    );
  }
  /** What a process asks for. Other commands do nothing here. */
  apply(c: NetCommand): void {
    if (c.do === 'route-replace') this.putRoute(c.route, c.append || c.prepend);
    else if (c.do === 'route-remove') this.removeRoutes((r) => byHops(r) === byHops(c.route), true);
    else if (c.do === 'rule-add') this.putRule(c.rule);
    else if (c.do === 'rule-remove') this.removeRules((r) => ruleKey(r) === ruleKey(c.rule), true);
  }
  /** In the place of the one with its key, or beside it. */
  putRoute(route: Route, beside = false): void {
    const other = (r: Route): boolean => beside || routeIdentity(r) !== routeIdentity(route);
    this.#routes = [...this.#routes.filter(other), route];
    this.#tell({ kind: 'route', route });
  }
  /** `own`: by the process itself. */
  removeRoutes(which: (r: Route) => boolean, own = false): void {
    const gone = this.#routes.filter(which);
    this.#routes = this.#routes.filter((r) => !gone.includes(r));
    for (const route of gone) this.#tell({ kind: 'route-gone', route, ...(own && { own }) });
  }
  putRule(rule: Rule): void {
    this.#rules = [...this.#rules, rule];
    this.#tell({ kind: 'rule', rule });
  }
  removeRules(which: (r: Rule) => boolean, own = false): void {
    const gone = this.#rules.filter(which);
    this.#rules = this.#rules.filter((r) => !gone.includes(r));
    for (const rule of gone) this.#tell({ kind: 'rule-gone', rule, ...(own && { own }) });
  }
  /** The power went. */
  clear(): void {
    this.#routes = [];
    this.#rules = [];
  }
}
