import { text } from '../../../base/index.ts';
import type { Weight } from '../../../vrrp/config.ts';
import { bool, flag, int, NAME, oneOf, PATH, type Reader, script, str, takeInt, time, userAndGroup } from './args.ts';
import { block, lines, names, word } from './spec.ts';

/** `N [reverse|noreverse]`. */
export const weight =
  (most: number): Reader<Weight> =>
  (a) => {
    const value = takeInt(a, { min: -most, max: most, code: 'weight-range' });
    if (value === undefined) return undefined;
    return { value, reverse: a.take('reverse', 'noreverse') === 'reverse' };
  };
export type TrackLine = { readonly name: string; readonly weight?: Weight };
/** `NAME [weight N [reverse|noreverse]]`; without a weight, the tracked object's own counts. */
const trackLine =
  (most: number): Reader<TrackLine> =>
  (a) => {
    const name = a.need(NAME);
    if (!name) return undefined;
    if (!a.take('weight')) return { name: name.text };
    const w = weight(most)(a);
    return w ? { name: name.text, weight: w } : { name: name.text };
  };

/** The words that instances and sync groups share for tracking. */
export const trackWords = {
  track_interface: lines(trackLine(253)),
  track_script: lines(trackLine(253)),
  track_file: lines(trackLine(254)),
  track_process: lines(trackLine(254)),
  track_bfd: lines(trackLine(253)),
};

const count = int(1, 2 ** 31 - 1);
export const vrrpScript = block('vrrp_script', {
  script: word(script),
  interval: word(time(0.001, 4294)),
  timeout: word(time(0.001, 4294)),
  weight: word(weight(253)),
  rise: word(count),
  fall: word(count),
  user: word(userAndGroup),
  init_fail: word(flag),
});

const command: Reader<{ readonly process: string; readonly parameters: readonly string[] }> = (a) => {
  const process = a.need(NAME);
  return process && { process: process.text, parameters: a.rest().map((w) => w.text) };
};
const delay = time(0, 3600);
export const trackProcess = block('vrrp_track_process', {
  process: word(command),
  param_match: word(oneOf('initial', 'partial')),
  weight: word(weight(254)),
  quorum: word(int(1, 65535)),
  quorum_max: word(int(0, 65535)),
  delay: word(delay),
  fork_delay: word(delay),
  terminate_delay: word(delay),
  full_command: word(flag),
});

const initFile: Reader<{ readonly value: number; readonly overwrite: boolean }> = (a) => {
  if (a.take('overwrite')) return { value: 0, overwrite: true };
  const value = a.peek() ? takeInt(a, { min: -(2 ** 31), max: 2 ** 31 - 1 }) : 0;
  return value === undefined ? undefined : { value, overwrite: a.take('overwrite') !== undefined };
};
export const trackFile = block('track_file', {
  file: word(str(PATH)),
  weight: word(weight(254)),
  init_file: word(initFile),
});

/** `IF down [up]`, in seconds. */
export type DelayLine = { readonly interface: string; readonly down: number; readonly up: number };
export const delayLine: Reader<DelayLine> = (a) => {
  const name = a.need(text('an interface', '接口名'));
  const down = name && takeInt(a, { min: 0, max: 255 });
  if (!name || down === undefined) return undefined;
  const up = a.peek() ? takeInt(a, { min: 0, max: 255 }) : down;
  return up === undefined ? undefined : { interface: name.text, down, up };
};
export type LinkbeatLine = { readonly interface: string; readonly how: 'mii' | 'ethtool' | 'ioctl' | 'auto' };
export const linkbeatLine: Reader<LinkbeatLine> = (a) => {
  const name = a.need(text('an interface', '接口名'));
  if (!name) return undefined;
  if (!a.peek()) return { interface: name.text, how: 'auto' };
  const how = oneOf('MII', 'ETHTOOL', 'IOCTL')(a);
  return how && { interface: name.text, how: ({ MII: 'mii', ETHTOOL: 'ethtool', IOCTL: 'ioctl' } as const)[how] };
};

export const trackGroup = block('track_group', { group: names() });
const interval = time(0, 1_000_000);
export const garpGroup = block('garp_group', {
  garp_interval: word(interval),
  gna_interval: word(interval),
  interface: word(str(text('an interface', '接口名'))),
  interfaces: names(),
});

export const syncGroup = block(
  'vrrp_sync_group',
  {
    group: names(),
    ...trackWords,
    notify_master: word(script),
    notify_backup: word(script),
    notify_fault: word(script),
    notify_stop: word(script),
    notify: word(script),
    smtp_alert: word(bool),
    notify_priority_changes: word(bool),
    global_tracking: word(flag, {
      deprecated: text(
        'track on the group, or write sync_group_tracking_weight',
        '请在组上配置跟踪，或改写为 sync_group_tracking_weight',
      ),
    }),
    sync_group_tracking_weight: word(flag),
  },
  {},
  text('members stand in a block of their own: group { VI_1 VI_2 }', '成员要写在单独的块中:group { VI_1 VI_2 }'),
);
