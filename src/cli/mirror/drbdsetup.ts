/** What drbdsetup and drbdadm print of a running resource: `status`, `cstate`, `dstate`, `role`, `get-gi`. Pure. */
import type { MirrorStatus, VolumeStatus } from '../../api/index.ts';
import { isDrbdConnected } from '../../wire/index.ts';
import { percent, share } from './amounts.ts';

export type StatusView = { readonly verbose: boolean; readonly statistics: boolean };

/** 8.4 has one word for connection and resync; status and events2 have two. */
export const connectionName = (c: MirrorStatus['connection']): string => {
  if (c === 'WFConnection' || c === 'WFReportParams') return 'Connecting';
  return isDrbdConnected(c) ? 'Connected' : c;
};
export const replicationName = (c: MirrorStatus['connection']): string => {
  if (!isDrbdConnected(c)) return 'Off';
  return c === 'Connected' ? 'Established' : c;
};
const ORDERING = { b: 'barrier', f: 'flush', d: 'drain', n: 'none' } as const;
const yesNo = (b: boolean): string => (b ? 'yes' : 'no');

const WIDTH = 80;
/** Pairs in as many lines as they need. */
function wrapped(indent: number, pairs: readonly string[]): string {
  const pad = ' '.repeat(indent);
  const lines: string[] = [];
  for (const p of pairs) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + p.length <= WIDTH) lines[lines.length - 1] = `${last} ${p}`;
    else lines.push(pad + p);
  }
  return lines.map((l) => `${l}\n`).join('');
}
const volumeName = (m: MirrorStatus, v: VolumeStatus, view: StatusView): string =>
  view.verbose || m.volumes.length > 1 ? `volume:${v.volume} ` : '';

export function statusText(m: MirrorStatus, view: StatusView): string {
  const suspended = m.volumes.some((v) => v.suspended);
  const first = m.volumes[0];
  const head = `${m.name} role:${m.role}${view.verbose || suspended ? ` suspended:${yesNo(suspended)}` : ''}\n`;
  const ordering = view.statistics && first ? `    write-ordering:${ORDERING[first.counters.wo]}\n` : '';
  const own = m.volumes.map((v) => {
    const minor = view.verbose ? `minor:${v.minor ?? '-'} ` : '';
    const c = v.counters;
    const statistics = [
      `size:${v.size / 1024}`,
      `read:${c.dr}`,
      `written:${c.dw}`,
      `al-writes:${c.al}`,
      `bm-writes:${c.bm}`,
      `upper-pending:${c.ap}`,
      `lower-pending:${c.lo}`,
      'al-suspended:no',
      'blocked:no',
    ];
    return `  ${volumeName(m, v, view)}${minor}disk:${v.disk}\n${view.statistics ? wrapped(6, statistics) : ''}`;
  });
  return `${head}${ordering}${own.join('')}${peerText(m, view)}\n`;
}
function peerText(m: MirrorStatus, view: StatusView): string {
  if (m.connection === 'StandAlone') return '';
  const connected = isDrbdConnected(m.connection);
  const state = connected && !view.verbose ? '' : ` connection:${connectionName(m.connection)}`;
  const role = connected || view.verbose ? ` role:${m.volumes[0]?.peerRole ?? 'Unknown'}` : '';
  const head = `  ${m.peer}${state}${role}\n`;
  if (!connected) return head;
  const volumes = m.volumes.map((v) => {
    const replication = replicationName(v.connection);
    const shown = view.verbose || replication !== 'Established' ? `replication:${replication} ` : '';
    const done = v.sync ? ` done:${percent(share(v.sync.done, v.sync.total), 2)}` : '';
    const paused = v.paused.length > 0 ? ` resync-suspended:${v.paused.join(',')}` : '';
    const c = v.counters;
    const statistics = [
      `received:${c.nr}`,
      `sent:${c.ns}`,
      `out-of-sync:${c.oos}`,
      `pending:${c.pe}`,
      `unacked:${c.ua}`,
    ];
    return `    ${volumeName(m, v, view)}${shown}peer-disk:${v.peerDisk}${done}${paused}\n${view.statistics ? wrapped(8, statistics) : ''}`;
  });
  return head + volumes.join('');
}

/** One line for each volume, or one for a verb that concerns the connection or the role. */
export function look(
  verb: 'cstate' | 'dstate' | 'role' | 'get-gi',
  m: MirrorStatus,
  volume: number | undefined,
): string {
  const volumes = m.volumes.filter((v) => volume === undefined || v.volume === volume);
  const line = (v: VolumeStatus): string => {
    switch (verb) {
      case 'cstate':
        return v.connection;
      case 'dstate':
        return `${v.disk}/${v.peerDisk}`;
      case 'role':
        return `${v.role}/${v.peerRole}`;
      case 'get-gi':
        return identifiers(m, v);
    }
  };
  return volumes.map((v) => `${line(v)}\n`).join('');
}
const bit = (b: boolean): string => (b ? '1' : '0');
/** The flags as they follow from the states; what is written for a full sync is all bits, and no flag. */
export function identifiers(m: MirrorStatus, v: VolumeStatus): string {
  const consistent = v.disk === 'UpToDate' || v.disk === 'Consistent' || v.disk === 'Outdated';
  const upToDate = v.disk === 'UpToDate' || v.disk === 'Consistent';
  const peerOutdated = v.peerDisk === 'Outdated' || v.peerDisk === 'Inconsistent';
  const bits = [
    consistent,
    upToDate,
    v.role === 'Primary',
    isDrbdConnected(m.connection),
    false,
    peerOutdated,
    v.crashedPrimary,
  ];
  return [...v.uuids.map((u) => u.toUpperCase()), ...bits.map(bit)].join(':');
}
