/** What of the host's settings keeps news of connections from the other director: reported, never changed. */
import { type Text, text } from '../../../base/index.ts';

export type SyncFinding = { readonly code: 'sync-news'; readonly text: Text };

const THRESHOLD = 'net.ipv4.vs.sync_threshold';
const REFRESH = 'net.ipv4.vs.sync_refresh_period';

/**
 * Where a synchronisation daemon runs. `get` reads a sysctl; undefined where there is none. With a period of packets (the
 * kernel's own: the 3rd of every 50) a connection is told of when that packet has come and not before, and once more when it
 * has come again; with a period of time alone, as soon as it is established, and then by time.
 * Source: Documentation/networking/ipvs-sysctl.rst.
 */
export function syncFindings(get: (name: string) => string | undefined): SyncFinding[] {
  const threshold = get(THRESHOLD)?.trim().split(/\s+/).join(' ');
  const refresh = get(REFRESH)?.trim();
  if (threshold === undefined || refresh === undefined) return [];
  if (threshold.endsWith(' 0') && refresh !== '0') return [];
  const cure = `sysctl ${THRESHOLD}="3 0" ${REFRESH}=10`;
  return [
    {
      code: 'sync-news',
      text: text(
        `${THRESHOLD} is ${threshold}, ${REFRESH} is ${refresh}: the other director does not hear of a connection that was only opened, and one that comes back hears late of those that it missed (${cure})`,
        `${THRESHOLD} 为 ${threshold}，${REFRESH} 为 ${refresh}：另一台调度器得不到刚建立的连接，恢复的调度器很晚才得知它错过的连接（${cure}）`,
      ),
    },
  ];
}
