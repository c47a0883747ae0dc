/** The beat process as the kernel sees it: its scheduling, and how long the machine has been up. */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Microseconds, seconds, text } from '../../base/index.ts';
import type { ProcessSettings } from '../../config/keepalived/index.ts';
import type { Log } from '../../host/index.ts';
import { type Addon, setPriority } from '../../host/linux/index.ts';
import { failureText } from '../handover/namespace.ts';

/** Comes before everything ordinary, and leaves room above for what must come before us. */
const DEFAULT_REALTIME = 10;
/** The kernel's out-of-memory killer takes this process last of all. */
const NEVER_KILLED = '-1000';

/** Takes what is granted and says what was refused. Returns the real-time priority in force. */
export function schedule(addon: Addon, s: ProcessSettings, log: Log): number | undefined {
  const realtime = s.realTime ?? DEFAULT_REALTIME;
  const report = setPriority(addon, {
    realtime,
    ...(s.nice === undefined ? {} : { nice: s.nice }),
    ...(s.cpus.length === 0 ? {} : { processors: s.cpus }),
  });
  for (const outcome of Object.values(report)) {
    if (outcome === undefined || outcome.ok) continue;
    const why = failureText(outcome.error);
    const words = text(`${why.en}: going on without it`, `${why.zh}：将在没有它的情况下继续运行`);
    log.write({ level: 'warning', code: 'beat.priority', text: words });
  }
  try {
    writeFileSync('/proc/self/oom_score_adj', NEVER_KILLED);
  } catch {
    // A container may not: the ordinary score stays.
  }
  return report.realtime?.ok ? realtime : undefined;
}

export const uptime = (): Microseconds => seconds(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]));
