/**
 * Every option of drbd.conf, once: where it stands, its type with unit, range and default, and what becomes of it here.
 * Source: drbd.conf(5) of 8.4 and of 9; ranges as the tools of 8.4 tell them (drbdsetup xml-help).
 */
import { type Text, text } from '../../base/index.ts';
import { MIRROR_HANDLERS } from '../../mirror/config.ts';

export type SectionName = 'global' | 'options' | 'disk' | 'net' | 'startup' | 'handlers' | 'proxy';

/** What one unit is, in bytes, for a number without suffix (`rate`: of a rate), or what is counted. */
export type NumberUnit = 'count' | 'seconds' | 'tenths' | 'milliseconds' | 'bytes' | 'sectors' | 'kib' | 'pages';
export type OptionType =
  | {
      readonly is: 'number';
      readonly unit: NumberUnit;
      /** In the option's own unit. */
      readonly low: number;
      readonly high: number;
      readonly default: number;
      /** Words that stand for a number: `quorum majority`. */
      readonly words?: readonly string[];
    }
  | { readonly is: 'yes-no'; readonly default: boolean }
  | { readonly is: 'word'; readonly words: readonly string[]; readonly default: string }
  /** `longest` in bytes. */
  | { readonly is: 'text'; readonly longest?: number };

/** `used`; `quiet`: without effect by its nature; `none`: without effect, told when it differs from the default; `needs`: of DRBD 9. */
export type OptionUse =
  | { readonly is: 'used' }
  | { readonly is: 'quiet' }
  | { readonly is: 'none'; readonly why: Text }
  | { readonly is: 'needs'; readonly what: Text };

export type OptionRow = {
  readonly section: SectionName;
  readonly name: string;
  readonly type: OptionType;
  readonly use: OptionUse;
};

const number = (unit: NumberUnit, low: number, high: number, usual: number, words?: readonly string[]): OptionType => ({
  is: 'number',
  unit,
  low,
  high,
  default: usual,
  ...(words && { words }),
});
const yesNo = (usual: boolean): OptionType => ({ is: 'yes-no', default: usual });
/** The first is the default. */
const oneOf = (...words: readonly [string, ...string[]]): OptionType => ({ is: 'word', words, default: words[0] });
const string = (longest?: number): OptionType => ({ is: 'text', ...(longest !== undefined && { longest }) });

const used: OptionUse = { is: 'used' };
const quiet: OptionUse = { is: 'quiet' };
const none = (en: string, zh: string): OptionUse => ({ is: 'none', why: text(en, zh) });
const needs = (en: string, zh: string): OptionUse => ({ is: 'needs', what: text(en, zh) });

const rows = (section: SectionName, all: Readonly<Record<string, readonly [OptionType, OptionUse]>>): OptionRow[] =>
  Object.entries(all).map(([name, [type, use]]) => ({ section, name, type, use }));

const MANY_NODES = needs('more than two nodes', '多于两个节点');
const CLUSTER_WIDE = needs("DRBD 9's cluster-wide state changes", 'DRBD 9 的集群范围状态变更');
const WRITE_ORDER = none('writes are ordered by flushes alone', '写入顺序仅由 flush 保证');

/** The longest name of an algorithm and the longest secret that a packet holds. */
const LONGEST_STRING = 63;
const KIB_MOST = 4_194_304;

const GLOBAL = rows('global', {
  'usage-count': [oneOf('ask', 'yes', 'no'), quiet],
  'minor-count': [number('count', 1, 255, 32), quiet],
  'dialog-refresh': [number('seconds', 0, 600, 1), quiet],
  'disable-ip-verification': [yesNo(false), quiet],
  'cmd-timeout-short': [number('seconds', 0, 65535, 5), quiet],
  'cmd-timeout-medium': [number('seconds', 0, 65535, 121), quiet],
  'cmd-timeout-long': [number('seconds', 0, 65535, 600), quiet],
  'udev-always-use-vnr': [yesNo(false), quiet],
});

const QUORUM = ['off', 'majority', 'all'];
const OPTIONS = rows('options', {
  'cpu-mask': [string(), none('there are no kernel threads to pin', '没有内核线程可绑定')],
  'on-no-data-accessible': [oneOf('io-error', 'suspend-io'), used],
  'auto-promote': [yesNo(true), none('a mirror is promoted by a command', '由命令提升为主')],
  'auto-promote-timeout': [number('tenths', 0, 600, 20), none('a mirror is promoted by a command', '由命令提升为主')],
  'peer-ack-window': [number('sectors', 2048, 204_800, 4096), MANY_NODES],
  'peer-ack-delay': [number('milliseconds', 1, 10_000, 100), MANY_NODES],
  'twopc-timeout': [number('tenths', 50, 600, 300), CLUSTER_WIDE],
  'twopc-retry-timeout': [number('tenths', 1, 50, 1), CLUSTER_WIDE],
  'max-io-depth': [
    number('count', 4, 4_294_967_295, 8000),
    none('the number of requests is bounded already', '请求数已有上限'),
  ],
  quorum: [number('count', 1, 32, 0, QUORUM), MANY_NODES],
  'quorum-minimum-redundancy': [number('count', 1, 32, 0, QUORUM), MANY_NODES],
  'on-no-quorum': [oneOf('suspend-io', 'io-error'), MANY_NODES],
  'on-suspended-primary-outdated': [oneOf('disconnect', 'force-secondary'), MANY_NODES],
  'drbd8-api-compatibility': [yesNo(false), quiet],
});

