/** The status document of a resource. */
import { bytes, type Microseconds } from '../../base/index.ts';
import type { MirrorReason, MirrorStatus, SyncProgress, VolumeStatus } from '../status.ts';
import type { Parts } from './parts.ts';
import type { Volume } from './volume.ts';

const BIT = 4096;
const hex = (id: bigint): string => id.toString(16).padStart(16, '0');
const kib = (n: number): number => Math.floor(n / 1024);

export function statusOf(p: Parts, reasons: readonly Omit<MirrorReason, 'at'>[], now: Microseconds): MirrorStatus {
  return {
    name: p.config.name,
    host: p.config.host,
    peer: p.config.peer,
    protocol: p.config.net.protocol,
    role: p.roles.primary ? 'Primary' : 'Secondary',
    connection: p.link.state,
    volumes: p.volumes.map((v) => volumeStatus(p, v, now)),
    // The time of day is the driver's to add.
    reasons: reasons.map((r) => ({ ...r, at: 0 })),
  };
}

function volumeStatus(p: Parts, v: Volume, now: Microseconds): VolumeStatus {
  const { current, bitmap, history } = v.uuids;
  return {
    volume: v.number,
    minor: v.config.minor,
    device: v.config.device,
    backing: v.config.disk,
    size: bytes(v.size * 512),
    role: v.role,
    peerRole: v.peerRole,
    connection: v.connection,
    disk: v.disk,
    peerDisk: v.peerDisk,
    outOfSync: bytes(v.bits * BIT),
    sync: progress(p, v, now),
    suspended: [...v.holds.values()][0],
    uuids: [hex(current), hex(bitmap), hex(history[0]), hex(history[1])],
    counters: {
      ns: kib(v.counters.ns),
      nr: kib(v.counters.nr),
      dw: kib(v.counters.dw),
      dr: kib(v.counters.dr),
      al: v.backing?.store.alWrites ?? 0,
      bm: v.backing?.store.bitmapWrites ?? 0,
      lo: v.counters.lo,
      pe: p.sender.pending(v),
      ua: v.counters.ua,
      ap: v.counters.ap,
      ep: p.receiver.epochs,
      wo: v.config.options.diskFlushes ? 'f' : 'd',
      oos: v.bits * 4,
    },
    open: v.counters.ap > 0,
  };
}
function progress(p: Parts, v: Volume, now: Microseconds): SyncProgress | undefined {
  const s = p.syncs.of(v);
  if (s === undefined || s.is === 'bitmap') return undefined;
  const of = s.is === 'source' ? s.source : s.target;
  const total = of.total * BIT;
  const doneBytes = Math.max(0, total - v.bits * BIT);
  const elapsed = Math.max(1, now - of.begun) / 1_000_000;
  const average = doneBytes / elapsed;
  return {
    kind: 'resync',
    role: s.is,
    total: bytes(total),
    done: bytes(doneBytes),
    rate: bytes(Math.round(average)),
    average: bytes(Math.round(average)),
    left: average > 0 ? (v.bits * BIT) / average : undefined,
    paused: undefined,
    found: bytes(of.failed),
  };
}
