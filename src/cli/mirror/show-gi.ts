/** `show-gi`: the line of get-gi with what each of its fields says. Pure. */
import type { MirrorStatus, VolumeStatus } from '../../api/index.ts';
import { type Language, type Text, text } from '../../base/index.ts';
import { table } from '../table.ts';
import { identifiers } from './drbdsetup.ts';

const NONE = '0000000000000000';
const UUIDS: readonly Text[] = [
  text('current: the data as they are now', '当前：数据现在的代'),
  text(
    'bitmap: the peer had these data last; marked blocks differ from them',
    '位图：对端最后拥有的代；位图标记与其不同的块',
  ),
  text('younger history', '较新的历史代'),
  text('older history', '较旧的历史代'),
];
const FLAGS: readonly Text[] = [
  text('consistent: the data are of one moment', '一致：数据属于同一时刻'),
  text('up to date, now or when it was last in use', '最新：现在或上次使用时为最新'),
  text('primary', '主节点'),
  text('connected', '已连接'),
  text('all bits are being set for a full resync', '正在为全量同步置全部位'),
  text('the peer’s disk is outdated or inconsistent', '对端磁盘已过期或不一致'),
  text('was primary when it crashed, and has not met its peer since', '崩溃时为主节点，此后尚未与对端会合'),
];
export function generationsText(m: MirrorStatus, volume: number | undefined, language: Language): string {
  return m.volumes
    .filter((v) => volume === undefined || v.volume === volume)
    .map((v) => volumeText(m, v, language))
    .join('\n');
}
function volumeText(m: MirrorStatus, v: VolumeStatus, language: Language): string {
  const line = identifiers(m, v);
  const fields = line.split(':');
  const words = [...UUIDS, ...FLAGS];
  const rows = fields.map((f, i) => {
    const word = words[i]?.[language] ?? '';
    return [f, f === NONE ? `${word}${text(' (none)', '（无）')[language]}` : word];
  });
  return `${m.name}/${v.volume}\n${line}\n${table(rows)}`;
}
