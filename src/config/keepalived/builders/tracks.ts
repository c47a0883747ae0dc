import { text } from '../../../base/index.ts';
import type { Track, Tracks, Weight } from '../../../vrrp/config.ts';
import type { Got, ValuesOf } from '../grammar/spec.ts';
import type { TrackLine, trackWords } from '../grammar/tracks.ts';
import type { Report } from '../report.ts';
import { flat } from './values.ts';

const NO_WEIGHT: Weight = { value: 0, reverse: false };

/** What may be tracked by name, with the weight that counts where the tracking line names none. */
export type Trackable = {
  readonly scripts: ReadonlyMap<string, Weight>;
  readonly processes: ReadonlyMap<string, Weight>;
  readonly files: ReadonlyMap<string, Weight>;
  readonly bfds: ReadonlyMap<string, Weight>;
};
/** The weights of what was built; what was declared and refused counts as weight 0, so that it is not reported twice. */
export const weightsOf = (
  built: readonly { readonly name: string; readonly weight: Weight }[],
  names: ReadonlySet<string>,
): ReadonlyMap<string, Weight> =>
  new Map([...[...names].map((n) => [n, NO_WEIGHT] as const), ...built.map((x) => [x.name, x.weight] as const)]);

type Values = ValuesOf<typeof trackWords>;
/** The tracking blocks of an instance or a group; unknown names are reported and left out. */
export function buildTracks(v: Values, known: Trackable, report: Report): Tracks {
  const named = (
    got: readonly Got<TrackLine>[],
    weights: ReadonlyMap<string, Weight> | undefined,
    word: string,
  ): Track[] => {
    const out = new Map<string, Track>();
    for (const { value, at } of got) {
      const own = weights === undefined ? NO_WEIGHT : weights.get(value.name);
      if (own === undefined) {
        report.fault(
          'track-unknown',
          at,
          text(`there is no ${word} '${value.name}'; it is not tracked`, `没有名为 '${value.name}' 的 ${word}，不跟踪`),
          weights && weights.size > 0
            ? text(
                `known: ${[...weights.keys()].slice(0, 8).join(', ')}`,
                `已有:${[...weights.keys()].slice(0, 8).join('、')}`,
              )
            : undefined,
        );
        continue;
      }
      if (out.has(value.name)) {
        report.fault(
          'track-repeated',
          at,
          text(`'${value.name}' is tracked already`, `'${value.name}' 已经在跟踪列表中`),
        );
        continue;
      }
      out.set(value.name, { name: value.name, weight: value.weight ?? own });
    }
    return [...out.values()];
  };
  return {
    interfaces: named(flat(v.track_interface), undefined, 'interface'),
    scripts: named(flat(v.track_script), known.scripts, 'vrrp_script'),
    processes: named(flat(v.track_process), known.processes, 'vrrp_track_process'),
    files: named(flat(v.track_file), known.files, 'track_file'),
    bfds: named(flat(v.track_bfd), known.bfds, 'bfd_instance'),
  };
}
