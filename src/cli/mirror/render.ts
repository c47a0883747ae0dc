/** `holdfast mirror status` for people. Pure: the same document gives the same screen. */
import type { MirrorDocument, MirrorStatus, SyncProgress, VolumeStatus } from '../../api/index.ts';
import { type Language, type Text, text } from '../../base/index.ts';
import { isDrbdConnected } from '../../wire/index.ts';
import { table } from '../table.ts';
import { percent, rate, share, size, span } from './amounts.ts';

type Mark = '✓' | '~' | '!' | '✗';
type State = { readonly mark: Mark; readonly word: Text };
const state = (mark: Mark, en: string, zh: string): State => ({ mark, word: text(en, zh) });

export function stateOf(v: VolumeStatus): State {
  if (v.suspended) return state('✗', 'frozen', '已冻结');
  if (v.disk === 'Failed') return state('✗', 'disk failed', '磁盘故障');
  if (v.disk === 'Inconsistent' && v.sync === undefined) return state('✗', 'incomplete', '不完整');
  switch (v.connection) {
    case 'StandAlone':
      return state('✗', 'not connected', '未连接');
    case 'Connected':
      if (v.disk === 'Diskless') return state('!', 'no disk here', '本机无盘');
      if (v.peerDisk === 'Diskless' || v.peerDisk === 'Failed') return state('!', 'no disk there', '对端无盘');
      if (v.outOfSync > 0) return state('!', 'differs', '有差异');
      return v.disk === 'UpToDate' && v.peerDisk === 'UpToDate'
        ? state('✓', 'in sync', '已同步')
        : state('!', 'not current', '非最新');
    case 'SyncSource':
    case 'SyncTarget':
    case 'StartingSyncS':
    case 'StartingSyncT':
    case 'WFBitMapS':
    case 'WFBitMapT':
    case 'WFSyncUUID':
      return state('~', 'resync', '重新同步');
    case 'PausedSyncS':
    case 'PausedSyncT':
      return state('!', 'resync paused', '重新同步已暂停');
    case 'VerifyS':
    case 'VerifyT':
      return state('~', 'verify', '校验中');
    case 'Ahead':
    case 'Behind':
      return state('!', 'congested', '拥塞');
    default:
      return state('!', 'peer away', '对端离线');
  }
}

/** What needs somebody, with what to type. */
export function mirrorTroubles(d: MirrorDocument): readonly Text[] {
  return d.mirrors.flatMap((m) => [
    ...m.volumes.flatMap((v) => troubleOf(m, v) ?? []),
    ...m.stranded.map((name) => strandedWords(m, name)),
  ]);
}
const strandedWords = (m: MirrorStatus, name: string): Text =>
  text(
    `/dev/holdfast/${name} is there though ${m.host} is not primary: who uses it waits. When this side may be primary again: holdfast mirror primary ${m.name}; to let those who wait fail: holdfast detach ${name} --force, then umount what is mounted there`,
    `/dev/holdfast/${name} 仍在，但 ${m.host} 不是主节点：其使用者在等待。若本机可再次成为主节点：holdfast mirror primary ${m.name}；若放弃等待的请求（使用者将收到错误）：holdfast detach ${name} --force，然后卸载其上的文件系统`,
  );
function troubleOf(m: MirrorStatus, v: VolumeStatus): Text | undefined {
  const name = m.volumes.length > 1 ? `${m.name}/${v.volume}` : m.name;
  const last = m.reasons.filter((r) => r.volume === undefined || r.volume === v.volume).at(-1)?.text;
  const because: Text = last ? text(`: ${last.en}`, `：${last.zh}`) : text('', '');
  if (v.suspended)
    return text(
      `${name} holds its requests: ${v.suspended.en}. To let them go: holdfast mirror resume-io ${name}`,
      `${name} 暂停了请求：${v.suspended.zh}。恢复：holdfast mirror resume-io ${name}`,
    );
  const { mark, word } = stateOf(v);
  if (mark === '✓' || mark === '~') return undefined;
  if (v.connection === 'StandAlone')
    return text(
      `${name} is not connected${because.en}. After a split brain: holdfast mirror resolve ${m.name}; else: holdfast mirror connect ${m.name}`,
      `${name} 未连接${because.zh}。脑裂后：holdfast mirror resolve ${m.name}；否则：holdfast mirror connect ${m.name}`,
    );
  return text(`${name}: ${word.en}${because.en}`, `${name}：${word.zh}${because.zh}`);
}

