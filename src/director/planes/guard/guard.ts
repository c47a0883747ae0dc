/**
 * The standing guard of virtual addresses that are served by DR or TUN. The address is this host's own, and where the
 * plane is away for a moment the kernel answers RST or "port unreachable" to connections that live on real servers.
 * The guard drops what reaches the host's own stack for such a service. It stands while the configuration has the
 * service, whatever the plane does, and outlives the process.
 *
 * Planes take their packets before it: netdev ingress, tc and XDP come first. What a plane leaves to this host, because
 * it is a real server itself, carries a mark with the tag of `marks.ts`, which the guard lets through.
 */
import { familyOf } from '../../../base/index.ts';
import type { WantedService } from '../../types.ts';
import { MARK_MASK, MARK_TAG } from '../marks.ts';
import { type Listening, listens } from '../matches.ts';
import {
  addressWords,
  type ElementSpec,
  equals,
  hookOf,
  load,
  lookup,
  masked,
  nativeBytes,
  onlyFamily,
  planTable,
  type SetSpec,
  type TableCommand,
  type TableFound,
  type TableSpec,
  verdict,
} from '../nftables/index.ts';

export type GuardEntry = Listening;

const set4: SetSpec = { name: 'vip4', key: ['ipv4_addr', 'inet_proto', 'inet_service'] };
const set6: SetSpec = { name: 'vip6', key: ['ipv6_addr', 'inet_proto', 'inet_service'] };
const any4: SetSpec = { name: 'any4', key: ['ipv4_addr', 'inet_proto'] };
const any6: SetSpec = { name: 'any6', key: ['ipv6_addr', 'inet_proto'] };
export const guardSets: readonly SetSpec[] = [set4, set6, any4, any6];
/** Before connection tracking (-200), so that a dropped packet leaves no entry. */
const PRIORITY = -300;

const dropRule = (family: 4 | 6, set: SetSpec): TableSpec['chains'][number]['rules'][number] => {
  const at = addressWords(family);
  return [
    ...onlyFamily(family),
    load.daddr[family](0),
    load.protocol(at),
    ...(set.key.length === 3 ? [load.dport(at + 1)] : []),
    lookup(set.name, 0),
    verdict('drop'),
  ];
};
export const GUARD_TABLE: TableSpec = {
  family: 'inet',
  name: 'holdfast-guard',
  sets: guardSets,
  chains: [
    {
      name: 'guard',
      hook: hookOf('filter', 'prerouting', PRIORITY),
      rules: [
        [load.mark(0), masked(0, nativeBytes(MARK_MASK)), equals(0, nativeBytes(MARK_TAG)), verdict('accept')],
        dropRule(4, set4),
        dropRule(4, any4),
        dropRule(6, set6),
        dropRule(6, any6),
      ],
    },
  ],
};

/** What must be guarded of a service: nothing where no server is reached by DR or TUN, or where a firewall mark chooses. */
export function guardEntries(services: readonly WantedService[]): GuardEntry[] {
  return services.flatMap((s) => {
    if (s.match.by !== 'address' || !s.servers.some((x) => x.forwarding.method !== 'nat')) return [];
    return listens(s.match);
  });
}

const setOf = (e: GuardEntry): SetSpec =>
  familyOf(e.address) === 4 ? (e.port === 0 ? any4 : set4) : e.port === 0 ? any6 : set6;
const elementOf = (e: GuardEntry): ElementSpec => ({
  key: e.port === 0 ? [e.address, e.protocol] : [e.address, e.protocol, e.port],
});
export const guardKey = (e: GuardEntry): string => `${e.address} ${e.protocol} ${e.port}`;

/** The guard as it was read: its table, and what it holds. */
export type GuardFound = { readonly table: TableFound; readonly entries: readonly GuardEntry[] };
export type GuardPlan = { readonly commands: readonly TableCommand[] };

/** Nothing where all is as it should be; without entries the table goes. */
export function planGuard(wanted: readonly GuardEntry[], found: GuardFound | undefined): GuardPlan {
  if (wanted.length === 0) return { commands: found === undefined ? [] : [{ do: 'table-remove' }] };
  const { commands, afresh } = planTable(GUARD_TABLE, found?.table);
  const have = new Map(afresh ? [] : (found?.entries ?? []).map((e) => [guardKey(e), e]));
  const want = new Map(wanted.map((e) => [guardKey(e), e]));
  const missing = [...want].filter(([k]) => !have.has(k)).map(([, e]) => e);
  const gone = [...have].filter(([k]) => !want.has(k)).map(([, e]) => e);
  return { commands: [...commands, ...guardCommands(missing, gone)] };
}
/** Elements that come and go. */
export const guardCommands = (missing: readonly GuardEntry[], gone: readonly GuardEntry[]): TableCommand[] =>
  guardSets.flatMap((set): TableCommand[] => {
    const [add, remove] = [missing, gone].map((list) => list.filter((e) => setOf(e) === set).map(elementOf));
    return [
      ...(add?.length ? [{ do: 'elements-add' as const, set, elements: add }] : []),
      ...(remove?.length ? [{ do: 'elements-remove' as const, set, elements: remove }] : []),
    ];
  });
