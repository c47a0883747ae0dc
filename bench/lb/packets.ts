/**
 * What a packet costs the director by the bpf plane, and what a change costs, with 10 to 10,000 services of 10 servers.
 * Frames are injected into a device of a real network stack, behind which the program stands; the servers are behind a
 * bridge without ports, which takes every frame and drops it. The harness's own cost (the same frames, dropped before the stack) is taken off.
 */
import { type IpAddress, text } from '../../src/base/index.ts';
import type { Wanted, WantedService } from '../../src/director/types.ts';
import { Lab } from '../../src/lab/index.ts';
import { RemotePlane, run } from '../../test/lb/bpf-rig.ts';
import { type FrameSpec, frame } from '../../test/lb/frames.ts';
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
async function withDirector<T>(xdp: boolean, body: (plane: RemotePlane) => Promise<T>): Promise<T> {
  await using lab = await Lab.start({
    switches: ['lan'],
    hosts: { d: { links: { eth0: { to: 'lan', addresses: ['10.9.0.1/24'] } } } },
  });
  const d = lab.host('d');
  await run(d, 'ip link add out type bridge && ip link set out arp off up && ip addr add 10.81.255.254/16 dev out');
  const plane = new RemotePlane(d, { interfaces: ['eth0'], ...(xdp && { xdp: 'generic' as const }) });
  return await body(plane);
}

type Measured = {
  readonly known: number[];
  readonly fresh: number[];
  readonly load: number;
  readonly weight: number[];
};

async function measure(n: number, runs: number, progress: (r: number) => void): Promise<Measured> {
  return withDirector(false, async (plane) => {
    const loaded = await plane.apply(services(n));
    const bad = loaded.outcomes.find((o) => !o.result.ok);
    if (bad) throw new Error(JSON.stringify(bad));
    const spec: FrameSpec = { from: '10.9.0.100', to: vip(n - 1), protocol: 6, ports: [1024, PORT], flags: 16 };
    const out = { known: [] as number[], fresh: [] as number[], weight: [] as number[] };
    for (let r = 0; r < runs; r++) {
      progress(r);
      const cost = async (f: Uint8Array, repeat: number, ports: number): Promise<number> => {
        const harness = await plane.inject(f, { repeat, ports, drop: true });
        return (await plane.inject(f, { repeat, ports, drop: false })) - harness;
      };
      await plane.inject(frame(spec), { repeat: 1000, ports: 0, drop: false });
      out.known.push(await cost(frame(spec), FRAMES, 0));
      out.fresh.push(await cost(frame({ ...spec, flags: 2 }), FLOWS, FLOWS));
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

export async function* packetRows(o: BenchOptions): AsyncGenerator<Row> {
  const runs = o.runs ?? RUNS;
  for (const n of [10, 1000, 10_000]) {
    const wanted = Object.values(work).some(
      (w) => o.only === undefined || w(n).en.includes(o.only) || w(n).zh.includes(o.only),
    );
    if (!wanted) continue;
    const m = await measure(n, runs, (r) =>
      o.progress(text(`bpf, ${n} services: run ${r + 1} of ${runs}`, `bpf，${n} 个服务：第 ${r + 1}/${runs} 次`)),
    );
    const row = (title: Row['work'], values: readonly number[], unit: string): Row => ({
      work: title,
      ours: median(values),
      peer: undefined,
      unit,
      runs: values.length,
      samples: { ours: values, peer: [] },
    });
    yield row(work.known(n), m.known, 'ns');
    yield row(work.fresh(n), m.fresh, 'ns');
    yield row(work.load(n), [m.load / 1000], 'ms');
    yield row(
      work.weight(n),
      m.weight.map((u) => u / 1000),
      'ms',
    );
  }
}
