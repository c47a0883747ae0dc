/**
 * A bpf plane in a process of its own, inside a lab's host: takes one JSON command a line, answers one a line.
 * Argument: JSON of the options.
 */
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { BpfPlane, type BpfPlaneOptions } from '../../src/director/planes/bpf/index.ts';
import type { Wanted } from '../../src/director/types.ts';
import type { BpfMap, BpfObject, BpfProgram } from '../../src/host/index.ts';
import { linuxBpf, linuxClock, linuxLog, linuxNetlink, loadAddon, openNetwork } from '../../src/host/linux/index.ts';

export type PlaneCommand =
  | { readonly do: 'apply'; readonly wanted: Wanted }
  | { readonly do: 'refuses'; readonly wanted: Wanted }
  | { readonly do: 'counters' | 'tick' | 'exceptions' }
  /** Runs a program on made-up frames (hex), with the maps that are pinned; one result for each. */
  | {
      readonly do: 'run';
      readonly program: 'tc_director' | 'xdp_director';
      readonly frames: readonly string[];
      readonly repeat?: number;
    }
  /** A frame, `repeat` times, into the real stack behind eth0, or dropped there; the nanoseconds of each. */
  | {
      readonly do: 'inject';
      readonly frame: string;
      readonly repeat: number;
      /** Source ports that the frames go over; 0: as it is. */
      readonly ports: number;
      readonly drop: boolean;
    }
  | { readonly do: 'close'; readonly keep: boolean };
/** The kernel's test run does not take frames that are shorter than an IP header of the type that they claim. */
const REFUSED = -1;
export type RunResult = { readonly verdict: number; readonly nanoseconds: number; readonly packet: string };

function must<T>(r: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!r.ok) throw new Error(JSON.stringify(r.error));
  return r.value;
}
const options = JSON.parse(process.argv[2] ?? '{}') as Partial<BpfPlaneOptions>;
const addon = must(loadAddon());
const log = linuxLog(addon, { language: 'en', least: 'notice', console: { fd: 2, details: true } });
const network = must(openNetwork(addon, log));
const netlink = linuxNetlink(addon);
const bpf = must(linuxBpf(netlink));
const folder = options.folder ?? '/run/holdfast-bpf';
const plane = new BpfPlane({ ...options, folder, bpf, network, netlink, log, clock: linuxClock(addon) });

let loaded: BpfObject | undefined;
function runFrames(c: PlaneCommand & { readonly do: 'run' }): RunResult[] {
  const use = new Map<string, BpfMap>();
  for (const name of readdirSync(folder)) {
    const map = bpf.openMap(`${folder}/${name}`);
    if (map.ok) use.set(name, map.value);
  }
  loaded ??= must(bpf.load('director', { programs: ['tc_director', 'xdp_director'], use }));
  const program = loaded.programs.get(c.program) as BpfProgram;
  const ifindex = network.linkByName('eth0')?.ifindex ?? 1;
  return c.frames.map((hex) => {
    const frame = new Uint8Array(Buffer.from(hex, 'hex'));
    const ran = program.run(frame, { ifindex, repeat: c.repeat ?? 1 });
    if (!ran.ok && ran.error.code === 'EINVAL') return { verdict: REFUSED, nanoseconds: 0, packet: '' };
    const r = must(ran);
    return { verdict: r.verdict, nanoseconds: r.nanoseconds, packet: Buffer.from(r.packet).toString('hex') };
  });
}

let generator: BpfObject | undefined;
const XDP_DROP = 1;
const XDP_PASS = 2;
function inject(c: PlaneCommand & { readonly do: 'inject' }): number {
  generator ??= must(bpf.load('generator', { programs: ['xdp_generator'] }));
  const frame = new Uint8Array(Buffer.from(c.frame, 'hex'));
  const template = new Uint8Array(76);
  template.set(frame.subarray(0, 64));
  const v = new DataView(template.buffer);
  v.setUint32(64, c.drop ? XDP_DROP : XDP_PASS, true);
  v.setUint32(68, c.ports, true);
  must((generator.maps.get('templates') as BpfMap).set(new Uint8Array(4), template));
  const ifindex = network.linkByName('eth0')?.ifindex ?? 1;
  const program = generator.programs.get('xdp_generator') as BpfProgram;
  return must(program.run(frame, { ifindex, repeat: c.repeat, live: true })).nanoseconds;
}

function answer(c: PlaneCommand): unknown {
  switch (c.do) {
    case 'apply': {
      const from = process.hrtime.bigint();
      const outcomes = plane.apply(c.wanted);
      return { microseconds: Number((process.hrtime.bigint() - from) / 1000n), outcomes };
    }
    case 'refuses':
      return c.wanted.services.map((s) => plane.refuses(s)?.code);
    case 'counters':
      return must(plane.counters());
    case 'tick':
      return plane.tick();
    case 'exceptions':
      for (;;) {
        const found = must(plane.exceptions(1_000_000));
        if (found !== 'more') return found;
      }
    case 'run':
      return runFrames(c);
    case 'inject':
      return inject(c);
    case 'close':
      plane.close({ keep: c.keep });
      setImmediate(() => process.exit(0));
      return undefined;
  }
}
for await (const line of createInterface(process.stdin))
  process.stdout.write(`answer ${JSON.stringify(answer(JSON.parse(line) as PlaneCommand) ?? null)}\n`);
