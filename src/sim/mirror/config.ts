/** A mirror's configuration in the simulator: drbd.conf's defaults, with times short enough for short worlds. */
import { bytes, type IpAddress, ms, parseIp } from '../../base/index.ts';
import type { MirrorConfig } from '../../mirror/index.ts';

const address = (text: string): IpAddress => {
  const ip = parseIp(text);
  if (!ip.ok) throw new Error(`bug: ${text}`);
  return ip.value;
};

export type SimMirrorOptions = {
  readonly protocol: 'A' | 'B' | 'C';
  readonly checksums: boolean;
  readonly integrity: boolean;
  /** What to do in A when much is on its way. */
  readonly onCongestion: 'block' | 'pull-ahead' | 'disconnect';
  readonly alExtents: number;
  readonly planAhead: number;
};
/** A small disk and a plain line: for worlds in which something else goes wrong. */
export const plainOptions = (seed: number) =>
  ({
    alExtents: 67,
    planAhead: 0,
    integrity: false,
    onCongestion: 'block',
    bytes: (1 + (seed % 3)) << 20,
    rounds: 2,
    places: [4, 30, 300][seed % 3] as number,
    fresh: false,
  }) as const;

export function simConfig(host: 0 | 1, o: SimMirrorOptions): MirrorConfig {
  const names = ['alfa', 'bravo'] as const;
  const ends = [
    { address: address('10.0.0.1'), port: 7788 },
    { address: address('10.0.0.2'), port: 7788 },
  ] as const;
  return {
    name: 'r0',
    host: names[host],
    peer: names[(1 - host) as 0 | 1],
    local: ends[host],
    remote: ends[(1 - host) as 0 | 1],
    volumes: [
      {
        number: 0,
        minor: 0,
        device: '/dev/drbd0',
        disk: 'sim',
        metadata: { kind: 'internal' },
        options: {
          size: undefined,
          onIoError: 'detach',
          fencing: 'dont-care',
          diskFlushes: true,
          mdFlushes: true,
          resyncAfter: undefined,
          alExtents: o.alExtents,
          alUpdates: true,
          diskTimeout: undefined,
          readBalancing: 'prefer-local',
          rsDiscardGranularity: undefined,
          resync: {
            rate: bytes(64 << 20),
            planAhead: ms(o.planAhead),
            delayTarget: ms(1000),
            fillTarget: bytes(512 << 10),
            maxRate: bytes(256 << 20),
            minRate: bytes(250 << 10),
          },
        },
      },
    ],
    net: {
      protocol: o.protocol,
      timeout: ms(1000),
      pingInterval: ms(2000),
      pingTimeout: ms(500),
      connectInterval: ms(1000),
      socketCheckTimeout: ms(50),
      koCount: 2,
      maxBuffers: bytes(8 << 20),
      maxEpochSize: 64,
      sendBuffer: undefined,
      receiveBuffer: undefined,
      allowTwoPrimaries: false,
      auth: undefined,
      dataIntegrity: o.integrity ? 'crc32c' : undefined,
      verify: 'crc32c',
      checksums: o.checksums ? 'crc32c' : undefined,
      checksumsAfterCrashOnly: false,
      after0Primaries: 'disconnect',
      after1Primary: 'disconnect',
      after2Primaries: 'disconnect',
      alwaysAfterSplitBrain: false,
      resyncRoleConflict: 'disconnect',
      onCongestion: o.onCongestion,
      congestionFill: bytes(48 << 10),
      congestionExtents: 1000,
      compressBitmap: true,
    },
    onNoDataAccessible: 'io-error',
    handlers: {},
    startup: {
      waitForConnection: ms(0),
      waitDegraded: ms(0),
      waitOutdated: ms(0),
      waitAfterSplitBrain: false,
      becomePrimary: false,
    },
  };
}
