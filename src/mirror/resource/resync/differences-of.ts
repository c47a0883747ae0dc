/** What a split brain would cost this side, and what the peer told of its own. */
import { bytes } from '../../../base/index.ts';
import type { UuidSet } from '../../../wire/index.ts';
import { type Compared, compareGenerations, uuidTexts } from '../../metadata/index.ts';
import type { MirrorDifferences, VolumeDifferences } from '../../status.ts';
import { BIT_BYTES } from '../bits.ts';
import type { Parts } from '../parts.ts';
import type { Volume } from '../volume.ts';

export const RANGES_SHOWN = 16;
/** The newest protocol that both could speak: at an older one the verdict may be to stay apart, and nothing else. */
const NEWEST = 101;

export const differencesOf = (p: Parts): MirrorDifferences => ({
  name: p.config.name,
  host: p.config.host,
  peer: p.config.peer,
  role: p.roles.primary ? 'Primary' : 'Secondary',
  connection: p.link.state,
  volumes: p.volumes.map((v) => volumeDifferences(p, v)),
});
function volumeDifferences(p: Parts, v: Volume): VolumeDifferences {
  const first: { from: number; to: number }[] = [];
  let ranges = 0;
  if (v.backing !== undefined)
    for (const r of v.bitmap.ranges()) {
      if (ranges++ < RANGES_SHOWN)
        first.push({ from: r.from * BIT_BYTES, to: Math.min(r.to * BIT_BYTES, v.size * 512) });
    }
  const told = v.peerUuids ?? v.told;
  const wall = (at: Volume['wroteAt']): number | undefined =>
    at === undefined ? undefined : Math.round(p.c.wall() - (p.c.now - at) / 1000);
  return {
    volume: v.number,
    size: bytes(v.size * 512),
    disk: v.disk,
    changed: v.backing === undefined ? undefined : { bytes: bytes(v.bits * BIT_BYTES), ranges },
    first,
    uuids: uuidTexts(v.uuids),
    generationSince: wall(v.generationAt),
    newestWrite: wall(v.wroteAt),
    peer: told === undefined ? undefined : { changed: bytes(told.bits * BIT_BYTES), uuids: uuidTexts(told.uuids) },
    verdict: told === undefined || v.backing === undefined ? undefined : verdictOf(v, told.uuids),
  };
}
function verdictOf(v: Volume, theirs: UuidSet): VolumeDifferences['verdict'] {
  const compared = compareGenerations({
    mine: { uuids: v.uuids, crashedPrimary: v.crashedPrimary, primary: v.primary },
    peer: { uuids: theirs, crashedPrimary: false, primary: v.peerRole === 'Primary' },
    version: NEWEST,
    features: 0,
    resolver: false,
  });
  return { is: WORDS[compared.verdict.is], text: compared.reason };
}
const WORDS: Readonly<Record<Compared['verdict']['is'], NonNullable<VolumeDifferences['verdict']>['is']>> = {
  equal: 'same',
  source: 'newer-here',
  target: 'newer-there',
  'split-brain': 'split-brain',
  unrelated: 'unrelated',
  'needs-protocol': 'unrelated',
};
