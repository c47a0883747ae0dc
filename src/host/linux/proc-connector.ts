import { err, ok, type Result, text } from '../../base/index.ts';
import type { Cancel, HostError, Processes } from '../index.ts';
import { type Addon, hostError } from './addon.ts';
import { Batch } from './batch.ts';
import { AF_NETLINK, int32, LITTLE, SOCK_DGRAM, sockaddrNetlink } from './sockaddr.ts';

// include/uapi/linux/{netlink,connector,cn_proc}.h
const NETLINK_CONNECTOR = 11;
const CN_IDX_PROC = 1;
const NLMSG_DONE = 3;
const PROC_CN_MCAST_LISTEN = 1;
const NLMSG_HEADER = 16;
const CN_MSG = 20;
const PROC_EVENT_NONE = 0;
const PROC_EVENT_FORK = 1;
const PROC_EVENT_EXEC = 2;
const PROC_EVENT_COMM = 0x200;
const PROC_EVENT_EXIT = 0x80000000;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const RECEIVE_BUFFER = 1 << 20;
const ENOBUFS = -105;

type Changed = Parameters<Processes['watch']>[0];

/** nlmsghdr, cn_msg and the operation. */
function listenRequest(): Uint8Array {
  const b = new Uint8Array(NLMSG_HEADER + CN_MSG + 4);
  const v = new DataView(b.buffer);
  v.setUint32(0, b.length, LITTLE);
  v.setUint16(4, NLMSG_DONE, LITTLE);
  v.setUint32(16, CN_IDX_PROC, LITTLE);
  v.setUint32(20, 1 /* CN_VAL_PROC */, LITTLE);
  v.setUint16(32, 4, LITTLE);
  v.setUint32(36, PROC_CN_MCAST_LISTEN, LITTLE);
  return b;
}

/**
 * Follows every process of the machine. The kernel tells only listeners in the first PID, user and network
 * namespace, and is silent towards the others: its acknowledgement, which is queued before the request returns,
 * tells the two apart.
 */
export function watchProcesses(addon: Addon, changed: Changed): Result<Cancel, HostError> {
  const doing = text('follow the starts and ends of processes', '跟踪进程的启动与结束');
  const socket = addon.open(AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR);
  if (typeof socket === 'number') return err(hostError(socket, doing));
  addon.setOption(socket, SOL_SOCKET, SO_RCVBUFFORCE, int32(RECEIVE_BUFFER));
  const batch = new Batch(addon, socket, 64, 256, 0);
  const { view } = batch;
  let closed = false;

  /** Returns what the kernel's acknowledgement says, where slot i is one. */
  const take = (i: number): number | undefined => {
    const event = batch.payloadAt(i) + NLMSG_HEADER + CN_MSG;
    if (batch.length(i) < NLMSG_HEADER + CN_MSG + 24) return undefined;
    if (view.getUint32(batch.nameAt(i) + 4, LITTLE) !== 0) return undefined; // not from the kernel
    const what = view.getUint32(event, LITTLE);
    const pid = view.getInt32(event + 16, LITTLE);
    const process = view.getInt32(event + 20, LITTLE);
    if (what === PROC_EVENT_NONE) return pid; // struct ack: err
    if (what === PROC_EVENT_FORK) {
      const child = view.getInt32(event + 24, LITTLE);
      if (child === view.getInt32(event + 28, LITTLE)) changed({ kind: 'started', pid: child });
    } else if (pid !== process) {
      return undefined; // a thread
    } else if (what === PROC_EVENT_EXEC || what === PROC_EVENT_COMM) {
      changed({ kind: 'changed', pid });
    } else if (what === PROC_EVENT_EXIT) {
      changed({ kind: 'ended', pid });
    }
    return undefined;
  };

  let failed = addon.bind(socket, sockaddrNetlink(0, CN_IDX_PROC));
  if (failed >= 0) failed = addon.send(socket, listenRequest(), sockaddrNetlink(0, 0), undefined, 0);
  let acknowledged: number | undefined;
  while (failed >= 0 && acknowledged === undefined) {
    const n = addon.receive(socket);
    if (n <= 0) {
      failed = n < 0 ? n : -1; // EPERM: the kernel does not talk to this namespace
      break;
    }
    for (let i = 0; i < n; i++) acknowledged ??= take(i);
  }
  if (failed >= 0 && acknowledged) failed = -Math.abs(acknowledged);
  if (failed >= 0) {
    failed = addon.watch(socket, (n) => {
      if (n === ENOBUFS) changed({ kind: 'lost' });
      for (let i = 0; i < n && !closed; i++) take(i);
    });
  }
  if (failed < 0) {
    addon.close(socket);
    return err(hostError(failed, doing));
  }
  return ok(() => {
    closed = true;
    addon.close(socket);
  });
}
