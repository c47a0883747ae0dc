/**
 * `npm run bench -- lb`: what the director costs. One file in `lb/` for each group of rows; the peer of each is named
 * where its rows are made.
 */
import { text } from '../src/base/index.ts';
import type { Bench, BenchOptions, Row } from './bench.ts';
import { bpfUpdateRows } from './lb/bpf-updates.ts';
import { checkRows } from './lb/checks.ts';
import { failoverRows } from './lb/failover.ts';
import { packetRows } from './lb/packets.ts';
import { proxyRows } from './lb/proxy.ts';
import { throughputRows } from './lb/throughput.ts';
import { updateRows } from './lb/updates.ts';

/** In the order in which they are shown. */
const groups: readonly ((o: BenchOptions) => AsyncIterable<Row>)[] = [
  throughputRows,
  proxyRows,
  failoverRows,
  packetRows,
  updateRows,
  bpfUpdateRows,
  checkRows,
];

export const bench: Bench = {
  title: text(
    'The director (peer of requests: the server asked directly; of updates: nft -f)',
    '负载均衡（请求的对照：直接访问服务器；变更的对照：nft -f）',
  ),
  peer: 'peer',
  async *run(o) {
    for (const rows of groups) yield* rows(o);
  },
};
