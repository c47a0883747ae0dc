/** Every option of a mirror, once: its word in drbd.conf, how its value is written, and what its change means for a mirror that runs. */
import { type Bytes, type Milliseconds, type Text, text } from '../../base/index.ts';
import type { DiskOptions, NetOptions, ResyncOptions } from '../config.ts';

/**
 * `now`: at once, and nobody else notices. `told`: at once, and a peer that is connected is told and takes it over too.
 * `reconnects`: both sides must have the same, so the connection is made anew. `attach`, `resize`, `start`: when that is
 * done next. `refused`: not while the mirror runs.
 */
export type Takes = 'now' | 'told' | 'reconnects' | 'attach' | 'resize' | 'start' | 'refused';

export type OptionOf<T, K extends keyof T> = {
  readonly word: string;
  readonly takes: Takes;
  readonly show: (value: T[K]) => string;
};
export type OptionsOf<T, Without extends keyof T = never> = {
  readonly [K in Exclude<keyof T, Without>]: OptionOf<T, K>;
};

export const NONE = '-';
const time = (n: Milliseconds | undefined): string => {
  if (n === undefined) return NONE;
  return n % 1000 === 0 ? `${n / 1000}s` : `${n}ms`;
};
const SCALES = [
  ['TiB', 1024 ** 4],
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const;
/** Exact: two values that differ look different. */
const size = (n: Bytes | undefined): string => {
  if (n === undefined) return NONE;
  const scale = n === 0 ? undefined : SCALES.find(([, one]) => n % one === 0);
  return scale === undefined ? `${n}B` : `${n / scale[1]}${scale[0]}`;
};
const rate = (n: Bytes): string => `${size(n)}/s`;
const plain = (v: string | number | undefined): string => (v === undefined ? NONE : String(v));
const yesNo = (v: boolean): string => (v ? 'yes' : 'no');

export const NET_OPTIONS: OptionsOf<NetOptions, 'auth'> = {
  protocol: { word: 'protocol', takes: 'told', show: plain },
  timeout: { word: 'timeout', takes: 'now', show: time },
  pingInterval: { word: 'ping-int', takes: 'now', show: time },
  pingTimeout: { word: 'ping-timeout', takes: 'now', show: time },
  connectInterval: { word: 'connect-int', takes: 'now', show: time },
  socketCheckTimeout: { word: 'socket-check-timeout', takes: 'now', show: time },
  koCount: { word: 'ko-count', takes: 'now', show: plain },
  maxBuffers: { word: 'max-buffers', takes: 'now', show: size },
  maxEpochSize: { word: 'max-epoch-size', takes: 'now', show: plain },
  // The port is listened on with them from the start.
  sendBuffer: { word: 'sndbuf-size', takes: 'start', show: size },
  receiveBuffer: { word: 'rcvbuf-size', takes: 'start', show: size },
  allowTwoPrimaries: { word: 'allow-two-primaries', takes: 'told', show: yesNo },
  dataIntegrity: { word: 'data-integrity-alg', takes: 'reconnects', show: plain },
  verify: { word: 'verify-alg', takes: 'told', show: plain },
  checksums: { word: 'csums-alg', takes: 'told', show: plain },
  checksumsAfterCrashOnly: { word: 'csums-after-crash-only', takes: 'now', show: yesNo },
  after0Primaries: { word: 'after-sb-0pri', takes: 'told', show: plain },
  after1Primary: { word: 'after-sb-1pri', takes: 'told', show: plain },
  after2Primaries: { word: 'after-sb-2pri', takes: 'told', show: plain },
  alwaysAfterSplitBrain: { word: 'always-asbp', takes: 'now', show: yesNo },
  resyncRoleConflict: { word: 'rr-conflict', takes: 'now', show: plain },
  onCongestion: { word: 'on-congestion', takes: 'now', show: plain },
  congestionFill: { word: 'congestion-fill', takes: 'now', show: size },
  congestionExtents: { word: 'congestion-extents', takes: 'now', show: plain },
  compressBitmap: { word: 'use-rle', takes: 'now', show: yesNo },
};
export const DISK_OPTIONS: OptionsOf<DiskOptions, 'resync'> = {
  size: { word: 'size', takes: 'resize', show: size },
  onIoError: { word: 'on-io-error', takes: 'now', show: plain },
  fencing: { word: 'fencing', takes: 'now', show: plain },
  diskFlushes: { word: 'disk-flushes', takes: 'now', show: yesNo },
  mdFlushes: { word: 'md-flushes', takes: 'now', show: yesNo },
  resyncAfter: { word: 'resync-after', takes: 'now', show: plain },
  alExtents: { word: 'al-extents', takes: 'attach', show: plain },
  alUpdates: { word: 'al-updates', takes: 'now', show: yesNo },
  // Memory that a request may still write to is chosen by it.
  diskTimeout: { word: 'disk-timeout', takes: 'start', show: time },
  readBalancing: { word: 'read-balancing', takes: 'now', show: plain },
  rsDiscardGranularity: { word: 'rs-discard-granularity', takes: 'now', show: size },
};
/** A peer that is told of them may take them for its own, as the kernel does. */
export const RESYNC_OPTIONS: OptionsOf<ResyncOptions> = {
  rate: { word: 'resync-rate', takes: 'told', show: rate },
  planAhead: { word: 'c-plan-ahead', takes: 'told', show: time },
  delayTarget: { word: 'c-delay-target', takes: 'told', show: time },
  fillTarget: { word: 'c-fill-target', takes: 'told', show: size },
  maxRate: { word: 'c-max-rate', takes: 'told', show: rate },
  minRate: { word: 'c-min-rate', takes: 'now', show: rate },
};

export function takesWords(takes: Takes, name: string): Text {
  switch (takes) {
    case 'now':
      return text('at once', '立即生效');
    case 'told':
      return text('at once; a connected peer is told, and takes it over', '立即生效；并告知已连接的对端，对端随之采用');
    case 'reconnects':
      return text('the connection is made anew; both sides need it', '重新建立连接；两端须一致');
    case 'attach':
      return text('when the disk is attached next', '下次挂接磁盘时生效');
    case 'resize':
      return text(`with the next holdfast mirror resize ${name}`, `下次执行 holdfast mirror resize ${name} 时生效`);
    case 'start':
      return text('at the next start', '下次启动时生效');
    case 'refused':
      return text('not while it runs', '运行时不可更改');
    default:
      takes satisfies never;
      return text('', '');
  }
}
