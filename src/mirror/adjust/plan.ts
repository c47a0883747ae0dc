/**
 * What a mirror that runs is to take over from its file: the difference of two configurations, line by line, and what each
 * means. Pure. A single line that cannot be taken over while the mirror runs refuses all of them.
 */
import { formatEndpoint, type Text, text } from '../../base/index.ts';
import { type Endpoint, type MetadataPlace, MIRROR_HANDLERS, type MirrorConfig, type VolumeConfig } from '../config.ts';
import type { MirrorStatus } from '../status.ts';
import { DISK_OPTIONS, NET_OPTIONS, NONE, type OptionOf, RESYNC_OPTIONS, type Takes } from './options.ts';

export type AdjustChange = {
  /** As drbd.conf has it. */
  readonly option: string;
  /** Undefined: of the whole mirror. */
  readonly volume: number | undefined;
  readonly from: string;
  readonly to: string;
  readonly takes: Takes;
  /** Of one that is refused: why, and what would do it. */
  readonly instead: Text | undefined;
};
export type AdjustPlan = {
  readonly changes: readonly AdjustChange[];
  readonly refused: boolean;
  readonly reconnects: boolean;
  /** What the mirror runs with afterwards: what waits for the next start is as it was. */
  readonly config: MirrorConfig;
};
/** Stars stand for a secret, whatever it is. */
const SECRET = '********';

/** `secret`: whether the one that the file refers to is another one now. `now`: how the mirror stands. */
export function planAdjust(have: MirrorConfig, want: MirrorConfig, secret: boolean, now: MirrorStatus): AdjustPlan {
  const changes = [
    ...ofMirror(have, want),
    ...authentication(have, want, secret),
    ...optionsOf(NET_OPTIONS, have.net, want.net, undefined),
    ...ofVolumes(have, want, now),
  ].map((c) => guarded(c, want, now));
  const { sendBuffer, receiveBuffer } = have.net;
  const volumes = want.volumes.map((v) => {
    const before = have.volumes.find((one) => one.number === v.number);
    return before === undefined ? v : { ...v, options: { ...v.options, diskTimeout: before.options.diskTimeout } };
  });
  return {
    changes,
    refused: changes.some((c) => c.takes === 'refused'),
    reconnects: changes.some((c) => c.takes === 'reconnects'),
    config: { ...want, net: { ...want.net, sendBuffer, receiveBuffer }, volumes },
  };
}

type Row = { readonly option: string; readonly from: string; readonly to: string; readonly takes: Takes };
const change = (r: Row, volume?: number, instead?: Text): AdjustChange => ({ ...r, volume, instead });
/** Where the two texts are equal nothing has changed. */
const line = (
  option: string,
  from: string,
  to: string,
  takes: Takes,
  volume?: number,
  instead?: Text,
): AdjustChange[] => (from === to ? [] : [change({ option, from, to, takes }, volume, instead)]);

function optionsOf<T extends object>(
  rows: { readonly [K in keyof T]?: OptionOf<T, K> },
  have: T,
  want: T,
  volume: number | undefined,
): AdjustChange[] {
  return (Object.keys(rows) as (keyof T)[]).flatMap((k) => {
    const row = rows[k];
    if (row === undefined || have[k] === want[k]) return [];
    return [change({ option: row.word, from: row.show(have[k]), to: row.show(want[k]), takes: row.takes }, volume)];
  });
}
const endpoint = (e: Endpoint): string => formatEndpoint(e.address, e.port);
const metadata = (m: MetadataPlace): string => {
  if (m.kind === 'internal') return 'internal';
  return m.kind === 'flexible' ? m.device : `${m.device}[${m.index}]`;
};

function ofMirror(have: MirrorConfig, want: MirrorConfig): AdjustChange[] {
  const handlers = MIRROR_HANDLERS.flatMap((h) => line(h, have.handlers[h] ?? NONE, want.handlers[h] ?? NONE, 'now'));
  return [
    ...line('host', have.host, want.host, 'refused', undefined, anew(have.name, text('another host', '主机名不同'))),
    ...line('peer', have.peer, want.peer, 'now'),
    ...line('address', endpoint(have.local), endpoint(want.local), 'reconnects'),
    ...line(`address of ${want.peer}`, endpoint(have.remote), endpoint(want.remote), 'reconnects'),
    ...line('on-no-data-accessible', have.onNoDataAccessible, want.onNoDataAccessible, 'now'),
    ...handlers,
    ...startupLines(have, want),
  ];
}
function startupLines(have: MirrorConfig, want: MirrorConfig): AdjustChange[] {
  const [a, b] = [have.startup, want.startup];
  return [
    ...line('wfc-timeout', `${a.waitForConnection}ms`, `${b.waitForConnection}ms`, 'start'),
    ...line('degr-wfc-timeout', `${a.waitDegraded}ms`, `${b.waitDegraded}ms`, 'start'),
    ...line('outdated-wfc-timeout', `${a.waitOutdated}ms`, `${b.waitOutdated}ms`, 'start'),
    ...line('wait-after-sb', `${a.waitAfterSplitBrain}`, `${b.waitAfterSplitBrain}`, 'start'),
    ...line('become-primary-on', `${a.becomePrimary}`, `${b.becomePrimary}`, 'start'),
  ];
}
/** Where a secret stands in its file says nothing: lines move. */
function authentication(have: MirrorConfig, want: MirrorConfig, secret: boolean): AdjustChange[] {
  const [a, b] = [have.net.auth, want.net.auth];
  const algorithm = line('cram-hmac-alg', a?.algorithm ?? NONE, b?.algorithm ?? NONE, 'reconnects');
  if (!secret || a === undefined || b === undefined) return algorithm;
  return [...algorithm, change({ option: 'shared-secret', from: SECRET, to: SECRET, takes: 'reconnects' })];
}

