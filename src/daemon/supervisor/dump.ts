/** The dumps that signals ask for: data and statistics as text, and everything as JSON. */
import type { StatusDocument } from '../../api/index.ts';
import { text } from '../../base/index.ts';
import type { GlobalConfig } from '../../config/keepalived/index.ts';
import type { Log } from '../../host/index.ts';
import type { BeatSnapshot } from '../messages.ts';
import { replaceFile } from '../safe-file.ts';

export type DumpPaths = { readonly data: string; readonly stats: string; readonly json: string };
function dumpPaths(g: GlobalConfig): DumpPaths {
  const suffix = g.dataUseInstance ? [g.netNamespace, g.instance].map((n) => (n ? `_${n}` : '')).join('') : '';
  return {
    data: g.stateDumpFile ?? `/tmp/keepalived${suffix}.data`,
    stats: g.statsDumpFile ?? `/tmp/keepalived${suffix}.stats`,
    json: g.jsonDumpFile ?? `/tmp/keepalived${suffix}.json`,
  };
}

export type DumpKind = 'data' | 'stats' | 'json';
/** What cannot be written is logged; nothing depends on it. */
export function writeDump(
  kind: DumpKind,
  global: GlobalConfig,
  status: StatusDocument,
  statistics: BeatSnapshot['statistics'],
  log: Log,
): void {
  const path = dumpPaths(global)[kind];
  const content: Record<DumpKind, () => string> = {
    data: () => dataDump(status),
    stats: () => statisticsDump(statistics),
    json: () => `${JSON.stringify({ ...status, statistics }, null, 2)}\n`,
  };
  try {
    replaceFile(path, content[kind]());
    log.write({ level: 'notice', code: 'dump.written', text: text(`written to ${path}`, `已写入 ${path}`) });
  } catch (e) {
    const why = e instanceof Error ? e.message : String(e);
    log.write({
      level: 'error',
      code: 'dump.failed',
      text: text(`cannot write ${path}: ${why}`, `无法写入 ${path}：${why}`),
    });
  }
}

const iso = (t: number): string => new Date(t).toISOString();

/** Sections and `name = value` lines, in the manner of keepalived.data. */
function dataDump(d: StatusDocument): string {
  const out = [
    '------< Global definitions >------',
    ` Pid = ${d.pid}`,
    ` VRRP process = ${d.beatPid ?? 'none'}`,
    ` Started = ${iso(d.startedAt)}`,
    ` Configuration = ${d.configuration.file}`,
    ` Generation = ${d.configuration.generation}`,
    ` Loaded = ${iso(d.configuration.loadedAt)}`,
    ` Real-time priority = ${d.realtimePriority ?? 'none'}`,
    '------< VRRP Topology >------',
  ];
  for (const i of d.instances) {
    out.push(
      ` VRRP Instance = ${i.name}`,
      `   State = ${i.state}`,
      `   Since = ${iso(i.since)}`,
      `   Because = ${i.because.en}`,
      `   Interface = ${i.interface ?? 'none'}`,
      `   Virtual Router ID = ${i.virtualRouterId}`,
      `   Priority = ${i.configuredPriority}`,
      `   Effective priority = ${i.priority}`,
      `   Virtual IP (${i.addresses.length}), ${i.held ? 'held' : 'not held'}:`,
      ...i.addresses.map((a) => `     ${a}`),
    );
    if (i.master) out.push(`   Master router = ${i.master.address}`, `   Master priority = ${i.master.priority}`);
  }
  out.push('------< Trackers >------');
  for (const t of d.trackers) out.push(` ${t.kind} ${t.name} = ${t.state}`);
  return `${out.join('\n')}\n`;
}

function statisticsDump(statistics: BeatSnapshot['statistics']): string {
  const out: string[] = [];
  for (const [name, counters] of Object.entries(statistics)) {
    out.push(`VRRP Instance: ${name}`);
    for (const [counter, value] of Object.entries(counters)) out.push(`  ${counter}: ${value}`);
  }
  return `${out.join('\n')}\n`;
}
