/** What the connection machine is told of a resource, from its configuration and from how its volumes stand. */
import { us } from '../../../base/index.ts';
import { DRBD_FEATURE, type QueueLimits, sector } from '../../../wire/index.ts';
import type { MirrorConfig } from '../../config.ts';
import type { ConnectConfig, VolumeFacts } from '../../machine/index.ts';
import type { Volume } from '../volume.ts';

export const PROTOCOL_NUMBER = { A: 1, B: 2, C: 3 } as const;
/** Without P_ZEROES where data have digests: a kernel before 8.4.12 looks for one in it, and there is none. */
const ALL_FEATURES = DRBD_FEATURE.trim | DRBD_FEATURE.thinResync | DRBD_FEATURE.writeSame | DRBD_FEATURE.writeZeroes;
const LIMITS: QueueLimits = {
  physicalBlockSize: 4096,
  logicalBlockSize: 512,
  alignmentOffset: 0,
  ioMin: 4096,
  ioOpt: 0,
  discardEnabled: 1,
  discardZeroesData: 1,
  writeSameCapable: 0,
  pad: 0,
};

/** `o`: of an attempt to connect; without it, what the machine is told of a connection that works. */
export function connectConfig(
  m: MirrorConfig,
  volumes: readonly Volume[],
  o: { readonly secret?: Uint8Array | undefined; readonly discardMyData?: boolean } = {},
): ConnectConfig {
  const { net } = m;
  return {
    features: net.dataIntegrity === undefined ? ALL_FEATURES : ALL_FEATURES & ~DRBD_FEATURE.writeZeroes,
    auth:
      net.auth === undefined || o.secret === undefined
        ? undefined
        : { algorithm: net.auth.algorithm, secret: o.secret },
    protocol: PROTOCOL_NUMBER[net.protocol],
    policies: { none: net.after0Primaries, one: net.after1Primary, two: net.after2Primaries },
    alwaysAsbp: net.alwaysAfterSplitBrain,
    rrConflict: net.resyncRoleConflict,
    discardMyData: o.discardMyData ?? false,
    dryRun: false,
    twoPrimaries: net.allowTwoPrimaries,
    integrity: net.dataIntegrity ?? '',
    socketCheck: us((net.socketCheckTimeout || net.pingTimeout) * 1000),
    answerWithin: us(net.pingTimeout * 4000),
    volumes: volumes.map((v) => volumeFacts(m, v)),
  };
}
export const volumeFacts = (m: MirrorConfig, v: Volume): VolumeFacts => ({
  volume: v.number,
  primary: v.primary || v.promoting,
  // One that is just being attached has nothing to tell yet.
  disk: v.backing === undefined ? 'Diskless' : v.disk,
  uuids: v.uuids,
  bits: v.bits,
  crashedPrimary: v.crashedPrimary,
  pause: { ...v.pause, peer: false },
  sizes: {
    diskSize: sector(v.backing?.usable ?? 0),
    userSize: sector(v.backing === undefined ? 0 : v.userSize),
    currentSize: sector(v.size),
    maxBioSize: 1 << 20,
    limits: LIMITS,
  },
  resyncRate: Math.floor(v.config.options.resync.rate / 1024),
  verifyAlg: m.net.verify ?? '',
  csumsAlg: m.net.checksums ?? '',
  controller: {
    planAhead: Math.round(v.config.options.resync.planAhead / 100),
    delayTarget: Math.round(v.config.options.resync.delayTarget / 100),
    fillTarget: Math.floor(v.config.options.resync.fillTarget / 512),
    maxRate: Math.floor(v.config.options.resync.maxRate / 1024),
  },
});
