/** The parts that can be simulated, by name. */
import { type Outcome, runVrrp } from './vrrp/run.ts';

export const SIMULATIONS: Readonly<Record<string, (seed: number) => Outcome>> = { vrrp: runVrrp };
