export { checkDefinition, isPrivatePath } from './definition.ts';
export { LabError } from './error.ts';
export type { Host, RunOptions, RunResult } from './host.ts';
export { Lab } from './lab.ts';
export type { Capture, Link } from './link.ts';
export { Load, type LoadOptions, type LoadState, startLoad } from './load.ts';
export { MirrorPair, PAIR, type PairHost, type PairOptions } from './mirror-pair.ts';
export { type Offer, offer } from './offer.ts';
export { type Answer, longestOutage, type Outage } from './outages.ts';
export type { PortState } from './plan.ts';
export { Probe, type ProbeOptions, type ProbeTarget, startProbe, startResponder } from './probe.ts';
export { type Exit, type Line, now, type Program, type SpawnOptions } from './program.ts';
export {
  type Direction,
  type HostDefinition,
  type LabDefinition,
  type LinkDefinition,
  privateFolders,
  type Slowness,
  type SwitchDefinition,
} from './types.ts';
