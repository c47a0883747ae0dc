/** The parts that can be simulated, by name. */
import { runLb } from './lb/run.ts';
import { runCrashes } from './mirror/crashes.ts';
import { runDisks } from './mirror/disks.ts';
import { runFence } from './mirror/fence.ts';
import { runMirror } from './mirror/run.ts';
import { runTwo } from './mirror/two.ts';
import { runVolumes } from './mirror/volumes.ts';
import type { Outcome } from './outcome.ts';
import { runVrrp } from './vrrp/run.ts';

export const SIMULATIONS: Readonly<Record<string, (seed: number) => Outcome>> = {
  vrrp: runVrrp,
  lb: runLb,
  mirror: runMirror,
  'mirror-crashes': runCrashes,
  'mirror-fencing': runFence,
  'mirror-disks': runDisks,
  'mirror-two': runTwo,
  'mirror-volumes': runVolumes,
};
