/** The status document of a resource. */
import { bytes, type Microseconds, unreachable } from '../../base/index.ts';
import { uuidTexts } from '../metadata/index.ts';
import type { MirrorReason, MirrorStatus, SyncProgress, VolumeStatus } from '../status.ts';
import { BIT_BYTES } from './bits.ts';
import type { Parts } from './parts.ts';
import type { Paces } from './resync/paces.ts';
import { pausedBy } from './resync/pauses.ts';
import type { Volume } from './volume.ts';

/** From then on a rate tells something of what is to come. */
const TELLING = 1_000_000;
const kib = (n: number): number => Math.floor(n / 1024);

export function statusOf(p: Parts, reasons: readonly MirrorReason[], now: Microseconds, paces: Paces): MirrorStatus {
  return {
    name: p.config.name,
    host: p.config.host,
    peer: p.config.peer,
    protocol: p.config.net.protocol,
    role: p.roles.primary ? 'Primary' : 'Secondary',
    connection: p.link.state,
    volumes: p.volumes.map((v) => volumeStatus(p, v, now, paces)),
    stranded: [],
    reasons,
  };
}

function volumeStatus(p: Parts, v: Volume, now: Microseconds, paces: Paces): VolumeStatus {
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
    outOfSync: bytes(v.bits * BIT_BYTES),
    sync: progress(p, v, now, paces),
    undo: p.undos.of(v),
    crashedPrimary: v.crashedPrimary,
    paused: (['user', 'peer', 'dependency'] as const).filter((who) => v.pause[who]),
    suspended: [...v.holds.values()][0],
    uuids: uuidTexts(v.uuids),
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
function progress(p: Parts, v: Volume, now: Microseconds, paces: Paces): SyncProgress | undefined {
  const s = p.syncs.of(v);
  switch (s?.is) {
    case undefined:
    case 'bitmap':
      return undefined;
    case 'source':
    case 'target': {
      const of = s.is === 'source' ? s.source : s.target;
      return {
        ...pace(of, paces, now, of.total - v.bits),
        kind: 'resync',
        role: s.is,
        found: bytes(of.failed),
        paused: pausedBy(v),
      };
    }
    case 'verify-source':
    case 'verify-target': {
      const of = s.is === 'verify-source' ? s.source : s.target;
      const role = s.is === 'verify-source' ? 'source' : 'target';
      return {
        ...pace(of, paces, now, of.done),
        kind: 'verify',
        role,
        found: bytes(of.found),
        paused: undefined,
      };
    }
    default:
      return unreachable(s);
  }
}
/** `ready`: bits. */
function pace(
  of: { readonly begun: Microseconds; readonly total: number },
  paces: Paces,
  now: Microseconds,
  ready: number,
): Omit<SyncProgress, 'kind' | 'role' | 'found' | 'paused'> {
  const total = of.total * BIT_BYTES;
  const ended = Math.max(0, ready * BIT_BYTES);
  const early = now - of.begun < TELLING;
  const average = ended / (Math.max(1, now - of.begun) / 1_000_000);
  const rate = paces.rate(of, of.begun, now, ended);
  return {
    total: bytes(total),
    done: bytes(ended),
    rate: bytes(Math.round(rate)),
    average: bytes(Math.round(average)),
    stalled: !early && rate === 0,
    left: !early && rate > 0 ? (total - ended) / rate : undefined,
  };
}
