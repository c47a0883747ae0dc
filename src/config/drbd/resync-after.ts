/** `resync-after`: whose resync goes first. Names, minors and cycles are looked at when all resources of a file are known. */
import { type Text, text } from '../../base/index.ts';
import type { MirrorConfig, VolumeConfig } from '../../mirror/config.ts';
import type { Report } from '../keepalived/report.ts';
import type { DrbdResource } from './mirror.ts';

const NOBODY = '-1';
const MINOR = /^\d+$/;
type Here = { readonly mirror: MirrorConfig; readonly volume: VolumeConfig };
const nameOf = ({ mirror, volume }: Here): string => `${mirror.name}/${volume.number}`;

/** The same resources; what a volume comes after is `NAME` or `NAME/VOLUME` in each, or undefined. */
export function resolveResyncAfter(all: readonly DrbdResource[], report: Report): readonly DrbdResource[] {
  const here = all.flatMap(({ run }) =>
    run.kind === 'here' ? run.mirror.volumes.map((volume): Here => ({ mirror: run.mirror, volume })) : [],
  );
  const targets = (after: string): readonly Here[] => {
    const [name, number] = after.split('/');
    return here.filter((h) => h.mirror.name === name && (number === undefined || String(h.volume.number) === number));
  };
  const resolved = (r: DrbdResource, v: VolumeConfig): string | undefined => {
    const { resyncAfter: typed } = v.options;
    if (typed === undefined || typed === NOBODY) return undefined;
    const byMinor = here.find((h) => h.volume.minor !== undefined && String(h.volume.minor) === typed);
    const after = byMinor === undefined ? typed : nameOf(byMinor);
    if (targets(after).length > 0) return after;
    const what: Text = all.some((x) => x.name === typed.split('/')[0])
      ? text('which this host does not have', '本主机没有它')
      : text('which is not in this file', '它不在此配置中');
    report.warn(
      'drbd-resync-after',
      r.written.sections.disk.get('resync-after')?.at ?? r.written.at,
      text(
        `resync-after names ${typed}, ${what.en}: nothing is waited for, unless a mirror of that name runs here all the same`,
        `resync-after 指向 ${typed}，${what.zh}：不会等待，除非本机仍有同名镜像在运行`,
      ),
    );
    return MINOR.test(typed) ? undefined : typed;
  };
  const out = all.map((r): DrbdResource => {
    const { run } = r;
    if (run.kind !== 'here') return r;
    const volumes = run.mirror.volumes.map((v) => ({ ...v, options: { ...v.options, resyncAfter: resolved(r, v) } }));
    return { ...r, run: { ...run, mirror: { ...run.mirror, volumes } } };
  });
  const next = new Map(
    out.flatMap(({ run }) =>
      run.kind === 'here'
        ? run.mirror.volumes.map((v): [string, readonly string[]] => [
            nameOf({ mirror: run.mirror, volume: v }),
            v.options.resyncAfter === undefined ? [] : targets(v.options.resyncAfter).map(nameOf),
          ])
        : [],
    ),
  );
  for (const r of out) {
    if (r.run.kind !== 'here') continue;
    const looped = r.run.mirror.volumes.map((v) => `${r.name}/${v.number}`).find((n) => reaches(next, n, n));
    if (looped === undefined) continue;
    report.error(
      'drbd-resync-after-cycle',
      r.written.sections.disk.get('resync-after')?.at ?? r.written.at,
      text(
        `${looped} would wait for itself: resync-after runs in a circle`,
        `${looped} 会等待自身：resync-after 构成循环`,
      ),
    );
  }
  return out;
}
function reaches(next: ReadonlyMap<string, readonly string[]>, from: string, to: string): boolean {
  const seen = new Set<string>();
  const todo = [...(next.get(from) ?? [])];
  for (let n = todo.pop(); n !== undefined; n = todo.pop()) {
    if (n === to) return true;
    if (seen.has(n)) continue;
    seen.add(n);
    todo.push(...(next.get(n) ?? []));
  }
  return false;
}
