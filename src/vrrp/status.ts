/** What is shown of the virtual routers and groups. Pure. */
import type { InstanceStatus, VrrpStatus } from './contract.ts';
import type { Groups } from './groups.ts';
import type { VirtualRouter } from './router.ts';

export function statusOf(routers: Iterable<VirtualRouter>, groups: Groups): VrrpStatus {
  return {
    instances: [...routers].map(instanceStatus),
    groups: groups.all.map((g) => ({ name: g.config.name, state: groups.state(g), members: g.config.members })),
  };
}
const instanceStatus = (r: VirtualRouter): InstanceStatus => ({
  name: r.name,
  state: r.state.is,
  since: r.state.since,
  because: r.state.because,
  priority: r.state.priority,
  faults: r.state.faults,
  master: r.state.is === 'BACKUP' ? r.state.master : undefined,
  links: r.links.map((l) => ({ interface: l.name, heardAt: l.heardAt })),
  stats: r.stats,
});
