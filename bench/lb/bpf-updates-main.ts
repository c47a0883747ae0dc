/**
 * Run in network and mount namespaces of its own: puts many services by the bpf plane, changes one of them again and
 * again, hands all to a next process's plane, and prints the milliseconds of each as JSON.
 */
import type { IpAddress } from '../../src/base/index.ts';
import { BpfPlane } from '../../src/director/planes/bpf/index.ts';
import type { ServiceOutcome, WantedService } from '../../src/director/types.ts';
import { linuxBpf, linuxClock, linuxNetlink, loadAddon, openNetwork } from '../../src/host/linux/index.ts';

export type BpfUpdateLoad = { readonly services: number; readonly servers: number; readonly changes: number };
/** Milliseconds; `cpu`: of this process, with the kernel's time for it. */
export type BpfUpdateTimes = {
  readonly load: { readonly wall: number; readonly cpu: number };
  readonly weight: { readonly wall: readonly number[]; readonly cpu: readonly number[] };
  readonly service: { readonly wall: readonly number[]; readonly cpu: readonly number[] };
  readonly adopt: { readonly wall: number; readonly cpu: number };
};

type Cost = { readonly wall: number; readonly cpu: number };
/** `check` what it gave is not part of the cost. */
function cost<T>(run: () => T, check: (done: T) => void): Cost {
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  const done = run();
  const wall = Number(process.hrtime.bigint() - start) / 1e6;
  const used = process.cpuUsage(cpu);
  check(done);
  return { wall, cpu: (used.user + used.system) / 1000 };
}
const list = (costs: readonly Cost[]) => ({ wall: costs.map((c) => c.wall), cpu: costs.map((c) => c.cpu) });

const vip = (i: number): IpAddress => `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}` as IpAddress;
/** Every service has a choice of servers of its own: no two share a ring. */
const real = (i: number, k: number): IpAddress =>
  `10.0.${i % 250}.${1 + ((Math.floor(i / 250) * 5 + k) % 250)}` as IpAddress;
const service = (o: BpfUpdateLoad, i: number, weight = 1): WantedService => ({
  key: `tcp ${vip(i)}:80`,
  match: { by: 'address', protocol: 'tcp', ranges: [{ from: vip(i), to: vip(i) }], port: 80 },
  scheduler: 'wrr',
  flags: [],
  onePacket: false,
  servers: Array.from({ length: o.servers }, (_, k) => ({
    key: `${real(i, k)}:80`,
    address: real(i, k),
    port: 80,
    weight: k === 0 ? weight : 1,
    forwarding: { method: 'direct-routing' as const },
  })),
});

function measure(o: BpfUpdateLoad): BpfUpdateTimes {
  const addon = loadAddon();
  if (!addon.ok) throw new Error(addon.error.doing.en);
  const log = { write: () => {} };
  const network = openNetwork(addon.value, log);
  const netlink = linuxNetlink(addon.value);
  const bpf = linuxBpf(netlink);
  if (!network.ok || !bpf.ok) throw new Error('no rtnetlink or no BPF');
  const ports = { bpf: bpf.value, network: network.value, netlink, clock: linuxClock(addon.value), log };
  const open = (): BpfPlane => new BpfPlane({ ...ports, folder: '/run/holdfast-bench-bpf', interfaces: ['e0'] });
  /** A figure counts only where exactly that was changed. */
  const apply = (p: BpfPlane, services: readonly WantedService[], expected: number): Cost =>
    cost(
      () => p.apply({ services, timeouts: {}, sync: [] }),
      (outcomes) => see(outcomes, expected),
    );
  const see = (outcomes: readonly ServiceOutcome[], expected: number): void => {
    const bad = outcomes.find((x) => !x.result.ok);
    if (bad !== undefined) throw new Error(JSON.stringify(bad));
    const changed = outcomes.filter((x) => x.result.ok && x.result.value === 'changed').length;
    if (changed !== expected) throw new Error(`${changed} changed, not ${expected}`);
  };
  let now = Array.from({ length: o.services }, (_, i) => service(o, i));
  const plane = open();
  const load = apply(plane, now, o.services);
  const weight: Cost[] = [];
  const whole: Cost[] = [];
  for (let n = 0; n < o.changes; n++) {
    const at = (n * 37) % o.services;
    now = now.with(at, service(o, at, n % 2 === 0 ? 2 : 3));
    weight.push(apply(plane, now, 1));
  }
  for (let n = 0; n < o.changes; n++) {
    apply(plane, now.toSpliced(n, 1), 0);
    whole.push(apply(plane, now, 1));
  }
  plane.close({ keep: true });
  const again = open();
  const adopt = apply(again, now, 0);
  again.close({ keep: false });
  return { load, weight: list(weight), service: list(whole), adopt };
}

if (import.meta.main)
  process.stdout.write(JSON.stringify(measure(JSON.parse(process.argv[2] ?? '{}') as BpfUpdateLoad)));
