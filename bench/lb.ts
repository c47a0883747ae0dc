/**
 * `npm run bench -- lb`: what the director costs. One file in `lb/` for each group of rows; the peer of each is named
 * where its rows are made.
 */
import { text } from '../src/base/index.ts';
import type { Bench, BenchOptions, Row } from './bench.ts';
import { bpfUpdateRows } from './lb/bpf-updates.ts';
import { packetRows } from './lb/packets.ts';
import { updateRows } from './lb/updates.ts';

/** In the order in which they are shown. */
const groups: readonly ((o: BenchOptions) => AsyncIterable<Row>)[] = [updateRows, bpfUpdateRows, packetRows];

export const bench: Bench = {
  title: text('The director: what a change costs (peer: nft -f)', '负载均衡：一次变更的开销（对照：nft -f）'),
  peer: 'peer',
  async *run(o) {
    for (const rows of groups) yield* rows(o);
  },
};
