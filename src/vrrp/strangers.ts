/** Machines that announce our addresses and are no routers of ours: a person must hear of them. */
import { us } from '../base/index.ts';
import type { Clock } from '../host/index.ts';
import type { VirtualRouter } from './router.ts';

/** A router that gives way says its last while it goes; who stays is a stranger, and `complain` is called. */
export function complainLater(clock: Clock, r: VirtualRouter, complain: () => void): void {
  const { since, is } = r.state;
  const { advertInterval } = r.instance;
  clock.at(us(clock.now() + 2 * advertInterval), () => {
    if (r.state.is !== is || r.state.since !== since) return;
    const heard = Math.max(...r.links.map((l) => l.heardAt ?? -Infinity));
    if (clock.now() - heard < 4 * advertInterval) return; // a rival that VRRP deals with
    complain();
  });
}
