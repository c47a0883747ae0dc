/**
 * What a packet costs the director by the planes bpf and nft (DR), and what a change costs, with 10 to 10,000 services of 10 servers.
 * Frames are injected into a device of a real network stack, behind which the program stands; the servers are behind a
 * bridge without ports, which takes every frame and drops it. The harness's own cost (the same frames, dropped before the stack) is taken off.
 */
import { type IpAddress, text } from '../../src/base/index.ts';
import type { Wanted, WantedService } from '../../src/director/types.ts';
import { type Host, Lab } from '../../src/lab/index.ts';
import { RemotePlane, run } from '../../test/lb/bpf-rig.ts';
import { type FrameSpec, frame } from '../../test/lb/frames.ts';
import { PlaneProcess } from '../../test/lb/rig.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';

const SERVERS = 10;
const RUNS = 5;
const FRAMES = 500_000;
const FLOWS = 60_000;
const PORT = 80;

const vip = (n: number): IpAddress => `10.80.${n >> 8}.${n & 255}` as IpAddress;
const serverOf = (service: number, n: number): IpAddress => `10.81.${(service * 7 + n) % 250}.${10 + n}` as IpAddress;

/** `n` services, each with ten servers of its own choice out of some thousands. `weight`: of the first service's first server. */
function services(n: number, weight = 1): Wanted {
  const all = Array.from(
    { length: n },
    (_, i): WantedService => ({
      key: `tcp ${vip(i)}:${PORT}`,
      match: { by: 'address', protocol: 'tcp', ranges: [{ from: vip(i), to: vip(i) }], port: PORT },
      scheduler: 'wrr',
      flags: [],
      onePacket: false,
      servers: Array.from({ length: SERVERS }, (_, k) => ({
        key: `${serverOf(i, k)}:${PORT}`,
        address: serverOf(i, k),
        port: PORT,
        weight: i === 0 && k === 0 ? weight : 1,
        forwarding: { method: 'direct-routing' as const },
      })),
    }),
  );
  return { services: all, timeouts: {}, sync: [] };
}

/** One host: frames come in by eth0 and go out by a bridge without ports. */
async function withDirector<T>(body: (plane: RemotePlane, host: Host) => Promise<T>): Promise<T> {
  await using lab = await Lab.start({
    switches: ['lan'],
    hosts: { d: { links: { eth0: { to: 'lan', addresses: ['10.9.0.1/24'] } } } },
  });
  const d = lab.host('d');
  await run(d, 'ip link add out type bridge && ip link set out arp off up && ip addr add 10.81.255.254/16 dev out');
  return await body(new RemotePlane(d, { interfaces: ['eth0'] }), d);
}

type Measured = {
  readonly known: number[];
  readonly fresh: number[];
  readonly load: number;
  readonly weight: number[];
};

/** Nanoseconds of a packet to the last of `n` services; `plane` only injects. */
async function costOfPackets(
  plane: RemotePlane,
  n: number,
): Promise<{ readonly known: number; readonly fresh: number }> {
  const spec: FrameSpec = { from: '10.9.0.100', to: vip(n - 1), protocol: 6, ports: [1024, PORT], flags: 16 };
  const cost = async (f: Uint8Array, repeat: number, ports: number): Promise<number> => {
    const harness = await plane.inject(f, { repeat, ports, drop: true });
    return (await plane.inject(f, { repeat, ports, drop: false })) - harness;
  };
  await plane.inject(frame(spec), { repeat: 1000, ports: 0, drop: false });
  const known = await cost(frame(spec), FRAMES, 0);
  return { known, fresh: await cost(frame({ ...spec, flags: 2 }), FLOWS, FLOWS) };
}
/** The same frames, and the nft plane behind the device; the bpf plane holds nothing. */
async function measureNft(n: number, runs: number): Promise<{ known: number[]; fresh: number[] }> {
  return withDirector(async (idle, host) => {
    const nft = await PlaneProcess.start(host, { interfaces: ['eth0'] });
    // Not what is measured here: the machine may be busy.
    await nft.holds(services(n).services, 60_000);
    const out = { known: [] as number[], fresh: [] as number[] };
    for (let r = 0; r < runs; r++) {
      const packet = await costOfPackets(idle, n);
      out.known.push(packet.known);
      out.fresh.push(packet.fresh);
    }
    return out;
  });
}

async function measure(n: number, runs: number, progress: (r: number) => void): Promise<Measured> {
  return withDirector(async (plane) => {
    const loaded = await plane.apply(services(n));
    const bad = loaded.outcomes.find((o) => !o.result.ok);
    if (bad) throw new Error(JSON.stringify(bad));
    const out = { known: [] as number[], fresh: [] as number[], weight: [] as number[] };
    for (let r = 0; r < runs; r++) {
      progress(r);
      const packet = await costOfPackets(plane, n);
      out.known.push(packet.known);
      out.fresh.push(packet.fresh);
      out.weight.push((await plane.apply(services(n, 2 + r))).microseconds);
    }
    return { ...out, load: loaded.microseconds };
  });
}

const work = {
  known: (n: number) => text(`packet of a known flow, ${n} services`, `已知流的数据包，${n} 个服务`),
  fresh: (n: number) => text(`first packet of a flow, ${n} services`, `流的首个数据包，${n} 个服务`),
  load: (n: number) => text(`load ${n} services of ${SERVERS}`, `加载 ${n} 个服务（各 ${SERVERS} 台）`),
  weight: (n: number) => text(`one weight among ${n} services`, `${n} 个服务中改一个权重`),
};

const nftWork = {
  known: (n: number) => text(`nft: packet of a known flow, ${n} services`, `nft：已知流的数据包，${n} 个服务`),
  fresh: (n: number) => text(`nft: first packet of a flow, ${n} services`, `nft：流的首个数据包，${n} 个服务`),
};
const row = (title: Row['work'], values: readonly number[], unit: string): Row => ({
  work: title,
  ours: median(values),
  peer: undefined,
  unit,
  runs: values.length,
  samples: { ours: values, peer: [] },
});

export async function* packetRows(o: BenchOptions): AsyncGenerator<Row> {
  const runs = o.runs ?? RUNS;
  const wanted = (works: Readonly<Record<string, (n: number) => Row['work']>>, n: number): boolean =>
    Object.values(works).some((w) => o.only === undefined || w(n).en.includes(o.only) || w(n).zh.includes(o.only));
  for (const n of [10, 1000, 10_000]) {
    if (wanted(work, n)) {
      const m = await measure(n, runs, (r) =>
        o.progress(text(`bpf, ${n} services: run ${r + 1} of ${runs}`, `bpf，${n} 个服务：第 ${r + 1}/${runs} 次`)),
      );
      const inMs = (micro: readonly number[]): number[] => micro.map((u) => u / 1000);
      yield row(work.known(n), m.known, 'ns');
      yield row(work.fresh(n), m.fresh, 'ns');
      yield row(work.load(n), inMs([m.load]), 'ms');
      yield row(work.weight(n), inMs(m.weight), 'ms');
    }
    if (wanted(nftWork, n)) {
      o.progress(text(`nft, ${n} services`, `nft，${n} 个服务`));
      const m = await measureNft(n, runs);
      yield row(nftWork.known(n), m.known, 'ns');
      yield row(nftWork.fresh(n), m.fresh, 'ns');
    }
  }
}