const BAR = 20;
/** `[#######.............] 33 %  336 MiB of 984 MiB, 100 MiB/s, about 6 s left`. */
export function progressLine(s: SyncProgress, language: Language): string {
  const part = share(s.done, s.total);
  const filled = Math.floor(part * BAR);
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${percent(part, 0)} %`;
  const of = text(`${size(s.done)} of ${size(s.total)}`, `${size(s.done)} / ${size(s.total)}`)[language];
  const found =
    s.found > 0
      ? text(
          `, ${size(s.found)} ${s.kind === 'verify' ? 'differ' : 'failed'}`,
          `，${size(s.found)} ${s.kind === 'verify' ? '有差异' : '失败'}`,
        )[language]
      : '';
  if (s.paused) return `${bar}  ${of}${found}, ${text(`paused: ${s.paused.en}`, `已暂停：${s.paused.zh}`)[language]}`;
  if (s.stalled) return `${bar}  ${of}${found}, ${rate(s.rate)}, ${text('stalled', '停滞')[language]}`;
  if (s.left === undefined) return `${bar}  ${of}${found}`;
  const left = text(`about ${span(s.left, 'en')} left`, `约剩 ${span(s.left, 'zh')}`);
  return `${bar}  ${of}${found}, ${rate(s.rate)}, ${left[language]}`;
}

const HEADS: readonly Text[] = [
  text('MIRROR', '镜像'),
  text('HERE', '本机'),
  text('PEER', '对端'),
  text('STATE', '状态'),
  text('DISKS', '磁盘'),
  text('SIZE', '大小'),
  text('BEHIND', '落后'),
];
const ROLES: Readonly<Record<string, Text>> = {
  Primary: text('primary', '主'),
  Secondary: text('secondary', '备'),
  Unknown: text('?', '?'),
};
const role = (r: string, language: Language): string => ROLES[r]?.[language] ?? r;

export function renderMirrors(d: MirrorDocument, language: Language): string {
  if (d.mirrors.length === 0) return `${text('no mirrors', '没有镜像')[language]}\n`;
  const rows = d.mirrors.flatMap((m) =>
    m.volumes.map((v) => {
      const { mark, word } = stateOf(v);
      return [
        m.volumes.length > 1 ? `${m.name}/${v.volume}` : m.name,
        `${m.host} ${role(v.role, language)}`,
        `${m.peer} ${isDrbdConnected(m.connection) ? role(v.peerRole, language) : '-'}`,
        `${mark} ${word[language]}`,
        `${v.disk}/${v.peerDisk}`,
        size(v.size),
        size(v.outOfSync),
      ];
    }),
  );
  const out = [table([HEADS.map((h) => h[language]), ...rows])];
  for (const m of d.mirrors)
    for (const v of m.volumes)
      if (v.sync) {
        const word = v.sync.kind === 'verify' ? text('verify', '校验') : text('resync', '重新同步');
        out.push(` ${m.name}/${v.volume} ${word[language]} ${progressLine(v.sync, language)}\n`);
      }
  const bad = mirrorTroubles(d);
  out.push('\n');
  if (bad.length === 0) out.push(`${text('Nothing needs you.', '无需处理。')[language]}\n`);
  else {
    out.push(`${text(`Needs you (${bad.length})`, `需要您处理（${bad.length}）`)[language]}\n`);
    bad.forEach((t, i) => {
      out.push(` ${i + 1}. ${t[language]}\n`);
    });
  }
  return out.join('');
}
