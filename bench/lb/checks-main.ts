/** A process of its own: runs many checks over the host's real ports for a while, and prints what it cost. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type IpAddress, invariant, seconds } from '../../src/base/index.ts';
import type { Checker, CheckReport, CheckSpec } from '../../src/director/index.ts';
import { startCheckRunner } from '../../src/director/index.ts';
import { linuxClock, linuxFiles, linuxStreams, loadAddon } from '../../src/host/linux/index.ts';

export type CheckLoad = {
  readonly kind: 'tcp' | 'http' | 'https' | 'udp';
  readonly checks: number;
  readonly port: number;
  readonly seconds: number;
};
export type CheckCost = {
  /** Percent of one core. */
  readonly cpu: number;
  /** Attempts in each second. */
  readonly rate: number;
  /** Attempts that began later than their interval, in milliseconds: half of all, 99 of 100, the latest. */
  readonly late: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number };
  readonly failures: number;
  /** MiB. */
  readonly rss: number;
};

const INTERVAL = seconds(1);
/** Every server has an address of its own in 127.0.0.0/8, all answered by one listener. */
const address = (i: number): IpAddress => `127.1.${i >> 8}.${i & 255}` as IpAddress;

function checker(o: CheckLoad, i: number): Checker {
  const timing = {
    interval: INTERVAL,
    retry: 3,
    retryDelay: INTERVAL,
    warmup: INTERVAL,
    alpha: false,
    logAllFailures: false,
  };
  const connection = { address: address(i), port: o.port, timeout: seconds(3) };
  if (o.kind === 'tcp') return { kind: 'tcp', timing, connection };
  if (o.kind === 'udp') return { kind: 'udp', timing, connection, reply: { minLength: 0, maxLength: 255 } };
  return {
    kind: 'http',
    tls: o.kind === 'https',
    timing,
    connection,
    protocol: '1.0',
    urls: [{ path: '/', statusCodes: [{ from: 200, to: 299 }], tlsCompliant: false }],
    fastRecovery: false,
  };
}
const at = (sorted: Float64Array, share: number): number =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) / 1000;

async function main(o: CheckLoad): Promise<CheckCost> {
  const addon = loadAddon();
  invariant(addon.ok, 'the addon is built');
  const last = new Map<string, number>();
  let late: number[] = [];
  let latencies: number[] = [];
  let failures = 0;
  const clock = linuxClock(addon.value);
  const runner = startCheckRunner(
    {
      clock,
      streams: linuxStreams(addon.value),
      files: linuxFiles,
      entropy: { u32: () => Math.floor(Math.random() * 0x1_0000_0000) },
      log: { write: () => {} },
      run: () => ({ pid: undefined, signal: () => {} }),
    },
    randomBytes,
    (r: CheckReport) => {
      const before = last.get(r.id);
      const latency = r.latency ?? 0;
      if (before !== undefined) late.push(r.at - latency - before - INTERVAL);
      last.set(r.id, r.at);
      latencies.push(latency);
      if (!r.good) failures++;
    },
  );
  const specs = Array.from(
    { length: o.checks },
    (_, i): CheckSpec => ({
      id: `check ${i}`,
      service: 's',
      server: `${i}`,
      checker: checker(o, i),
      initial: 'up',
      suspended: false,
    }),
  );
  runner.set(specs, {});
  await sleep(5000); // the warm-up is over, and the code is compiled
  late = [];
  latencies = [];
  failures = 0;
  const cpu = process.cpuUsage();
  const from = clock.now();
  await sleep(o.seconds * 1000);
  const used = process.cpuUsage(cpu);
  const elapsed = clock.now() - from;
  const lateness = Float64Array.from(late).sort();
  const waits = Float64Array.from(latencies).sort();
  const status = readFileSync('/proc/self/status', 'utf8');
  runner.close();
  return {
    cpu: (100 * (used.user + used.system)) / elapsed,
    rate: (waits.length / elapsed) * 1e6,
    late: { p50: at(lateness, 0.5), p99: at(lateness, 0.99), max: at(lateness, 1) },
    latency: { p50: at(waits, 0.5), p99: at(waits, 0.99) },
    failures,
    rss: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024,
  };
}
if (process.argv[2] !== undefined) {
  console.log(JSON.stringify(await main(JSON.parse(process.argv[2]) as CheckLoad)));
  process.exit(0);
}
