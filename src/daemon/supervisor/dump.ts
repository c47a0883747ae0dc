/** The dumps that signals ask for: data and statistics as text, and everything as JSON. */
import type { StatusDocument } from '../../api/index.ts';
import type { GlobalConfig } from '../../config/index.ts';
import type { BeatSnapshot } from '../messages.ts';

export type DumpPaths = { readonly data: string; readonly stats: string; readonly json: string };
export function dumpPaths(g: GlobalConfig): DumpPaths {
  const suffix = g.dataUseInstance ? [g.netNamespace, g.instance].map((n) => (n ? `_${n}` : '')).join('') : '';
  return {
    data: g.stateDumpFile ?? `/tmp/keepalived${suffix}.data`,
    stats: g.statsDumpFile ?? `/tmp/keepalived${suffix}.stats`,
    json: g.jsonDumpFile ?? `/tmp/keepalived${suffix}.json`,
  };
}

const iso = (t: number): string => new Date(t).toISOString();

/** Sections and `name = value` lines, in the manner of keepalived.data. */
export function dataDump(d: StatusDocument): string {
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

export function statisticsDump(statistics: BeatSnapshot['statistics']): string {
  const out: string[] = [];
  for (const [name, counters] of Object.entries(statistics)) {
    out.push(`VRRP Instance: ${name}`);
    for (const [counter, value] of Object.entries(counters)) out.push(`  ${counter}: ${value}`);
  }
  return `${out.join('\n')}\n`;
}
