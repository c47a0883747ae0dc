/** What changed between two documents: as `drbdsetup events2` says it, and as people read it. Pure. */
import type { MirrorStatus } from '../../api/index.ts';
import { type Language, text } from '../../base/index.ts';
import { connectionName, replicationName } from './drbdsetup.ts';

type Pairs = readonly (readonly [string, string])[];
/** Something that a line tells of: what names it, and the state that it is in. */
type Thing = { readonly kind: string; readonly key: Pairs; readonly state: Pairs };

/** In the order in which events2 has them. */
function thingsOf(m: MirrorStatus): readonly Thing[] {
  const name = ['name', m.name] as const;
  const peer = ['peer-node-id', '0'] as const;
  const suspended = m.volumes.some((v) => v.suspended) ? 'yes' : 'no';
  return [
    {
      kind: 'resource',
      key: [name],
      state: [
        ['role', m.role],
        ['suspended', suspended],
      ],
    },
    {
      kind: 'connection',
      key: [name, peer],
      state: [
        ['connection', connectionName(m.connection)],
        ['role', m.volumes[0]?.peerRole ?? 'Unknown'],
      ],
    },
    ...m.volumes.map((v) => ({
      kind: 'device',
      key: [name, ['volume', String(v.volume)], ['minor', String(v.minor ?? '-')]] as Pairs,
      state: [['disk', v.disk]] as Pairs,
    })),
    ...m.volumes.map((v) => ({
      kind: 'peer-device',
      key: [name, peer, ['volume', String(v.volume)]] as Pairs,
      state: [
        ['replication', replicationName(v.connection)],
        ['peer-disk', v.peerDisk],
        ['resync-suspended', v.paused.join(',') || 'no'],
      ] as Pairs,
    })),
  ];
}
const joined = (pairs: Pairs): string => pairs.map(([k, v]) => `${k}:${v}`).join(' ');
const byKey = (all: readonly MirrorStatus[]): Map<string, Thing> =>
  new Map(all.flatMap(thingsOf).map((t) => [`${t.kind} ${joined(t.key)}`, t]));

/** All that there is, up to `exists -`. */
export function existsLines(all: readonly MirrorStatus[]): readonly string[] {
  const lines = all.flatMap(thingsOf).map((t) => `exists ${t.kind} ${joined(t.key)} ${joined(t.state)}`);
  return [...lines, 'exists -'];
}
/** A line for what is new, one with the changed words alone for what changed, and one for what is gone. */
export function changeLines(before: readonly MirrorStatus[], now: readonly MirrorStatus[]): readonly string[] {
  const [old, fresh] = [byKey(before), byKey(now)];
  const out: string[] = [];
  for (const [key, t] of fresh) {
    const was = old.get(key);
    if (was === undefined) out.push(`create ${key} ${joined(t.state)}`);
    else {
      const changed = t.state.filter(([k, v]) => was.state.find(([o]) => o === k)?.[1] !== v);
      if (changed.length > 0) out.push(`change ${key} ${joined(changed)}`);
    }
  }
  for (const key of [...old.keys()].reverse()) if (!fresh.has(key)) out.push(`destroy ${key}`);
  return out;
}

/** The reasons that came since, one line each: `10:42:07 data: ha1 is primary`. */
export function reasonLines(
  before: readonly MirrorStatus[],
  now: readonly MirrorStatus[],
  language: Language,
  clock: (at: number) => string,
): readonly string[] {
  return now.flatMap((m) => {
    const old = before.find((b) => b.name === m.name)?.reasons ?? [];
    const known = new Set(old.map((r) => `${r.at} ${r.code} ${r.volume} ${r.text.en}`));
    return m.reasons
      .filter((r) => !known.has(`${r.at} ${r.code} ${r.volume} ${r.text.en}`))
      .map((r) => {
        const of = r.volume !== undefined && m.volumes.length > 1 ? `${m.name}/${r.volume}` : m.name;
        return `${clock(r.at)} ${text(`${of}: ${r.text.en}`, `${of}：${r.text.zh}`)[language]}`;
      });
  });
}
