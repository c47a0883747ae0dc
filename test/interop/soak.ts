/** Many virtual routers on a machine that has no time for them: every takeover without a fault is a false one. */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { now } from '../../src/lab/index.ts';
import { linksFor, manyAddresses, manyConf } from './many.ts';
import { CLIENT, LINK, Rig, routerAddress, type Software } from './rig.ts';

export type SoakResult = {
  /** Adverts that the backup sent: it sends one only when it believes that the master is gone. */
  readonly adverts: number;
  /** Addresses that came to the backup. */
  readonly takeovers: number;
  /** Advertisements of the master that should have passed meanwhile, and that did. */
  readonly due: number;
  readonly seen: number;
};

/** One process for each core that does nothing but compute, in a host of the lab, at ordinary priority. */
export const spinners = (rig: Rig) =>
  Array.from({ length: availableParallelism() }, () => rig.host(CLIENT).spawn(['sh', '-c', 'while :; do :; done']));

/** `advertInt` in seconds. */
export async function soak(
  software: Software,
  instances: number,
  advertInt: number,
  durationMs: number,
): Promise<SoakResult> {
  const router = (priority: number) => ({ software, conf: manyConf(instances, advertInt, priority) });
  await using rig = await Rig.start({ routers: { r1: router(150), r2: router(100) }, links: linksFor(instances) });
  const addresses = manyAddresses(instances);
  rig.startDaemon('r1');
  const settled = (): boolean => addresses.every((a) => rig.addresses.holders(a).join() === 'r1');
  await rig.until(settled, 60_000, () => `r1 should hold all of ${instances} addresses`);
  rig.startDaemon('r2');
  await sleep(5000 * advertInt + 3000);

  const count = (source: string) =>
    rig.host(CLIENT).spawn(
      // Only counted: a line of text for each of a thousand packets a second would be a load of its own.
      ['tcpdump', '-i', LINK, '-n', '-Z', 'root', '-w', '/dev/null', `ip proto 112 and src ${source}`],
    );
  const counters = [count(routerAddress(1)), count(routerAddress(2))];
  await Promise.all(counters.map((c) => c.line(/listening on/)));
  const from = now();
  const busy = spinners(rig);
  await sleep(durationMs);
  const seconds = (now() - from) / 1e6;
  for (const c of counters) await c.kill('SIGINT');
  const [seen = 0, adverts = 0] = await Promise.all(
    counters.map(async (c) => {
      await c.exited;
      return Number(/^(\d+) packets? received by filter/m.exec(c.text('stderr'))?.[1] ?? Number.NaN);
    }),
  );
  for (const b of busy) await b.kill('SIGKILL');
  const takeovers = rig.addresses.changesSince(from).filter((change) => change.startsWith('r2 +')).length;
  const onFirstLink = addresses.filter((a) => a.startsWith('10.9.')).length;
  return { adverts, takeovers, due: Math.floor((seconds * onFirstLink) / advertInt), seen };
}
