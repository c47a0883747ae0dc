import { type Place, text } from '../../../base/index.ts';
import type { Instance, SyncGroup, Tracks } from '../../../vrrp/config.ts';
import type { Report } from '../report.ts';

/** Whether two virtual routers of one number on one link would hear each other. */
function clash(a: Instance, b: Instance): boolean {
  if (a.virtualRouterId !== b.virtualRouterId || a.family !== b.family) return false;
  if (a.interface !== b.interface) return false;
  if (!a.unicastPeers !== !b.unicastPeers) return false;
  if (!a.unicastPeers || !b.unicastPeers) return a.multicastGroup === b.multicastGroup;
  return a.unicastPeers.some((p) => b.unicastPeers!.some((q) => q.address === p.address));
}

const weighted = (t: Tracks): number =>
  [t.interfaces, t.scripts, t.processes, t.files, t.bfds].flat().filter((x) => x.weight.value !== 0).length;

/** What only shows when all instances are known. Returns those that may run. */
export function checkTogether(
  all: readonly Instance[],
  groups: readonly SyncGroup[],
  placeOf: (name: string) => Place | undefined,
  report: Report,
): Instance[] {
  const byNumber = new Map<string, Instance[]>();
  const kept: Instance[] = [];
  for (const i of all) {
    const key = `${i.interface ?? ''} ${i.family} ${i.virtualRouterId}`;
    const others = byNumber.get(key) ?? [];
    const other = others.find((o) => clash(o, i));
    if (other) {
      const used = new Set(all.filter((o) => o.interface === i.interface).map((o) => o.virtualRouterId));
      const free = Array.from({ length: 255 }, (_, n) => n + 1).find((n) => !used.has(n) && n > i.virtualRouterId);
      report.fault(
        'vrrp-vrid-repeated',
        placeOf(i.name),
        text(
          `${i.name}: virtual_router_id ${i.virtualRouterId} on ${i.interface ?? 'no interface'} is ${other.name}'s already; the instance is dropped`,
          `${i.name}:${i.interface ?? '无接口'} 上的 virtual_router_id ${i.virtualRouterId} 已属于 ${other.name}，该实例被丢弃`,
        ),
        free === undefined ? undefined : text(`${free} is unused in this file`, `本文件中 ${free} 未被使用`),
      );
      continue;
    }
    byNumber.set(key, [...others, i]);
    if (i.priority === 255 && weighted(i.tracks) > 0)
      report.fault(
        'vrrp-owner-weights',
        placeOf(i.name),
        text(
          `${i.name}: the priority of an owner (255) never changes; tracking weights do nothing`,
          `${i.name}：地址拥有者(255)的优先级不变，跟踪权重不起作用`,
        ),
        text('use weight 0, or a priority below 255', '请用 weight 0，或使用低于 255 的优先级'),
      );
    kept.push(i);
  }
  const memberOf = new Map<string, string>();
  for (const g of groups)
    for (const m of g.members) {
      const earlier = memberOf.get(m);
      if (earlier !== undefined)
        report.fault(
          'group-member-repeated',
          placeOf(m),
          text(`${m} is a member of ${earlier} and of ${g.name}`, `${m} 同时是 ${earlier} 和 ${g.name} 的成员`),
        );
      else memberOf.set(m, g.name);
      const i = kept.find((x) => x.name === m);
      if (i && weighted(i.tracks) > 0 && !g.trackingWeight)
        report.warn(
          'group-member-weights',
          placeOf(m),
          text(
            `${m}: tracking weights of a member of ${g.name} do nothing`,
            `${m}：同步组 ${g.name} 成员的跟踪权重不起作用`,
          ),
          text(
            'track on the group, or add sync_group_tracking_weight',
            '请在组上跟踪，或加 sync_group_tracking_weight',
          ),
        );
    }
  return kept;
}
