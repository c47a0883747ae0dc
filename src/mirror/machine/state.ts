/** Disk states as both sides make them fit a connection state: DRBD computes this on each side, so it must be the same. */
import { DRBD_DISKS, type DrbdConnection, type DrbdDisk } from '../../wire/index.ts';

type Range = readonly [lowest: DrbdDisk, highest: DrbdDisk];
/** Own and peer's disk, by connection state; a state outside is moved to the nearer end. */
const RANGES: Readonly<Partial<Record<DrbdConnection, readonly [Range, Range]>>> = {
  WFBitMapT: [
    ['Inconsistent', 'Outdated'],
    ['UpToDate', 'UpToDate'],
  ],
  StartingSyncT: [
    ['Inconsistent', 'Outdated'],
    ['UpToDate', 'UpToDate'],
  ],
  WFSyncUUID: [
    ['Inconsistent', 'Outdated'],
    ['UpToDate', 'UpToDate'],
  ],
  PausedSyncT: [
    ['Inconsistent', 'Outdated'],
    ['UpToDate', 'UpToDate'],
  ],
  Behind: [
    ['Inconsistent', 'Outdated'],
    ['UpToDate', 'UpToDate'],
  ],
  SyncTarget: [
    ['Inconsistent', 'Inconsistent'],
    ['UpToDate', 'UpToDate'],
  ],
  WFBitMapS: [
    ['UpToDate', 'UpToDate'],
    ['Inconsistent', 'Consistent'],
  ],
  StartingSyncS: [
    ['UpToDate', 'UpToDate'],
    ['Inconsistent', 'Consistent'],
  ],
  PausedSyncS: [
    ['UpToDate', 'UpToDate'],
    ['Inconsistent', 'Consistent'],
  ],
  Ahead: [
    ['UpToDate', 'UpToDate'],
    ['Inconsistent', 'Consistent'],
  ],
  SyncSource: [
    ['UpToDate', 'UpToDate'],
    ['Inconsistent', 'Inconsistent'],
  ],
  VerifyS: [
    ['UpToDate', 'UpToDate'],
    ['UpToDate', 'UpToDate'],
  ],
  VerifyT: [
    ['UpToDate', 'UpToDate'],
    ['UpToDate', 'UpToDate'],
  ],
};
const rank = (d: DrbdDisk): number => DRBD_DISKS.indexOf(d);
const clamp = (d: DrbdDisk, [low, high]: Range): DrbdDisk =>
  rank(d) < rank(low) ? low : rank(d) > rank(high) ? high : d;
/** Connected to each other, both know that nothing newer exists. */
const raised = (d: DrbdDisk): DrbdDisk => (d === 'Consistent' || d === 'Outdated' ? 'UpToDate' : d);

export function fittingDisks(connection: DrbdConnection, own: DrbdDisk, peer: DrbdDisk): readonly [DrbdDisk, DrbdDisk] {
  const ranges = RANGES[connection];
  if (ranges === undefined) return connection === 'Connected' ? [raised(own), raised(peer)] : [own, peer];
  return [clamp(own, ranges[0]), clamp(peer, ranges[1])];
}
