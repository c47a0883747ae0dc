/** Filters of a device's queueing discipline that are BPF programs (cls_bpf). Linux include/uapi/linux/{rtnetlink,pkt_sched,pkt_cls}.h, tc-bpf(8). */
import { err, ok, type Result } from '../../base/index.ts';
import { Attributes } from './attributes.ts';
import type { NetlinkError } from './message.ts';
import { NativeView } from './native.ts';
import { NetlinkWriter } from './writer.ts';

const HEAD = 20; // struct tcmsg: u8 family, u8 and u16 pad, s32 ifindex, u32 handle, u32 parent, u32 info
const TCA = { kind: 1, options: 2 } as const;
const TCA_BPF = { descriptor: 6, name: 7, flags: 8, program: 11 } as const;
const DIRECT_ACTION = 1;
/** TC_H_CLSACT and the handle that goes with it: at the device's receiving end, shared with `ingress`. */
const QDISC = { parent: 0xffff_fff1, handle: 0xffff_0000, kind: 'clsact' } as const;
/** Where frames that come in meet filters. */
export const FILTER_INGRESS = 0xffff_fff2;

/** Which filter: a device, where frames meet it, and its place there. */
export type FilterPlace = {
  readonly ifindex: number;
  /** FILTER_INGRESS, or a class of the queueing discipline. */
  readonly parent: number;
  /** 1..65535; the lower ones see a frame first. */
  readonly priority: number;
  /** As in a frame's type, 3: every one. */
  readonly protocol: number;
  readonly handle: number;
};
export type Filter = FilterPlace & {
  /** `bpf`, `flower`, ...; what only `bpf` has is read of it alone. */
  readonly kind: string;
  readonly name?: string;
  /** The program's verdict is what becomes of the frame. */
  readonly direct?: boolean;
  /** In a request: of the program, in the calling process. */
  readonly descriptor?: number;
  /** In an answer: the kernel's number of the program. */
  readonly program?: number;
};

const swapped = (n: number): number => ((n & 0xff) << 8) | (n >> 8);

/** Payload of RTM_NEWTFILTER and of an answer to RTM_GETTFILTER. */
export function decodeFilter(b: Uint8Array): Result<Filter, NetlinkError> {
  if (b.length < HEAD) return err({ kind: 'length', have: b.length, need: HEAD });
  const v = new NativeView(b);
  const info = v.u32(16);
  const a = new Attributes(b.subarray(HEAD));
  const kind = a.text(TCA.kind);
  const options = kind === 'bpf' ? a.nested(TCA.options) : undefined;
  const name = options?.text(TCA_BPF.name);
  const [flags, descriptor, program] = [
    options?.u32(TCA_BPF.flags),
    options?.u32(TCA_BPF.descriptor),
    options?.u32(TCA_BPF.program),
  ];
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  if (kind === undefined) return err({ kind: 'missing', type: TCA.kind });
  return ok({
    ifindex: v.u32(4),
    handle: v.u32(8),
    parent: v.u32(12),
    priority: info >>> 16,
    protocol: swapped(info & 0xffff),
    kind,
    ...(name === undefined ? {} : { name }),
    ...(flags === undefined ? {} : { direct: (flags & DIRECT_ACTION) !== 0 }),
    ...(descriptor === undefined ? {} : { descriptor }),
    ...(program === undefined ? {} : { program }),
  });
}
function writeHead(w: NetlinkWriter, p: FilterPlace): NetlinkWriter {
  const info = ((p.priority << 16) | swapped(p.protocol)) >>> 0;
  return w.u32(0).u32(p.ifindex).u32(p.handle).u32(p.parent).u32(info);
}
/** Payload of RTM_NEWTFILTER. */
export function writeFilter(w: NetlinkWriter, f: Filter): void {
  const { name, direct, descriptor, program } = f;
  writeHead(w, f).attrText(TCA.kind, f.kind);
  if (f.kind !== 'bpf') return;
  w.nest(TCA.options, () => {
    if (descriptor !== undefined) w.attrU32(TCA_BPF.descriptor, descriptor);
    if (name !== undefined) w.attrText(TCA_BPF.name, name);
    if (direct !== undefined) w.attrU32(TCA_BPF.flags, direct ? DIRECT_ACTION : 0);
    if (program !== undefined) w.attrU32(TCA_BPF.program, program);
  });
}
export function encodeFilter(f: Filter): Uint8Array {
  const w = new NetlinkWriter();
  writeFilter(w, f);
  return w.done();
}
/** Payload of RTM_GETTFILTER and RTM_DELTFILTER. */
export function writeFilterPlace(w: NetlinkWriter, p: FilterPlace, kind: string): void {
  writeHead(w, p).attrText(TCA.kind, kind);
}
/** Payload of RTM_NEWQDISC: `clsact`, which has filters and does nothing by itself. */
export function writeClsact(w: NetlinkWriter, ifindex: number): void {
  w.u32(0).u32(ifindex).u32(QDISC.handle).u32(QDISC.parent).u32(0).attrText(TCA.kind, QDISC.kind);
}
