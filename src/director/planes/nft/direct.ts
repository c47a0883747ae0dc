/**
 * Direct routing: table `netdev holdfast-lb`, before everything else that the kernel does with a packet. The packet is
 * sent on as it is to the real server's hardware address, which the kernel resolves; answers go to the client without
 * coming by. Connection tracking knows nothing of it: flows are remembered in a map of the table, so that a server that
 * takes nothing new keeps what it has. What is not remembered is hashed, and rr and wrr are ways to fill the hash: so a
 * director that takes over finds every connection's server. With one-packet scheduling nothing is remembered, and turns are turns.
 *
 * Fragments behind the first carry no ports and are not balanced.
 */
import type { NftExpression } from '../../../wire/index.ts';
import { MARK_MASK, MARK_TAG, SERVER_MASK, SERVICE_MASK, serverMark, serviceMark } from '../marks.ts';
import { PROTOCOL_NUMBER } from '../matches.ts';
import {
  addressWords,
  type ChainSpec,
  differs,
  equals,
  goto,
  hookOf,
  jump,
  load,
  lookup,
  masked,
  nativeBytes,
  onlyEthernet,
  onlyOthers,
  onlyProtocol,
  type RuleSpec,
  type SetSpec,
  type TableSpec,
  verdict,
} from '../nftables/index.ts';
import type { Entry, ImageServer, Mode } from './image.ts';
import { isDrawn, type Persistence } from './kind.ts';
import {
  chooseRules,
  choosingSets,
  chosenRule,
  countRule,
  drawRules,
  flowRule,
  knownClient,
  learnClient,
  type MarkPort,
  stickChains,
} from './pick.ts';
import { any, both, counterSets, families, listenEntries, open, stick, vip } from './sets.ts';

export type FlowTimeouts = { readonly tcpMs: number; readonly finMs: number; readonly udpMs: number };
/** IPVS's own. */
export const FLOW_TIMEOUTS: FlowTimeouts = { tcpMs: 900_000, finMs: 120_000, udpMs: 300_000 };
/** Most flows that are remembered, for each family; a flow beyond that is hashed. */
const FLOW_SIZE = 1_048_576;

/** Client's address and port, and the service's mark. */
export const flows = both(
  (f, a): SetSpec => ({
    name: `flows${f}`,
    key: [a, 'inet_service', 'mark'],
    data: ['mark'],
    dynamic: { timeoutMs: FLOW_TIMEOUTS.tcpMs, size: FLOW_SIZE },
  }),
);
/** What another director tells of its flows, keyed alike. Kept apart: a flow that has come by here is one of `flows`, and ours. */
export const told = both((f, a): SetSpec => ({ name: `told${f}`, key: [a, 'inet_service', 'mark'], data: ['mark'] }));
/** Behind which device a server is, and its address. */
const target = both((f, a): SetSpec => ({ name: `to${f}`, key: ['mark'], data: ['iface_index', a] }));
/** Servers that are this host itself: their packets go on to its own stack. */
const here = both((f, a): SetSpec => ({ name: `here${f}`, key: ['mark'], data: [a] }));
/** Services of which this host is a real server too: the link addresses of their other servers. See fellows.ts. */
export const fellows: SetSpec = { name: 'fellows', key: ['ether_addr', 'mark'] };
const counters = { connections: { name: 'connections', key: ['mark'], counter: true }, in: counterSets.in } as const;

const mark: MarkPort = {
  get: (r) => ({ is: 'meta', key: 'mark', to: r }),
  set: (r) => ({ is: 'meta-set', key: 'mark', from: r }),
};
const TCP_FLAGS = load.transport(13, 1);
const FIN_RST = Uint8Array.of(0x05);
const SYN = Uint8Array.of(0x02);
const SYN_ACK = Uint8Array.of(0x12);
const ZERO = Uint8Array.of(0);

