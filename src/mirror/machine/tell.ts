/** What we tell the peer: all parameters at once, without waiting for its own; and state words. */
import {
  DRBD_CONNECTIONS,
  DRBD_DISKS,
  DRBD_FEATURE,
  DRBD_ROLES,
  DRBD_UUID_FLAG,
  type DrbdConnection,
  type DrbdDialect,
  type DrbdDisk,
  type DrbdPacket,
  encodeState,
} from '../../wire/index.ts';
import { protocolPacket } from './agreement.ts';
import type { ConnectConfig, PauseFlags, VolumeFacts } from './types.ts';

export const stateWord = (
  connection: DrbdConnection,
  roles: readonly [number, number],
  disks: readonly [DrbdDisk, DrbdDisk],
  paused: PauseFlags = { user: false, peer: false, dependency: false },
): number =>
  encodeState({
    role: roles[0],
    peer: roles[1],
    connection: DRBD_CONNECTIONS.indexOf(connection),
    disk: DRBD_DISKS.indexOf(disks[0]),
    peerDisk: DRBD_DISKS.indexOf(disks[1]),
    suspended: false,
    afterDependencyPaused: paused.dependency,
    peerPaused: paused.peer,
    userPaused: paused.user,
    suspendedNoData: false,
    suspendedFencing: false,
  });
export const roleOf = (primary: boolean): number => DRBD_ROLES.indexOf(primary ? 'Primary' : 'Secondary');

/** In the order in which the kernel tells them. */
export function parameterPackets(c: ConnectConfig, d: DrbdDialect): readonly DrbdPacket[] {
  return [protocolPacket(c), ...c.volumes.flatMap((v) => volumePackets(c, d, v, 'WFConnection'))];
}
/** Of one volume; `connection`: what the state at the end says of it. */
export function volumePackets(
  c: Pick<ConnectConfig, 'discardMyData'>,
  d: DrbdDialect,
  v: VolumeFacts,
  connection: DrbdConnection,
): readonly DrbdPacket[] {
  const { volume, resyncRate, verifyAlg, csumsAlg, controller } = v;
  const packets: DrbdPacket[] = [{ kind: 'P_SYNC_PARAM89', volume, resyncRate, verifyAlg, csumsAlg, controller }];
  const { diskSize, userSize, currentSize, maxBioSize } = v.sizes;
  // The peer takes P_SIZES for malformed when the limits are there without the feature, or the feature without them.
  const limits = (d.features & DRBD_FEATURE.writeSame) === 0 ? undefined : v.sizes.limits;
  const asked = { diskSize, userSize, currentSize, maxBioSize, limits, queueOrderType: 0, growFlags: 0 };
  packets.push({ kind: 'P_SIZES', volume, ...asked });
  if (v.disk !== 'Diskless')
    packets.push({
      kind: 'P_UUIDS',
      volume,
      uuids: v.uuids,
      bits: v.bits,
      flags:
        (c.discardMyData ? DRBD_UUID_FLAG.discardMyData : 0) | (v.crashedPrimary ? DRBD_UUID_FLAG.crashedPrimary : 0),
    });
  packets.push({
    kind: 'P_STATE',
    volume,
    state: stateWord(connection, [roleOf(v.primary), 0], [v.disk, 'DUnknown'], v.pause),
  });
  return packets;
}
