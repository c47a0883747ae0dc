export { Guard } from './driver.ts';
export { GUARD_TABLE, type GuardEntry, type GuardPlan, guardEntries, guardSets, planGuard } from './guard.ts';
