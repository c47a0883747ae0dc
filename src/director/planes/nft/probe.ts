/** Whether this kernel has what the rules need: a table with one of each is made and taken away in one transaction. */
import { err, ok, type Result, text } from '../../../base/index.ts';
import type { HostError, NetlinkChannel } from '../../../host/index.ts';
import type { NftExpression } from '../../../wire/index.ts';
import { KernelTable, load, nativeBytes, type RuleSpec, type SetSpec, type TableName } from '../nftables/index.ts';

const counted: SetSpec = { name: 'counted', key: ['mark'], counter: true };
const dynamic: SetSpec = { name: 'dynamic', key: ['mark'], data: ['mark'], dynamic: { timeoutMs: 1000, size: 8 } };
const jhash: NftExpression = { is: 'jhash', from: 0, length: 4, to: 1, modulus: 7, seed: 1, offset: 0 };
const numgen: NftExpression = { is: 'numgen', to: 0, random: false, modulus: 7, offset: 0 };
const choosing: RuleSpec = [
  numgen,
  jhash,
  { is: 'lookup', set: counted.name, from: 0 },
  { is: 'dynset', op: 'delete', set: dynamic.name, key: 0, data: 1 },
];
const needs: Record<'nat' | 'direct', { readonly table: TableName; readonly rules: readonly RuleSpec[] }> = {
  nat: {
    table: { family: 'inet', name: 'holdfast-probe' },
    rules: [choosing, [load.ctMark(0), { is: 'ct-set', key: 'mark', from: 0 }]],
  },
  direct: {
    table: { family: 'netdev', name: 'holdfast-probe' },
    rules: [
      choosing,
      [
        { is: 'immediate', to: 0, value: nativeBytes(1) },
        { is: 'immediate', to: 1, value: nativeBytes(1) },
        { is: 'fwd', device: 0, neighbour: { family: 4, address: 1 } },
      ],
    ],
  },
};
/** The error says in one line what is missing. */
export function probe(channel: NetlinkChannel, mode: 'nat' | 'direct'): Result<void, HostError> {
  const { table, rules } = needs[mode];
  const done = new KernelTable(channel, table).apply([
    { do: 'table-add' },
    { do: 'set-add', set: counted },
    { do: 'set-add', set: dynamic },
    { do: 'chain-add', chain: { name: 'all', rules: [] } },
    { do: 'rules-add', chain: 'all', rules },
    { do: 'table-remove' },
  ]);
  if (done.ok) return ok(undefined);
  const { at, error } = done.error;
  if (error.code === 'EPERM')
    return err({
      code: 'EPERM',
      doing: text('change nf_tables (needs CAP_NET_ADMIN)', '修改 nf_tables（需要 CAP_NET_ADMIN）'),
    });
  const modules =
    mode === 'nat'
      ? 'nf_tables, nft_ct, nft_numgen, nft_hash, nft_nat'
      : 'nf_tables, nft_fwd_netdev, nft_numgen, nft_hash';
  const what = at === 0 ? 'nf_tables' : modules;
  return err({
    code: error.code,
    doing: text(
      `this kernel lacks what ${mode === 'nat' ? 'NAT' : 'direct routing'} by nft needs (${what})`,
      `内核缺少 nft ${mode === 'nat' ? 'NAT' : 'DR'} 所需的功能（${what}）`,
    ),
  });
}