const BALANCING = ['prefer-local', 'prefer-remote', 'round-robin', 'least-pending', 'when-congested-remote'] as const;
export const STRIPING = [
  '32K-striping',
  '64K-striping',
  '128K-striping',
  '256K-striping',
  '512K-striping',
  '1M-striping',
];
const FENCING = oneOf('dont-care', 'resource-only', 'resource-and-stonith');
const DISK = rows('disk', {
  size: [number('sectors', 0, 2 ** 41, 0), used],
  'on-io-error': [oneOf('detach', 'pass_on', 'call-local-io-error'), used],
  fencing: [FENCING, used],
  'disk-barrier': [yesNo(false), WRITE_ORDER],
  'disk-flushes': [yesNo(true), used],
  'disk-drain': [yesNo(true), WRITE_ORDER],
  'md-flushes': [yesNo(true), used],
  'resync-after': [string(), used],
  'al-extents': [number('count', 67, 65_534, 1237), used],
  'al-updates': [yesNo(true), used],
  'discard-zeroes-if-aligned': [
    yesNo(true),
    none('the disk says itself what a discard leaves', '由磁盘自身说明 discard 的结果'),
  ],
  'disable-write-same': [yesNo(false), none('write-same is not sent', '不发送 write-same')],
  'disk-timeout': [number('tenths', 0, 6000, 0), used],
  'read-balancing': [oneOf(...BALANCING, ...STRIPING), used],
  'rs-discard-granularity': [number('bytes', 0, 1_048_576, 0), used],
  'max-bio-bvecs': [number('count', 0, 128, 0), none('it is obsolete', '该选项已废弃')],
  'resync-rate': [number('kib', 1, 2 * KIB_MOST, 250), used],
  'c-plan-ahead': [number('tenths', 0, 300, 20), used],
  'c-delay-target': [number('tenths', 1, 100, 10), used],
  'c-fill-target': [number('sectors', 0, 1_048_576, 100), used],
  'c-max-rate': [number('kib', 250, KIB_MOST, 102_400), used],
  'c-min-rate': [number('kib', 0, KIB_MOST, 250), used],
  bitmap: [yesNo(true), needs('a peer without a disk for good', '永久无盘的对端')],
  'resync-without-replication': [yesNo(true), needs('DRBD 9.3', 'DRBD 9.3')],
  'peer-tiebreaker': [yesNo(true), MANY_NODES],
  'block-size': [
    number('bytes', 512, 4096, 512),
    needs('a device of blocks other than 512 bytes', '块大小不为 512 字节的设备'),
  ],
  'discard-granularity': [number('bytes', 0, 134_217_728, 0), needs('DRBD 9', 'DRBD 9')],
  'max-bio-size': [number('bytes', 4096, 1_048_576, 1_048_576), needs('DRBD 9', 'DRBD 9')],
});

const TLS = needs("DRBD 9's TLS in the kernel", 'DRBD 9 的内核 TLS');
const NET = rows('net', {
  protocol: [oneOf('C', 'A', 'B'), used],
  timeout: [number('tenths', 1, 600, 60), used],
  'ping-int': [number('seconds', 1, 120, 10), used],
  'ping-timeout': [number('tenths', 1, 300, 5), used],
  'connect-int': [number('seconds', 1, 120, 10), used],
  'socket-check-timeout': [number('tenths', 0, 300, 0), used],
  'ko-count': [number('count', 0, 200, 7), used],
  'max-buffers': [number('pages', 32, 131_072, 2048), used],
  'max-epoch-size': [number('count', 1, 20_000, 2048), used],
  'unplug-watermark': [number('count', 1, 131_072, 128), none('nothing is plugged here', '此处没有 plug 机制')],
  'sndbuf-size': [number('bytes', 0, 134_217_728, 0), used],
  'rcvbuf-size': [number('bytes', 0, 134_217_728, 0), used],
  'allow-two-primaries': [yesNo(false), used],
  'cram-hmac-alg': [string(LONGEST_STRING), used],
  'shared-secret': [string(LONGEST_STRING), used],
  'data-integrity-alg': [string(LONGEST_STRING), used],
  'verify-alg': [string(LONGEST_STRING), used],
  'csums-alg': [string(LONGEST_STRING), used],
  'csums-after-crash-only': [yesNo(false), used],
  'after-sb-0pri': [
    oneOf(
      'disconnect',
      'discard-younger-primary',
      'discard-older-primary',
      'discard-zero-changes',
      'discard-least-changes',
      'discard-local',
      'discard-remote',
    ),
    used,
  ],
  'after-sb-1pri': [
    oneOf('disconnect', 'consensus', 'violently-as0p', 'discard-secondary', 'call-pri-lost-after-sb'),
    used,
  ],
  'after-sb-2pri': [oneOf('disconnect', 'violently-as0p', 'call-pri-lost-after-sb'), used],
  'always-asbp': [yesNo(false), used],
  'rr-conflict': [oneOf('disconnect', 'call-pri-lost', 'violently', 'retry-connect', 'auto-discard'), used],
  'on-congestion': [oneOf('block', 'pull-ahead', 'disconnect'), used],
  'congestion-fill': [number('sectors', 0, 20_971_520, 0), used],
  'congestion-extents': [number('count', 67, 65_534, 1237), used],
  'use-rle': [yesNo(true), used],
  'tcp-cork': [yesNo(true), none('packets are sent in batches already', '数据包已成批发送')],
  'discard-my-data': [
    yesNo(false),
    none('it belongs to a command: connect --discard-my-data', '应写在命令中：connect --discard-my-data'),
  ],
  tentative: [yesNo(false), none('it belongs to a command: connect --tentative', '应写在命令中：connect --tentative')],
  fencing: [FENCING, used],
  transport: [string(), used],
  'load-balance-paths': [yesNo(false), needs('several paths at once', '同时使用多条路径')],
  tls: [yesNo(false), TLS],
  'tls-keyring': [string(), TLS],
  'tls-privkey': [string(), TLS],
  'tls-certificate': [string(), TLS],
  'allow-remote-read': [yesNo(true), MANY_NODES],
  'rdma-ctrl-rcvbuf-size': [number('bytes', 0, 134_217_728, 0), needs('RDMA', 'RDMA')],
  'rdma-ctrl-sndbuf-size': [number('bytes', 0, 134_217_728, 0), needs('RDMA', 'RDMA')],
});