const known = (f: 4 | 6): string => `known${f}`;
const refresh = (f: 4 | 6): string => `refresh${f}`;
const enterChain = (f: 4 | 6): string => `enter${f}`;
const send = (f: 4 | 6): string => `send${f}`;
const begun = (f: 4 | 6): string => `new${f}`;
const single = (f: 4 | 6): string => `packet${f}`;
/** Client, port, and service of the mark, from register 0 on: the key of a flow. */
const flowKey = (f: 4 | 6): NftExpression[] => {
  const at = addressWords(f);
  return [load.saddr[f](0), load.sport(at), mark.get(at + 1), masked(at + 1, nativeBytes(SERVICE_MASK))];
};
const remember = (f: 4 | 6, only: readonly NftExpression[], timeoutMs: number): RuleSpec => {
  const data = addressWords(f) + 2;
  return [
    ...only,
    ...flowKey(f),
    mark.get(data),
    { is: 'dynset', op: 'update', set: flows[f].name, key: 0, data, timeoutMs },
    goto(send(f)),
  ];
};
const flags = (mask: Uint8Array, compare: NftExpression): NftExpression[] => [TCP_FLAGS(0), masked(0, mask), compare];
const beginning: RuleSpec = flags(SYN_ACK, equals(0, SYN));
/**
 * The flow is known, and its server is there: on to it. Else the mark is the service's again. What another director told
 * is asked next, but for a connection that begins: its client's port was used again.
 */
const knownChain = (f: 4 | 6): ChainSpec => {
  const found = (set: SetSpec): RuleSpec[] => [
    [...flowKey(f), lookup(set.name, 0, 0), mark.set(0)],
    [mark.get(0), lookup(counters.in.name, 0), goto(refresh(f))],
    [mark.get(0), masked(0, nativeBytes(SERVICE_MASK)), mark.set(0)],
  ];
  const begins: RuleSpec = [...onlyProtocol(PROTOCOL_NUMBER.tcp), ...beginning, verdict('return')];
  return { name: known(f), rules: [...found(flows[f]), begins, ...found(told[f])] };
};
const refreshChain = (f: 4 | 6, t: FlowTimeouts): ChainSpec => ({
  name: refresh(f),
  rules: [
    remember(f, [...onlyProtocol(PROTOCOL_NUMBER.tcp), ...flags(FIN_RST, differs(0, ZERO))], t.finMs),
    remember(f, onlyProtocol(PROTOCOL_NUMBER.tcp), t.tcpMs),
    remember(f, [], t.udpMs),
    [goto(send(f))], // the map of flows is full
  ],
});
/** A packet that was given its server just now. */
const newChain = (name: string, next: string): ChainSpec => ({
  name,
  rules: [
    [mark.get(0), lookup(counters.connections.name, 0)],
    [mark.get(0), lookup(counters.in.name, 0), goto(next)],
  ],
});
/** Where the mark names no neighbour the packet goes on to this host: it is the server itself. */
const sendChain = (f: 4 | 6): ChainSpec => ({
  name: send(f),
  rules: [
    [mark.get(0), lookup(target[f].name, 0, 0), { is: 'fwd', device: 0, neighbour: { family: f, address: 1 } }],
    [verdict('accept')],
  ],
});

/** What comes from a service's other server is for the server here: it goes on to this host's own stack, with the service's mark. */
const fromFellow: RuleSpec = [load.etherSource(0), mark.get(2), lookup(fellows.name, 0), verdict('accept')];

