/**
 * tc programs on kernels before 6.6, which have no TCX links: a clsact queueing discipline with one filter of ours. The
 * filter stays by itself when the process ends, and setting it again replaces the program without a gap.
 * Source: Linux include/uapi/linux/{pkt_sched,pkt_cls}.h, tc-bpf(8).
 */
import { err, ok, type Result, text } from '../../../base/index.ts';
import type { NetlinkWriter } from '../../../wire/index.ts';
import type { HostError, NetlinkChannel } from '../../index.ts';
import { errnoName } from '../addon.ts';

const NEW_QDISC = 36;
const NEW_FILTER = 44;
const DEL_FILTER = 45;
const GET_FILTER = 46;
const CREATE = 0x400;
const REPLACE = 0x100;
const EXCL = 0x200;
const CLSACT_PARENT = 0xfffffff1;
const CLSACT_HANDLE = 0xffff0000;
const INGRESS = 0xfffffff2;
/** Our priority among the filters of a device, and our filter's handle: nobody else's is touched. */
const PRIORITY = 0x4f4c;
const ETH_P_ALL_BE = 0x0300;
const TCA = { kind: 1, options: 2 } as const;
const TCA_BPF = { fd: 6, name: 7, flags: 8 } as const;
const DIRECT_ACTION = 1;
const [EEXIST, ENOENT, EINVAL] = [17, 2, 22];

const head = (w: NetlinkWriter, ifindex: number, handle: number, parent: number, info: number): NetlinkWriter =>
  w.u32(0).u32(ifindex).u32(handle).u32(parent).u32(info) as NetlinkWriter;

export function setFilter(
  channel: NetlinkChannel,
  ifindex: number,
  program: number,
  name: string,
): Result<void, HostError> {
  const doing = text(`attach ${name} by clsact`, `通过 clsact 挂载 ${name}`);
  const [qdisc, filter] = channel.transact([
    {
      type: NEW_QDISC,
      flags: CREATE | EXCL,
      write: (w) => head(w, ifindex, CLSACT_HANDLE, CLSACT_PARENT, 0).attrText(TCA.kind, 'clsact'),
    },
    {
      type: NEW_FILTER,
      flags: CREATE | REPLACE,
      write: (w) => {
        head(w, ifindex, 1, INGRESS, (PRIORITY << 16) | ETH_P_ALL_BE).attrText(TCA.kind, 'bpf');
        w.nest(TCA.options, () =>
          w.attrU32(TCA_BPF.fd, program).attrText(TCA_BPF.name, name).attrU32(TCA_BPF.flags, DIRECT_ACTION),
        );
      },
    },
  ]);
  if (qdisc && qdisc.errno !== 0 && qdisc.errno !== EEXIST) return err({ code: errnoName(-qdisc.errno), doing });
  return filter?.errno === 0 ? ok(undefined) : err({ code: errnoName(-(filter?.errno ?? 0)), doing });
}

/** Of this process or of an earlier one. */
export function hasFilter(channel: NetlinkChannel, ifindex: number): boolean {
  const asked = channel.ask(
    {
      type: GET_FILTER,
      flags: 0,
      write: (w) => head(w, ifindex, 1, INGRESS, (PRIORITY << 16) | ETH_P_ALL_BE).attrText(TCA.kind, 'bpf'),
    },
    text('look for the tc filter', '查找 tc 过滤器'),
  );
  return asked.ok;
}

/** The queueing discipline stays: others may use it, and it does nothing by itself. */
export function removeFilter(channel: NetlinkChannel, ifindex: number): Result<void, HostError> {
  const [r] = channel.transact([
    {
      type: DEL_FILTER,
      flags: 0,
      write: (w) => head(w, ifindex, 1, INGRESS, (PRIORITY << 16) | ETH_P_ALL_BE).attrText(TCA.kind, 'bpf'),
    },
  ]);
  const errno = r?.errno ?? 0;
  if (errno === 0 || errno === ENOENT || errno === EINVAL) return ok(undefined);
  return err({ code: errnoName(-errno), doing: text('remove the tc filter', '移除 tc 过滤器') });
}
