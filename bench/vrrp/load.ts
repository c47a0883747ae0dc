/** Start, memory and processor time with many virtual routers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { now } from '../../src/lab/index.ts';
import { linksFor, manyAddresses, manyConf } from '../../test/interop/many.ts';
import { cpuSeconds, memoryOf, treeOf } from '../../test/interop/processes.ts';
import { Rig, type Software } from '../../test/interop/rig.ts';

const OWNER = 255;

/**
 * Milliseconds from the start of the program to the last address. Priority 255 takes its addresses without waiting for
 * anybody: what passes until then is start, reading, sockets and addresses.
 */
export async function loadTime(software: Software, instances: number): Promise<number> {
  const conf = manyConf(instances, 1, OWNER);
  await using rig = await Rig.start({ routers: { r1: { software, conf } }, links: linksFor(instances) });
  const addresses = manyAddresses(instances);
  const started = now();
  rig.startDaemon('r1');
  const all = (): boolean => addresses.every((a) => rig.addresses.holders(a).length === 1);
  await rig.until(all, 60_000, () => `all of ${instances} addresses should be there`);
  const last = Math.max(...addresses.map((a) => rig.addresses.history(a).at(-1)?.from ?? 0));
  return (last - started) / 1000;
}

export type Cost = {
  /** Percent of one core. */
  readonly sender: number;
  readonly receiver: number;
  /** Of the sender, MiB. */
  readonly rss: number;
  readonly pss: number;
};

/** A master and a backup of all instances, once everything is quiet. `advertInt` in seconds. */
export async function runningCost(
  software: Software,
  instances: number,
  advertInt: number,
  windowMs: number,
): Promise<Cost> {
  const router = (priority: number) => ({ software, conf: manyConf(instances, advertInt, priority) });
  await using rig = await Rig.start({
    routers: { r1: router(150), r2: router(100) },
    links: linksFor(instances),
  });
  const addresses = manyAddresses(instances);
  rig.startDaemon('r1');
  const settled = (): boolean => addresses.every((a) => rig.addresses.holders(a).join() === 'r1');
  await rig.until(settled, 60_000, () => `r1 should hold all of ${instances} addresses`);
  rig.startDaemon('r2');
  await sleep(6000); // past the second burst of announcements, 5 s after the first
  const trees = ['r1', 'r2'].map((name) => treeOf(rig.daemon(name).pid() as number));
  const before = trees.map(cpuSeconds);
  const from = now();
  await sleep(windowMs);
  const seconds = (now() - from) / 1e6;
  const [sender = 0, receiver = 0] = trees.map((t, i) => (100 * (cpuSeconds(t) - (before[i] as number))) / seconds);
  return { sender, receiver, ...memoryOf(trees[0] as readonly number[]) };
}
