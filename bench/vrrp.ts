/**
 * `npm run bench -- vrrp`: what a client loses when a router fails, is stopped or comes back, and what many virtual
 * routers cost; Holdfast and the installed keepalived on the same lab in the same run, in turns.
 *
 * An outage is the time between two answers that follow each other, as a client on the same network sees it that asks
 * every 1 to 5 ms. The master has priority 150, the backup 100, VRRPv3. Every fault comes at a random moment of the
 * advertisement interval, the same for both sides.
 */
import { text } from '../src/base/index.ts';
import type { Bench } from './bench.ts';
import { costRows } from './vrrp/costs.ts';
import { outageRows } from './vrrp/outages.ts';

export const bench: Bench = {
  title: text(
    'VRRP: what a client loses, and what many instances cost (master 150, backup 100, VRRPv3)',
    'VRRP：客户端的中断时间，以及大量实例的开销（主 150，备 100，VRRPv3）',
  ),
  peer: 'keepalived',
  async *run(o) {
    yield* outageRows(o);
    yield* costRows(o);
  },
};
