export { addressKey, routeIdentities, routeIdentity, ruleKey, sendable } from './canonical.ts';
export { commandLine, describePlan, type NameOf } from './describe.ts';
export {
  type ActualTables,
  type NetTables,
  NO_TABLES,
  type PlacedRoute,
  type PlannedCommand,
  type PlanOptions,
  plan,
} from './plan.ts';
export { type DoneCommand, type ReadTables, type Reconciled, readTables, reconcile } from './reconcile.ts';
