/**
 * Run in a network namespace of its own: puts many services by the nft plane and by `nft -f`, changes one of them again
 * and again, and prints the milliseconds of each as JSON. The peer's rule set is what one writes by hand for the same.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IpAddress } from '../../src/base/index.ts';
import { NftPlane } from '../../src/director/planes/nft/index.ts';
import type { Wanted, WantedService } from '../../src/director/types.ts';
import { linuxNetlink, loadAddon, openNetwork } from '../../src/host/linux/index.ts';

export type UpdateLoad = {
  readonly services: number;
  readonly servers: number;
  readonly method: 'nat' | 'direct-routing';
  /** Changes of each kind, of each side. */
  readonly changes: number;
};
type Sides = { readonly ours: readonly number[]; readonly peer: readonly number[] };
/** Milliseconds. `cpu`: of this process, with the kernel's time for it. */
export type UpdateTimes = {
  readonly load: { readonly ours: number; readonly cpu: number; readonly peer: number };
  readonly weight: Sides;
  readonly service: Sides;
  readonly adopt: number;
};

const ms = (run: () => void): number => {
  const start = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - start) / 1e6;
};
const vip = (i: number): IpAddress => `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}` as IpAddress;
const real = (i: number, k: number): IpAddress => `10.0.${k}.${1 + (i % 250)}` as IpAddress;
const service = (o: UpdateLoad, i: number, weight = 1): WantedService => ({
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
    forwarding: { method: o.method },
  })),
});

function ours(o: UpdateLoad): { load: number; cpu: number; weight: number[]; service: number[]; adopt: number } {
  const addon = loadAddon();
  if (!addon.ok) throw new Error(addon.error.doing.en);
  const network = openNetwork(addon.value, { write: () => {} });
  if (!network.ok) throw new Error(network.error.doing.en);
  const open = (): NftPlane => {
    const plane = NftPlane.open({ netlink: linuxNetlink(addon.value), network: network.value, interfaces: ['e0'] });
    if (!plane.ok) throw new Error(plane.error.doing.en);
    return plane.value;
  };
  /** A figure counts only where exactly that was changed. */
  const apply = (p: NftPlane, services: readonly WantedService[], expected: number): void => {
    const outcomes = p.apply({ services, timeouts: {}, sync: [] } satisfies Wanted);
    const bad = outcomes.find((x) => !x.result.ok);
    if (bad !== undefined) throw new Error(JSON.stringify(bad));
    const changed = outcomes.filter((x) => x.result.ok && x.result.value === 'changed').length;
    if (changed !== expected) throw new Error(`${changed} changed, not ${expected}`);
  };
  let now = Array.from({ length: o.services }, (_, i) => service(o, i));
  const plane = open();
  const before = process.cpuUsage();
  const load = ms(() => apply(plane, now, o.services));
  const used = process.cpuUsage(before);
  const weight: number[] = [];
  const whole: number[] = [];
  for (let n = 0; n < o.changes; n++) {
    const at = n % o.services;
    now = now.with(at, service(o, at, n % 2 === 0 ? 2 : 3));
    weight.push(ms(() => apply(plane, now, 1)));
  }
  for (let n = 0; n < o.changes; n++) {
    apply(plane, now.toSpliced(n, 1), 0);
    whole.push(ms(() => apply(plane, now, 1)));
  }
  plane.close({ keep: true });
  const again = open();
  const adopt = ms(() => apply(again, now, 0));
  again.close({ keep: false });
  return { load, cpu: (used.user + used.system) / 1000, weight, service: whole, adopt };
}

const PEER_CHANGES = 10;
function peer(o: UpdateLoad): { load: number; weight: number[]; service: number[] } {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-nft-'));
  const file = join(folder, 'rules.nft');
  const nft = (text: string): number => {
    writeFileSync(file, text);
    return ms(() => void execFileSync('nft', ['-f', file], { stdio: ['ignore', 'ignore', 'inherit'] }));
  };
  const rule = (i: number, first: number): string => {
    const slots = Array.from(
      { length: o.servers - 1 + first },
      (_, s) => `${s} : ${real(i, Math.max(0, s - first + 1))}`,
    );
    const map = `numgen inc mod ${slots.length} map { ${slots.join(', ')} }`;
    return o.method === 'nat' ? `dnat ip to ${map}` : `fwd ip to ${map} device "e0"`;
  };
  const [table, hook] =
    o.method === 'nat'
      ? ['ip peer', 'type nat hook prerouting priority dstnat']
      : ['netdev peer', 'type filter hook ingress device "e0" priority 0'];
  const all = Array.from({ length: o.services }, (_, i) => i);
  const chains = all.map((i) => ` chain s${i} { ${rule(i, 1)}; }`).join('\n');
  const entries = all.map((i) => `${vip(i)} . 80 : goto s${i}`).join(', ');
  try {
    const load = nft(
      `table ${table} {\n${chains}\n map vip { type ipv4_addr . inet_service : verdict; elements = { ${entries} }; }\n` +
        ` chain in { ${hook}; ip daddr . tcp dport vmap @vip; }\n}\n`,
    );
    const weight: number[] = [];
    const whole: number[] = [];
    for (let n = 0; n < Math.min(o.changes, PEER_CHANGES); n++) {
      weight.push(nft(`flush chain ${table} s${n}\nadd rule ${table} s${n} ${rule(n, 2)}\n`));
      nft(`delete element ${table} vip { ${vip(n)} . 80 }\nflush chain ${table} s${n}\ndelete chain ${table} s${n}\n`);
      const add = `add rule ${table} s${n} ${rule(n, 1)}\nadd element ${table} vip { ${vip(n)} . 80 : goto s${n} }\n`;
      whole.push(nft(`add chain ${table} s${n}\n${add}`));
    }
    return { load, weight, service: whole };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const load = JSON.parse(process.argv[2] ?? '{}') as UpdateLoad;
  const [a, b] = [ours(load), peer(load)];
  const times: UpdateTimes = {
    load: { ours: a.load, cpu: a.cpu, peer: b.load },
    weight: { ours: a.weight, peer: b.weight },
    service: { ours: a.service, peer: b.service },
    adopt: a.adopt,
  };
  process.stdout.write(JSON.stringify(times));
}