/** ICMP errors about packets from the virtual address to a client: the quoted header, behind 8 bytes, names the flow. */
const QUOTE = {
  4: { protocol: 1, types: [3, 11, 12], next: 8 + 9, source: 8 + 12, destination: 8 + 16, ports: 8 + 20 },
  6: { protocol: 58, types: [1, 2, 3, 4], next: 8 + 6, source: 8 + 8, destination: 8 + 24, ports: 8 + 40 },
} as const;
function errorRules(f: 4 | 6, o: { readonly fellows: boolean }): RuleSpec[] {
  const q = QUOTE[f];
  const length = f === 4 ? 4 : 16;
  const at = addressWords(f);
  const [low, high] = [Math.min(...q.types), Math.max(...q.types)];
  const only: NftExpression[] = [
    ...onlyEthernet(f),
    ...onlyProtocol(q.protocol),
    load.transport(0, 1)(0),
    { is: 'range', op: 'eq', from: 0, low: Uint8Array.of(low), high: Uint8Array.of(high) },
  ];
  return [
    [
      ...only,
      load.transport(q.source, length)(0),
      load.transport(q.next, 1)(at),
      load.transport(q.ports, 2)(at + 1),
      lookup(vip[f].name, 0, 0),
      mark.set(0),
    ],
    ...(o.fellows ? [[...only, ...fromFellow]] : []),
    [
      ...only,
      mark.get(0),
      masked(0, nativeBytes(MARK_MASK)),
      equals(0, nativeBytes(MARK_TAG)),
      load.transport(q.destination, length)(0),
      load.transport(q.ports + 2, 2)(at),
      mark.get(at + 1),
      lookup(flows[f].name, 0, 0),
      mark.set(0),
      goto(send(f)),
    ],
  ];
}
const enter = (f: 4 | 6): RuleSpec[] => {
  const at = addressWords(f);
  const address = [...onlyEthernet(f), load.daddr[f](0), load.protocol(at)];
  const found = (set: SetSpec): RuleSpec => [lookup(set.name, 0, 0), mark.set(0), goto(enterChain(f))];
  return [
    [...address, load.dport(at + 1), ...found(vip[f])],
    [...address, ...found(any[f])],
  ];
};
const ingress = (name: string, o: { readonly fellows: boolean }): ChainSpec => ({
  name: `in-${name}`,
  hook: hookOf('filter', 'ingress', 0, [name]),
  rules: [[...onlyOthers, verdict('accept')], ...families.flatMap(enter), ...families.flatMap((f) => errorRules(f, o))],
});

/** `interfaces`: where clients' packets come in. */
export const directTable = (o: {
  readonly interfaces: readonly string[];
  readonly timeouts: FlowTimeouts;
  readonly persistence: readonly Persistence[];
  /** This host is a real server of some service that has others: costs a look for each packet. */
  readonly fellows: boolean;
}): TableSpec => ({
  family: 'netdev',
  name: 'holdfast-lb',
  sets: [
    ...[vip, any, stick, flows, told, target, here].flatMap((s) => [s[4], s[6]]),
    ...choosingSets,
    open,
    fellows,
    ...Object.values(counters),
  ],
  chains: [
    ...families.map(sendChain),
    ...families.map(knownChain),
    ...families.map((f) => refreshChain(f, o.timeouts)),
    ...families.map((f) => newChain(begun(f), refresh(f))),
    ...families.map((f) => newChain(single(f), send(f))),
    ...families.map((f) => ({
      name: enterChain(f),
      rules: [...(o.fellows ? [fromFellow] : []), [jump(known(f))], ...chooseRules(mark)],
    })),
    ...o.persistence.flatMap((p) =>
      stickChains(p, { open, stick }, mark, { found: goto(begun(p.family)), taken: [goto(begun(p.family))] }),
    ),
    ...o.interfaces.map((name) => ingress(name, o)),
  ],
});

export const directMode: Mode = {
  portOf: () => 0,
  alike: true,
  rules: (k) => {
    const f = k.family;
    const p = k.persistence;
    const client = [chosenRule(mark), ...(p === undefined ? [] : [[jump(knownClient(p))]])];
    // With persistence the flow is remembered too: what is left out is only the look for it.
    const next = goto(p !== undefined ? learnClient(p) : k.transport === 'one-packet' ? single(f) : begun(f));
    if (isDrawn(k.choice)) return [...client, ...drawRules(k, mark, next)];
    if (k.transport !== 'tcp') return [...client, ...countRule(k, mark), [next]];
    const nobody: NftExpression[] = [mark.get(0), masked(0, nativeBytes(SERVER_MASK)), equals(0, nativeBytes(0))];
    return [...client, ...countRule(k, mark, beginning), ...flowRule(k, mark, nobody), [next]];
  },
  entries: (s, id) => listenEntries(s, serviceMark(id)),
  serverElements: (service, s: ImageServer) => {
    const f = s.address.includes(':') ? 6 : 4;
    const key = [serverMark(service, s.number)];
    const entries: Entry[] = [
      s.device === 0 ? { set: here[f], key, data: [s.address] } : { set: target[f], key, data: [s.device, s.address] },
      { set: counters.connections, key },
      { set: counters.in, key },
    ];
    if (s.open) entries.push({ set: open, key });
    return entries;
  },
};
export const directAdoption = {
  entries: [vip[4], vip[6], any[4], any[6]],
  targets: [target[4], target[6], here[4], here[6]],
  members: [open, ...Object.values(counters)],
  open,
  connections: [counters.connections],
} as const;
