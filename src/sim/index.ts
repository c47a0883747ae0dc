export { SIMULATIONS } from './registry.ts';
export type { VrrpOptions } from './vrrp/options.ts';
export { Broken, type Outcome, runVrrp, VrrpWorld } from './vrrp/run.ts';
