/** What `holdfast mirror resolve` says: what each side would lose, and what an undo file holds. Pure. */
import type { MirrorDifferences, VolumeDifferences } from '../../api/index.ts';
import { type Language, type Text, text } from '../../base/index.ts';
import { table } from '../table.ts';
import { size } from './amounts.ts';

type Range = { readonly from: number; readonly to: number };
/** Of what a file holds. */
export type UndoFacts = {
  readonly file: string;
  readonly name: string;
  readonly volume: number;
  readonly host: string;
  readonly peerHost: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Of the volume; changed by each side; in the file: bytes. */
  readonly size: number;
  readonly changedHere: number;
  readonly changedThere: number;
  readonly total: number;
  /** Sixteen hexadecimal digits. */
  readonly mine: string;
  readonly peer: string;
  readonly ranges: readonly Range[];
};
const RANGES_SHOWN = 16;
const generationName = (id: string): string => id.toUpperCase();
/** In UTC, as logs have it. */
const when = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`;

function rangeLines(first: readonly Range[], all: number, language: Language): string[] {
  const lines = first.map((r) => `   ${r.from / 1024} - ${r.to / 1024} KiB  (${size(r.to - r.from)})`);
  const more = all - first.length;
  if (more > 0) lines.push(`   ${text(`and ${more} more`, `另有 ${more} 段`)[language]}`);
  return lines;
}
const UNKNOWN = text('not known', '未知');
const NOT_TOLD = text('not told yet', '尚未告知');

export function resolveText(d: MirrorDifferences, language: Language): string {
  const out: string[] = [];
  for (const v of d.volumes) {
    const name = d.volumes.length > 1 ? `${d.name}/${v.volume}` : d.name;
    const head = v.verdict === undefined ? NO_WORD : VERDICTS[v.verdict.is](d);
    out.push(`${name}: ${head[language]}`, '', volumeTable(d, v, language));
    if (v.changed !== undefined && v.changed.ranges > 0) {
      out.push(
        text(`Changed on ${d.host} since they were equal:`, `自两端一致以来 ${d.host} 上的改动：`)[language],
        ...rangeLines(v.first, v.changed.ranges, language),
        '',
      );
    }
  }
  out.push(...nextSteps(d).map((t) => t[language]));
  return `${out.join('\n')}\n`;
}
const NO_WORD = text('the peer has not told its side yet', '对端尚未告知其状态');
type Head = (d: MirrorDifferences) => Text;
const VERDICTS: Readonly<Record<NonNullable<VolumeDifferences['verdict']>['is'], Head>> = {
  'split-brain': (d) =>
    text(
      `split brain: ${d.host} and ${d.peer} were both written since they were equal. Nothing is lost yet.`,
      `脑裂：自两端一致以来 ${d.host} 与 ${d.peer} 均被写入。目前尚未丢失数据。`,
    ),
  same: () => text('both sides have the same generation', '两端数据代相同'),
  'newer-here': (d) =>
    text(`${d.host} is newer, and nothing of ${d.peer} is lost`, `${d.host} 较新，${d.peer} 不会丢失数据`),
  'newer-there': (d) =>
    text(`${d.peer} is newer, and nothing of ${d.host} is lost`, `${d.peer} 较新，${d.host} 不会丢失数据`),
  unrelated: () => text('the two sides have never been one mirror', '两端从未属于同一镜像'),
};
function volumeTable(d: MirrorDifferences, v: VolumeDifferences, language: Language): string {
  const time = (ms: number | undefined): string => (ms === undefined ? UNKNOWN[language] : when(ms));
  const changed =
    v.changed === undefined
      ? text('no disk here', '本机无盘')[language]
      : text(
          `${size(v.changed.bytes)} in ${v.changed.ranges} range${v.changed.ranges === 1 ? '' : 's'}`,
          `${size(v.changed.bytes)}，共 ${v.changed.ranges} 段`,
        )[language];
  const ask = text(`ask on ${d.peer}`, `请在 ${d.peer} 上查询`)[language];
  const theirs = (of: (p: NonNullable<VolumeDifferences['peer']>) => string): string =>
    v.peer === undefined ? NOT_TOLD[language] : of(v.peer);
  const rows: readonly (readonly string[])[] = [
    ['', text(`${d.host} (here)`, `${d.host}（本机）`)[language], d.peer],
    [text('would lose', '将会失去')[language], changed, theirs((p) => size(p.changed))],
    [text('newest write', '最近写入')[language], time(v.newestWrite), ask],
    [text('apart since', '分离时间')[language], time(v.generationSince), ask],
    [text('generation', '数据代')[language], generationName(v.uuids[0]), theirs((p) => generationName(p.uuids[0]))],
    [text('made from', '源自')[language], generationName(v.uuids[1]), theirs((p) => generationName(p.uuids[1]))],
  ];
  return table(rows);
}
function nextSteps(d: MirrorDifferences): readonly Text[] {
  if (!d.volumes.some((v) => v.verdict?.is === 'split-brain'))
    return [
      text(
        `Nothing to resolve. To connect: holdfast mirror connect ${d.name}`,
        `无需裁决。连接：holdfast mirror connect ${d.name}`,
      ),
    ];
  const discard = `holdfast mirror resolve ${d.name} --discard-mine --accept-data-loss=${d.name}`;
  return [
    text(
      'Pick the side to KEEP. On the OTHER one, as secondary, type the first line; what it loses is kept as an undo file:',
      '请选择要保留的一端。在另一端（降为从节点后）执行第一行；其失去的数据会保存为撤销文件：',
    ),
    text(`  ${discard}`, `  ${discard}`),
    text(
      `and on the side that is kept, unless it is connecting already:\n  holdfast mirror connect ${d.name}`,
      `并在保留的一端（若尚未在连接）执行：\n  holdfast mirror connect ${d.name}`,
    ),
  ];
}

export function undoText(f: UndoFacts, language: Language): string {
  const volume = `${f.name}/${f.volume}`;
  return `${[
    text(
      `${f.file}: what ${f.host} held of ${volume} and lost to ${f.peerHost}, kept ${when(f.at)}. Whole, every checksum is right.`,
      `${f.file}：${f.host} 在 ${volume} 上被 ${f.peerHost} 取代的数据，保存于 ${when(f.at)}。文件完整，校验和全部正确。`,
    )[language],
    '',
    table([
      ['', f.host, f.peerHost],
      [text('had changed', '曾改动')[language], size(f.changedHere), size(f.changedThere)],
      [text('generation', '数据代')[language], generationName(f.mine), generationName(f.peer)],
    ]),
    text(
      `In it: ${size(f.total)} in ${f.ranges.length} range${f.ranges.length === 1 ? '' : 's'} of a volume of ${size(f.size)}`,
      `内容：${size(f.total)}，共 ${f.ranges.length} 段，卷大小 ${size(f.size)}`,
    )[language],
    ...rangeLines(f.ranges.slice(0, RANGES_SHOWN), f.ranges.length, language),
    '',
    text(
      `Its blocks in their places, zeros elsewhere: holdfast mirror resolve --extract ${f.file} --to IMAGE`,
      `将其数据块写到原位（其余为零）：holdfast mirror resolve --extract ${f.file} --to 映像文件`,
    )[language],
  ].join('\n')}\n`;
}
