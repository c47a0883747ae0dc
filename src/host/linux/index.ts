import type { Host, Log, Network } from '../index.ts';
import type { Addon } from './addon.ts';
import { linuxClock } from './clock.ts';
import { linuxFiles } from './files.ts';
import { linuxProcesses } from './processes.ts';
import { linuxSockets } from './sockets.ts';
import { linuxStreams } from './streams.ts';
import { linuxSysctl } from './sysctl.ts';

export { type Addon, type Handle, hostError, loadAddon, type SocketHandle, type TimerHandle } from './addon.ts';
export { Batch } from './batch.ts';
export { type BlockQueueOptions, linuxBlocks } from './blocks/index.ts';
export { linuxBpf } from './bpf/index.ts';
export { linuxClock } from './clock.ts';
export { linuxFiles } from './files.ts';
export { type ConsoleOptions, type LogOptions, linuxLog, type SyslogOptions } from './log.ts';
export { becomeIoFlusher, type LoopDevice, openLoop } from './loop.ts';
export { LinuxNetwork, linuxNetlink, openNetwork } from './netlink/index.ts';
export { type Priority, type PriorityReport, setPriority } from './priority.ts';
export { linuxProcesses } from './processes.ts';
export { linuxRelays } from './relays.ts';
export { tellServiceManager } from './service-manager.ts';
export { onRealtimeSignal } from './signals.ts';
export { AF_PACKET, AF_UNIX, int32, SOCK_RAW, SOCK_STREAM, sockaddrAbstract, sockaddrLink } from './sockaddr.ts';
export { DuplexBytes, linuxStreamServer } from './stream-server/index.ts';
export { linuxStreams } from './streams.ts';

/** The ports on Linux, for the calling thread and its network namespace. Once for each thread. */
export function linuxHost(o: { readonly addon: Addon; readonly log: Log; readonly network: Network }): Host {
  return {
    clock: linuxClock(o.addon),
    entropy: { u32: () => Math.floor(Math.random() * 0x1_0000_0000) },
    log: o.log,
    sockets: linuxSockets(o.addon),
    streams: linuxStreams(o.addon),
    network: o.network,
    processes: linuxProcesses(o.addon),
    files: linuxFiles,
    sysctl: linuxSysctl,
  };
}
