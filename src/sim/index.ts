export { SimHost, type SimPorts } from './host.ts';
export { SIMULATIONS } from './registry.ts';
export { type Carried, type Port, Segment } from './segment.ts';
export type { VrrpOptions } from './vrrp/options.ts';
export { Broken, type Outcome, runVrrp, VrrpWorld } from './vrrp/run.ts';
export { World } from './world.ts';
