/** A mirror's configuration in the simulator: plain, with times short enough for short worlds; and the worlds that are drawn. */
import { bytes, ms, type Random } from '../../base/index.ts';
import { type MirrorConfig, plainMirror } from '../../mirror/index.ts';

const MIB = 1 << 20;

export type SimMirrorOptions = {
  readonly protocol: 'A' | 'B' | 'C';
  readonly checksums: boolean;
  readonly integrity: boolean;
  /** What to do in A when much is on its way. */
  readonly onCongestion: 'block' | 'pull-ahead' | 'disconnect';
  readonly alExtents: number;
  readonly planAhead: number;
};
export type MirrorWorldOptions = SimMirrorOptions & {
  readonly bytes: number;
  readonly rounds: number;
  /** Blocks that the program writes to, at most so many places. */
  readonly places: number;
  /** New disks, which are copied first; else both hold the same from the beginning. */
  readonly fresh: boolean;
  /** Changes what simConfig says. */
  readonly settings?: (c: MirrorConfig) => MirrorConfig;
};
/** What a world of the simulator's own choice is like. */
export function drawnOptions(r: Random, large: boolean): MirrorWorldOptions {
  return {
    protocol: r.pick(['A', 'B', 'C', 'C', 'C'] as const),
    checksums: r.chance(0.3),
    integrity: r.chance(0.2),
    onCongestion: r.pick(['block', 'pull-ahead', 'pull-ahead', 'disconnect'] as const),
    alExtents: 67,
    planAhead: r.pick([0, 500, 2000] as const),
    bytes: large ? 320 * MIB : r.between(1, 3) * MIB,
    rounds: r.between(1, 2),
    places: r.pick([4, 30, 300] as const),
    fresh: !large,
  };
}
export function describe(o: MirrorWorldOptions): string {
  const { protocol, checksums, integrity, onCongestion, planAhead, bytes, rounds, places } = o;
  return `protocol ${protocol}, ${bytes / MIB} MiB, ${places} places, ${rounds} rounds, checksums ${checksums}, integrity ${integrity}, congestion ${onCongestion}, plan ${planAhead}`;
}
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

export const simConfig = (host: 0 | 1, o: SimMirrorOptions): MirrorConfig =>
  plainMirror(host, {
    disk: {
      alExtents: o.alExtents,
      resync: {
        rate: bytes(64 << 20),
        planAhead: ms(o.planAhead),
        delayTarget: ms(1000),
        fillTarget: bytes(512 << 10),
        maxRate: bytes(256 << 20),
        minRate: bytes(250 << 10),
      },
    },
    net: {
      protocol: o.protocol,
      timeout: ms(1000),
      pingInterval: ms(2000),
      connectInterval: ms(1000),
      socketCheckTimeout: ms(50),
      koCount: 2,
      maxEpochSize: 64,
      dataIntegrity: o.integrity ? 'crc32c' : undefined,
      checksums: o.checksums ? 'crc32c' : undefined,
      onCongestion: o.onCongestion,
      congestionFill: bytes(48 << 10),
    },
  });