const anew = (name: string, why: Text): Text =>
  text(
    `${why.en}: holdfast mirror down ${name}, then holdfast mirror up ${name}`,
    `${why.zh}：请先 holdfast mirror down ${name}，再 holdfast mirror up ${name}`,
  );
const NEW_DISK = (name: string): Text =>
  text(
    `a running mirror keeps its disk: holdfast mirror down ${name}; where the new one has no metadata, holdfast mirror create ${name}; then holdfast mirror up ${name}`,
    `运行中的镜像不更换磁盘：holdfast mirror down ${name}；若新磁盘没有元数据，先 holdfast mirror create ${name}；再 holdfast mirror up ${name}`,
  );
function ofVolumes(have: MirrorConfig, want: MirrorConfig, now: MirrorStatus): AdjustChange[] {
  const numbers = [...new Set([...have.volumes, ...want.volumes].map((v) => v.number))].sort((a, b) => a - b);
  return numbers.flatMap((n) => {
    const [a, b] = [have, want].map((c) => c.volumes.find((v) => v.number === n));
    if (a !== undefined && b !== undefined) return ofVolume(have.name, a, b);
    const shown = (v: VolumeConfig | undefined): string => (v === undefined ? NONE : (v.disk ?? 'none'));
    const why = b === undefined ? staying(now, n) : uncoming(have, n);
    return line('volume', shown(a), shown(b), why === undefined ? 'now' : 'refused', n, why);
  });
}
/** Why a volume that the file does not name any more is not taken out. */
function staying({ name, volumes }: MirrorStatus, n: number): Text | undefined {
  if (volumes.find((v) => v.volume === n)?.role === 'Primary')
    return text(
      `it is primary: holdfast mirror secondary ${name} first`,
      `该卷为主：请先执行 holdfast mirror secondary ${name}`,
    );
  return undefined;
}
/** The only volume of a mirror has the mirror's own name: behind a restart another one would have its device. */
function uncoming({ name, volumes }: MirrorConfig, n: number): Text | undefined {
  const [only, ...more] = volumes;
  if (only === undefined || more.length > 0 || n > only.number) return undefined;
  const why = text(
    `volume ${only.number} has the device ${name}, and a lower number would take it`,
    `卷 ${only.number} 使用设备 ${name}，编号更小的卷会占用它`,
  );
  return anew(name, why);
}
function ofVolume(name: string, have: VolumeConfig, want: VolumeConfig): AdjustChange[] {
  const n = have.number;
  const minor = (v: VolumeConfig): string => String(v.minor ?? NONE);
  return [
    ...line('disk', have.disk ?? 'none', want.disk ?? 'none', 'refused', n, NEW_DISK(name)),
    ...line('meta-disk', metadata(have.metadata), metadata(want.metadata), 'refused', n, NEW_DISK(name)),
    ...line('device', have.device, want.device, 'now', n),
    ...line('minor', minor(have), minor(want), 'now', n),
    ...optionsOf(DISK_OPTIONS, have.options, want.options, n),
    ...optionsOf(RESYNC_OPTIONS, have.options.resync, want.options.resync, n),
  ];
}

const VERIFYING: ReadonlySet<string> = new Set(['VerifyS', 'VerifyT']);
const RESYNCING: ReadonlySet<string> = new Set(['SyncSource', 'SyncTarget', 'PausedSyncS', 'PausedSyncT']);
/** What may be changed at other times, and not while it is in use: as the kernel refuses it. */
function guarded(c: AdjustChange, want: MirrorConfig, now: MirrorStatus): AdjustChange {
  const refuse = (instead: Text): AdjustChange => ({ ...c, takes: 'refused', instead });
  const some = (states: ReadonlySet<string>): boolean => now.volumes.some((v) => states.has(v.connection));
  const both = now.volumes.some((v) => v.role === 'Primary' && v.peerRole === 'Primary');
  if (c.option === 'verify-alg' && some(VERIFYING))
    return refuse(text('a verify is under way: adjust again when it is done', '正在校验：请在完成后重试'));
  if (c.option === 'csums-alg' && some(RESYNCING))
    return refuse(text('a resync is under way: adjust again when it is done', '正在同步：请在完成后重试'));
  if (c.option === 'allow-two-primaries' && !want.net.allowTwoPrimaries && both)
    return refuse(
      text(
        `both sides are primary: holdfast mirror secondary ${now.name} on one of them first`,
        `两端均为主节点：请先在其中一端执行 holdfast mirror secondary ${now.name}`,
      ),
    );
  return c;
}
