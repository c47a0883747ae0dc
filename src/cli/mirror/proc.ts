/** The text of /proc/drbd as 8.4 writes it. Scripts of fifteen years read it. Pure. */
import type { MirrorDocument, MirrorStatus, SyncProgress, VolumeStatus } from '../../api/index.ts';

const HEAD = 'version: 8.4.11 (api:1/proto:86-101)\nsrcversion: holdfast\n';
const KIB = 1024;
/** From here on the figures are in MiB. */
const LARGE_KIB = 4 * 1024 * 1024;
const BAR = 20;

/** Volumes without a minor number have no line. */
export function procDrbd(d: MirrorDocument): string {
  const lines = d.mirrors
    .flatMap((m) => m.volumes.flatMap((v) => (v.minor === undefined ? [] : [{ m, v, minor: v.minor }])))
    .sort((a, b) => a.minor - b.minor);
  return HEAD + lines.map((l) => volumeText(l.m, l.v, l.minor)).join('');
}
/** `r` runs, `s` suspended; a resync paused by another, by the peer, by the user; congestion; activity log suspended. */
export const flags = (v: VolumeStatus): string => {
  const paused = (['dependency', 'peer', 'user'] as const).map((who, i) => (v.paused.includes(who) ? 'apu'[i] : '-'));
  return `${v.suspended ? 's' : 'r'}${paused.join('')}--`;
};
function volumeText(m: MirrorStatus, v: VolumeStatus, minor: number): string {
  if (v.disk === 'Diskless' && v.connection === 'StandAlone' && v.role !== 'Primary')
    return `${String(minor).padStart(2)}: cs:Unconfigured\n`;
  const protocol = v.connection === 'StandAlone' ? ' ' : m.protocol;
  const c = v.counters;
  return (
    `${String(minor).padStart(2)}: cs:${v.connection} ro:${v.role}/${v.peerRole} ds:${v.disk}/${v.peerDisk} ${protocol} ${flags(v)}\n` +
    `    ns:${c.ns} nr:${c.nr} dw:${c.dw} dr:${c.dr} al:${c.al} bm:${c.bm} lo:${c.lo} pe:${c.pe} ua:${c.ua} ap:${c.ap} ep:${c.ep} wo:${c.wo} oos:${c.oos}\n` +
    (v.sync ? syncText(v.sync) : '')
  );
}
function syncText(s: SyncProgress): string {
  const [total, done] = [Math.floor(s.total / KIB), Math.floor(s.done / KIB)];
  const left = Math.max(0, total - done);
  const thousandths = total === 0 ? 1000 : Math.floor((done / total) * 1000);
  const ahead = Math.floor((thousandths * BAR) / 1000);
  const bar = `${'='.repeat(Math.max(0, ahead - 1))}>${'.'.repeat(BAR - ahead)}`;
  const large = total > LARGE_KIB;
  const amount = large ? `(${Math.floor(left / KIB)}/${Math.floor(total / KIB)})M` : `(${left}/${total})K`;
  const word = s.kind === 'verify' ? 'verified' : "sync'ed";
  const percent = `${Math.floor(thousandths / 10)}.${thousandths % 10}`.padStart(5);
  const seconds = s.left ?? 0;
  const finish = `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(Math.floor(seconds) % 60)}`;
  const stalled = s.stalled ? ' (stalled)' : '';
  return `\t[${bar}] ${word}:${percent}% ${amount}\n\tfinish: ${finish} speed: ${grouped(s.rate)} (${grouped(s.average)}) K/sec${stalled}\n`;
}
const two = (n: number): string => String(n).padStart(2, '0');
const grouped = (bytes: number): string => String(Math.floor(bytes / KIB)).replace(/\B(?=(\d{3})+$)/g, ',');
