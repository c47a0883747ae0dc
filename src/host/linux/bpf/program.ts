import { err, ok, type Result, text } from '../../../base/index.ts';
import type { BpfProgram, BpfRun, HostError } from '../../index.ts';
import { hostError } from '../addon.ts';
import type { BpfAddon, BpfHandle } from './addon.ts';

const SCHED_CLS = 3;
const XDP_PROGRAM = 6;
const TEST_XDP_LIVE_FRAMES = 2;
/** struct __sk_buff, whose ifindex is at 40; struct xdp_md: data, data_end, data_meta, ingress_ifindex, queue, egress. */
const SKB = { bytes: 192, ifindex: 40 } as const;
const XDP_MD = { bytes: 24, dataEnd: 4, ifindex: 12 } as const;
const LOG_BYTES = 1 << 20;
const ROOM = 4096;

export class LinuxProgram implements BpfProgram {
  readonly name: string;
  readonly handle: BpfHandle;
  readonly #addon: BpfAddon;
  readonly #xdp: boolean;
  constructor(addon: BpfAddon, handle: BpfHandle, name: string, xdp: boolean) {
    this.#addon = addon;
    this.handle = handle;
    this.name = name;
    this.#xdp = xdp;
  }
  run(
    packet: Uint8Array,
    o: { readonly repeat?: number; readonly ifindex?: number; readonly live?: boolean } = {},
  ): Result<BpfRun, HostError> {
    const layout = this.#xdp ? XDP_MD : SKB;
    const context = new Uint8Array(o.ifindex === undefined ? 0 : layout.bytes);
    if (o.ifindex !== undefined) {
      const v = new DataView(context.buffer);
      v.setUint32(layout.ifindex, o.ifindex, true);
      if (this.#xdp) v.setUint32(XDP_MD.dataEnd, packet.length, true);
    }
    // Live frames go where the program sends them: nothing comes back.
    const room = new Uint8Array(o.live ? 0 : packet.length + ROOM);
    const result = new Uint8Array(16);
    const flags = o.live ? TEST_XDP_LIVE_FRAMES : 0;
    const r = this.#addon.testRun(this.handle, packet, room, o.repeat ?? 1, flags, context, result);
    if (r < 0) return err(hostError(r, text(`run ${this.name} on a packet`, `以数据包试运行 ${this.name}`)));
    const v = new DataView(result.buffer);
    const [verdict, length, nanoseconds] = [0, 4, 8].map((at) => v.getUint32(at, true)) as [number, number, number];
    return ok({ verdict, packet: room.subarray(0, length), nanoseconds });
  }
  close(): void {
    this.#addon.close(this.handle);
  }
}

export function loadProgram(
  addon: BpfAddon,
  name: string,
  xdp: boolean,
  instructions: Uint8Array,
  license: string,
): Result<LinuxProgram, HostError> {
  const log = new Uint8Array(LOG_BYTES);
  const handle = addon.loadProgram(xdp ? XDP_PROGRAM : SCHED_CLS, 0, name.slice(0, 15), instructions, license, log);
  if (typeof handle !== 'number') return ok(new LinuxProgram(addon, handle, name, xdp));
  const words = new TextDecoder('latin1').decode(log.subarray(0, Math.max(0, log.indexOf(0))));
  const last = words.trimEnd().split('\n').slice(-3).join(' | ');
  const said = last === '' ? '' : `: ${last}`;
  return err(hostError(handle, text(`load the BPF program ${name}${said}`, `加载 BPF 程序 ${name}${said}`)));
}
