export { addressKey, routeKey, ruleKey, sendable } from './canonical.ts';
export { commandLine, describePlan, type NameOf } from './describe.ts';
export { type ActualTables, type NetTables, type PlannedCommand, plan, type WantedRoute } from './plan.ts';
export { type DoneCommand, readTables, reconcile } from './reconcile.ts';
