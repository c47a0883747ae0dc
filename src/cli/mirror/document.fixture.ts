/** Mirrors in the states that the look-alikes must show. */
import type { MirrorDocument, MirrorStatus, SyncProgress, VolumeStatus } from '../../api/index.ts';
import { bytes, text } from '../../base/index.ts';

const KIB = 1024;
export const sync = (o: Partial<SyncProgress> = {}): SyncProgress => ({
  kind: 'resync',
  role: 'source',
  total: bytes(984 * KIB),
  done: bytes(472 * KIB),
  rate: bytes(100 * KIB),
  average: bytes(100 * KIB),
  stalled: false,
  left: 5,
  paused: undefined,
  found: bytes(0),
  ...o,
});
export const volume = (o: Partial<VolumeStatus> = {}): VolumeStatus => ({
  volume: 0,
  minor: 0,
  device: '/dev/drbd0',
  backing: '/dev/loop0',
  size: bytes(984 * KIB),
  role: 'Primary',
  peerRole: 'Secondary',
  connection: 'Connected',
  disk: 'UpToDate',
  peerDisk: 'UpToDate',
  outOfSync: bytes(0),
  sync: undefined,
  undo: undefined,
  crashedPrimary: false,
  paused: [],
  suspended: undefined,
  uuids: ['a1b2c3d4e5f60718', '0000000000000000', '1111111111111110', '0000000000000000'],
  counters: { ns: 1008, nr: 0, dw: 72, dr: 3936, al: 1, bm: 0, lo: 0, pe: 0, ua: 0, ap: 0, ep: 1, wo: 'f', oos: 0 },
  open: true,
  ...o,
});
export const mirror = (o: Partial<MirrorStatus> = {}, ...volumes: VolumeStatus[]): MirrorStatus => ({
  name: 'r0',
  host: 'a',
  peer: 'b',
  protocol: 'C',
  role: 'Primary',
  connection: 'Connected',
  volumes: volumes.length === 0 ? [volume()] : volumes,
  stranded: [],
  reasons: [],
  ...o,
});
export const document = (...mirrors: MirrorStatus[]): MirrorDocument => ({ at: 0, mirrors });

/** The one of the sample outputs of the kernel's 8.4. */
export const ALONE = mirror(
  { connection: 'StandAlone' },
  volume({ connection: 'StandAlone', peerRole: 'Unknown', peerDisk: 'DUnknown' }),
);
export const RESYNC = mirror(
  {},
  volume({
    connection: 'SyncSource',
    peerDisk: 'Inconsistent',
    outOfSync: bytes(512 * KIB),
    sync: sync(),
    counters: { ...volume().counters, ns: 984, dw: 0, dr: 984, al: 8, oos: 512 },
  }),
);
const GIB = 1024 ** 3;
export const MANY = document(
  mirror({ name: 'data' }),
  mirror(
    { name: 'mail', role: 'Secondary' },
    volume({ minor: 4, role: 'Secondary', peerRole: 'Primary', size: bytes(100 * GIB) }),
    volume({
      volume: 3,
      minor: 5,
      role: 'Secondary',
      peerRole: 'Primary',
      disk: 'Inconsistent',
      connection: 'SyncTarget',
      size: bytes(8 * GIB),
      outOfSync: bytes(3 * GIB),
      sync: sync({
        role: 'target',
        total: bytes(8 * GIB),
        done: bytes(5 * GIB),
        rate: bytes(100 * 1024 ** 2),
        average: bytes(90 * 1024 ** 2),
        left: 31,
      }),
    }),
  ),
  mirror(
    {
      name: 'lost',
      connection: 'StandAlone',
      reasons: [{ at: 0, code: 'mirror.connect', volume: undefined, text: text('split brain', '脑裂') }],
    },
    volume({ minor: 6, connection: 'StandAlone', peerRole: 'Unknown', peerDisk: 'DUnknown', outOfSync: bytes(4096) }),
  ),
  mirror(
    { name: 'cold', connection: 'WFConnection' },
    volume({
      minor: 7,
      connection: 'WFConnection',
      peerRole: 'Unknown',
      peerDisk: 'DUnknown',
      suspended: text('its peer is not known to be outdated', '尚不能确定对端已过期'),
    }),
  ),
  mirror(
    { name: 'checked' },
    volume({
      minor: 8,
      connection: 'VerifyS',
      sync: sync({ kind: 'verify', stalled: true, left: undefined, found: bytes(8192) }),
    }),
  ),
);
