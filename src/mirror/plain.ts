/** A mirror of one volume between two hosts, as plain as can be: what the simulator and tests begin with. */
import { bytes, type IpAddress, ms } from '../base/index.ts';
import type { DiskOptions, MirrorConfig, NetOptions, ResyncOptions } from './config.ts';

const NAMES = ['alfa', 'bravo'] as const;
const ENDS = [
  { address: '10.0.0.1' as IpAddress, port: 7788 },
  { address: '10.0.0.2' as IpAddress, port: 7788 },
] as const;
const DISK: Omit<DiskOptions, 'resync'> = {
  size: undefined,
  onIoError: 'detach',
  fencing: 'dont-care',
  diskFlushes: true,
  mdFlushes: true,
  resyncAfter: undefined,
  alExtents: 67,
  alUpdates: true,
  diskTimeout: undefined,
  readBalancing: 'prefer-local',
  rsDiscardGranularity: undefined,
};
const RESYNC: ResyncOptions = {
  rate: bytes(4 << 20),
  planAhead: ms(0),
  delayTarget: ms(1000),
  fillTarget: bytes(51200),
  maxRate: bytes(100 << 20),
  minRate: bytes(256_000),
};
const NET: NetOptions = {
  protocol: 'C',
  timeout: ms(6000),
  pingInterval: ms(10_000),
  pingTimeout: ms(500),
  connectInterval: ms(10_000),
  socketCheckTimeout: ms(0),
  koCount: 7,
  maxBuffers: bytes(8 << 20),
  maxEpochSize: 2048,
  sendBuffer: undefined,
  receiveBuffer: undefined,
  allowTwoPrimaries: false,
  auth: undefined,
  dataIntegrity: undefined,
  verify: 'crc32c',
  checksums: undefined,
  checksumsAfterCrashOnly: false,
  after0Primaries: 'disconnect',
  after1Primary: 'disconnect',
  after2Primaries: 'disconnect',
  alwaysAfterSplitBrain: false,
  resyncRoleConflict: 'disconnect',
  onCongestion: 'block',
  congestionFill: bytes(0),
  congestionExtents: 1000,
  compressBitmap: true,
};

export type PlainMirror = {
  readonly disk?: Partial<DiskOptions>;
  readonly net?: Partial<NetOptions>;
};
/** As `host` sees it. `o`: what is less plain. */
export const plainMirror = (host: 0 | 1, o: PlainMirror = {}): MirrorConfig => ({
  name: 'r0',
  host: NAMES[host],
  peer: NAMES[(1 - host) as 0 | 1],
  local: ENDS[host],
  remote: ENDS[(1 - host) as 0 | 1],
  volumes: [
    {
      number: 0,
      minor: 0,
      device: '/dev/drbd0',
      disk: '/dev/sdb',
      metadata: { kind: 'internal' },
      options: { ...DISK, resync: RESYNC, ...o.disk },
    },
  ],
  net: { ...NET, ...o.net },
  onNoDataAccessible: 'io-error',
  handlers: {},
  startup: {
    waitForConnection: ms(0),
    waitDegraded: ms(0),
    waitOutdated: ms(0),
    waitAfterSplitBrain: false,
    becomePrimary: false,
  },
});