const STARTUP = rows('startup', {
  'wfc-timeout': [number('seconds', 0, 300_000, 0), used],
  'degr-wfc-timeout': [number('seconds', 0, 300_000, 0), used],
  'outdated-wfc-timeout': [number('seconds', 0, 300_000, 0), used],
  'wait-after-sb': [yesNo(false), used],
  'stacked-timeouts': [yesNo(false), none('stacked resources are not run', '不运行堆叠资源')],
  'become-primary-on': [string(), used],
});

const HANDLERS = [
  ...rows('handlers', Object.fromEntries(MIRROR_HANDLERS.map((n) => [n, [string(), used] as const]))),
  ...rows('handlers', {
    'quorum-lost': [string(), MANY_NODES],
    disconnected: [string(), needs('DRBD 9.1', 'DRBD 9.1')],
  }),
];
const PROXY_ROWS = rows('proxy', {
  memlimit: [string(), quiet],
  'read-loops': [string(), quiet],
  compression: [string(), quiet],
  bwlimit: [string(), quiet],
  'sndbuf-size': [string(), quiet],
  'rcvbuf-size': [string(), quiet],
  'ping-timeout': [string(), quiet],
});

export const OPTION_ROWS: readonly OptionRow[] = [
  ...GLOBAL,
  ...OPTIONS,
  ...DISK,
  ...NET,
  ...STARTUP,
  ...HANDLERS,
  ...PROXY_ROWS,
];
const key = (section: SectionName, name: string): string => `${section} ${name}`;
const byName = new Map(OPTION_ROWS.map((r) => [key(r.section, r.name), r]));
export const optionRow = (section: SectionName, name: string): OptionRow | undefined => byName.get(key(section, name));
export const optionsOf = (section: SectionName): string[] =>
  OPTION_ROWS.filter((r) => r.section === section).map((r) => r.name);

/** What 8.3 called otherwise, or had elsewhere: its place now, and `no` where the old word says the contrary. */
export type Moved = { readonly section: SectionName; readonly name: string; readonly no?: true };
export const SYNCER: Readonly<Record<string, Moved>> = {
  rate: { section: 'disk', name: 'resync-rate' },
  after: { section: 'disk', name: 'resync-after' },
  ...Object.fromEntries(
    ['al-extents', 'c-plan-ahead', 'c-delay-target', 'c-fill-target', 'c-max-rate', 'c-min-rate'].map((name) => [
      name,
      { section: 'disk', name } as const,
    ]),
  ),
  ...Object.fromEntries(
    ['verify-alg', 'csums-alg', 'use-rle'].map((name) => [name, { section: 'net', name } as const]),
  ),
  ...Object.fromEntries(
    ['cpu-mask', 'on-no-data-accessible'].map((name) => [name, { section: 'options', name } as const]),
  ),
};
export const RENAMED: Readonly<Record<string, Moved>> = {
  'disk no-disk-barrier': { section: 'disk', name: 'disk-barrier', no: true },
  'disk no-disk-flushes': { section: 'disk', name: 'disk-flushes', no: true },
  'disk no-disk-drain': { section: 'disk', name: 'disk-drain', no: true },
  'disk no-md-flushes': { section: 'disk', name: 'md-flushes', no: true },
  'net no-tcp-cork': { section: 'net', name: 'tcp-cork', no: true },
  'net dry-run': { section: 'net', name: 'tentative' },
  'handlers outdate-peer': { section: 'handlers', name: 'fence-peer' },
};
