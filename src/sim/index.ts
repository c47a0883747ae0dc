export { SimHost, type SimPorts } from './host.ts';
export { Broken, type Outcome } from './outcome.ts';
export { SIMULATIONS } from './registry.ts';
export { type Carried, type Port, Segment } from './segment.ts';
export type { VrrpOptions } from './vrrp/options.ts';
export { runVrrp, VrrpWorld } from './vrrp/run.ts';
export { World } from './world.ts';
