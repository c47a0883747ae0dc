export type * from './config.ts';
export { describeBecause, describeDrop, describeFault, describeOddity } from './describe.ts';
export {
  type GroupStatus,
  type InstanceStatus,
  type LastWill,
  leaseSeconds,
  Vrrp,
  type VrrpOptions,
  type VrrpPorts,
  type VrrpStatus,
} from './driver.ts';
export { exampleAddress, exampleConfig, exampleGroup, exampleInstance } from './example.ts';
export type { GroupStateName } from './group.ts';
export type { Notification } from './notify.ts';
export type { Drop, DropKind, Oddity } from './receive.ts';
export type { RouterStats } from './router.ts';
export { masterDownTime, skewTime } from './timers.ts';
export * from './track/index.ts';
export type { TrackerValue } from './tracking.ts';
export type { Because, Fault, NotifyWord, StateName, TrackerKind } from './types.ts';
