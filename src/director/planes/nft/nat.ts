/**
 * NAT: table `inet holdfast-lb`. A connection's first packet is given the mark of a server (chain `pick`), by the mark
 * its destination is rewritten (chain `dnat`), and connection tracking does the rest: the rules see no other packet of
 * it but to count. So a server that takes nothing new keeps what it has, and one that is cut loses its conntrack entries.
 *
 * Failover without synchronisation: `nf_conntrack_tcp_loose` lets the middle of a connection begin an entry, the hash
 * schedulers choose the same server on every director, and replies that come before the client's next packet are dropped,
 * or they would begin an entry the wrong way round and leave with the server's own address.
 */
import { familyOf } from '../../../base/index.ts';
import type { NftExpression } from '../../../wire/index.ts';
import { MARK_MASK, MARK_TAG, serverMark, serviceMark, TOLD_TAG, UNTOLD_MASK } from '../marks.ts';
import { familyOfMatch, PROTOCOL_NUMBER } from '../matches.ts';
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
  onlyFamily,
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
  knownClient,
  learnClient,
  type MarkPort,
  stickChains,
} from './pick.ts';
import { any, both, counterSets, families, listenEntries, open, stick, vip } from './sets.ts';
import type { SharedSpec } from './shared.ts';

const fwm = both((f): SetSpec => ({ name: `fwmark${f}`, key: ['mark'], data: ['mark'] }));
/** Looked at once for each connection: so many it counts. */
export const to = both(
  (f, a): SetSpec => ({ name: `to${f}`, key: ['mark'], data: [a, 'inet_service'], counter: true }),
);
/** Where the port stays as the client asked. */
export const toAddress = both((f, a): SetSpec => ({ name: `to${f}-address`, key: ['mark'], data: [a], counter: true }));
/** Real servers' sockets: shared by the services that have the same ones. */
export const replies = both((f, a): SetSpec => ({ name: `replies${f}`, key: [a, 'inet_service'] }));

const natSets: readonly SetSpec[] = [
  ...[vip, any, fwm, to, toAddress, stick, replies].flatMap((s) => [s[4], s[6]]),
  ...choosingSets,
  open,
  ...Object.values(counterSets),
];

const ctMark: MarkPort = {
  get: (r) => ({ is: 'ct', key: 'mark', to: r }),
  set: (r) => ({ is: 'ct-set', key: 'mark', from: r }),
};
const CHOOSE = 'choose';
const NAT_DST = -100; // NF_IP_PRI_NAT_DST
const NAT_SRC = 100; // NF_IP_PRI_NAT_SRC
const STATE_NEW = nativeBytes(8); // NF_CT_STATE_BIT(IP_CT_NEW)
const STATUS_DNAT = nativeBytes(0x20); // IPS_DST_NAT
const NONE = nativeBytes(0);
/** Byte 13 of the TCP header. */
const TCP_FLAGS = load.transport(13, 1);
const SYN = 0x02;
const SYN_ACK = 0x12;

const notNew: RuleSpec = [{ is: 'ct', key: 'state', to: 0 }, masked(0, STATE_NEW), equals(0, NONE), verdict('accept')];
const dropReplies = (f: 4 | 6): RuleSpec => [
  ...onlyFamily(f),
  ...onlyProtocol(PROTOCOL_NUMBER.tcp),
  TCP_FLAGS(0),
  masked(0, Uint8Array.of(SYN_ACK)),
  differs(0, Uint8Array.of(SYN)),
  load.saddr[f](0),
  load.sport(addressWords(f)),
  lookup(replies[f].name, 0),
  verdict('drop'),
];
const enter = (f: 4 | 6): RuleSpec[] => {
  const at = addressWords(f);
  const address = [...onlyFamily(f), load.daddr[f](0), load.protocol(at)];
  const found = (set: SetSpec): RuleSpec => [lookup(set.name, 0, 0), ctMark.set(0), goto(CHOOSE)];
  return [
    [...address, load.dport(at + 1), ...found(vip[f])],
    [...address, ...found(any[f])],
    [...onlyFamily(f), load.mark(0), ...found(fwm[f])],
  ];
};
const rewrite = (f: 4 | 6): RuleSpec[] => [
  [
    ...onlyFamily(f),
    load.ctMark(0),
    lookup(to[f].name, 0, 0),
    { is: 'nat', type: 'dnat', family: f, address: 0, port: addressWords(f) },
  ],
  [
    ...onlyFamily(f),
    load.ctMark(0),
    lookup(toAddress[f].name, 0, 0),
    { is: 'nat', type: 'dnat', family: f, address: 0 },
  ],
];
const direction = (n: number): NftExpression[] => [{ is: 'ct', key: 'direction', to: 0 }, equals(0, Uint8Array.of(n))];
const count: RuleSpec[] = [
  [...direction(0), load.ctMark(0), lookup(counterSets.in.name, 0), verdict('accept')],
  [...direction(1), load.ctMark(0), lookup(counterSets.out.name, 0)],
  // Another director told of it, and here it comes by: it is ours.
  [
    load.ctMark(0),
    masked(0, nativeBytes(MARK_MASK)),
    equals(0, nativeBytes(TOLD_TAG)),
    load.ctMark(0),
    masked(0, nativeBytes(UNTOLD_MASK)),
    ctMark.set(0),
  ],
];
const pickChain: RuleSpec[] = [notNew, ...families.map(dropReplies), ...families.flatMap(enter)];
const dnatChain: RuleSpec[] = families.flatMap(rewrite);

/** `masquerade`: servers see the director's address, and need no route back through it. */
export const natTable = (o: {
  readonly masquerade: boolean;
  readonly persistence: readonly Persistence[];
}): TableSpec => ({
  family: 'inet',
  name: 'holdfast-lb',
  sets: natSets,
  chains: [
    { name: 'pick', hook: hookOf('filter', 'prerouting', NAT_DST - 2), rules: pickChain },
    { name: 'dnat', hook: hookOf('nat', 'prerouting', NAT_DST), rules: dnatChain },
    { name: 'count', hook: hookOf('filter', 'prerouting', NAT_DST + 1), rules: count },
    // What this host itself asks of its services, and what it answers where it is a real server.
    { name: 'pick-local', hook: hookOf('filter', 'output', NAT_DST - 2), rules: pickChain },
    { name: 'dnat-local', hook: hookOf('nat', 'output', NAT_DST), rules: dnatChain },
    { name: 'count-local', hook: hookOf('filter', 'output', NAT_DST + 1), rules: count },
    ...(o.masquerade ? [masqueradeChain] : []),
    { name: CHOOSE, rules: chooseRules(ctMark) },
    ...o.persistence.flatMap((p) => stickChains(p, { open, stick }, ctMark, { found: verdict('accept'), taken: [] })),
  ],
});
const masqueradeChain: ChainSpec = {
  name: 'masquerade',
  hook: hookOf('nat', 'postrouting', NAT_SRC),
  rules: [
    [
      { is: 'ct', key: 'status', to: 0 },
      masked(0, STATUS_DNAT),
      differs(0, NONE),
      load.ctMark(0),
      masked(0, nativeBytes(MARK_MASK)),
      equals(0, nativeBytes(MARK_TAG)),
      { is: 'masquerade' },
    ],
  ],
};

export const natMode: Mode = {
  portOf: (s) => s.port,
  alike: false,
  rules: (k) => {
    const p = k.persistence;
    const client = [chosenRule(ctMark), ...(p === undefined ? [] : [[jump(knownClient(p))]])];
    const learn = p === undefined ? undefined : goto(learnClient(p));
    if (isDrawn(k.choice)) return [...client, ...drawRules(k, ctMark, learn ?? verdict('accept'))];
    return [...client, ...countRule(k, ctMark), ...(learn === undefined ? [] : [[learn]])];
  },
  entries: (s, id) => {
    const mark = serviceMark(id);
    if (s.match.by !== 'fwmark') return listenEntries(s, mark);
    return [{ set: fwm[familyOfMatch(s.match)], key: [s.match.mark], data: [mark] }];
  },
  serverElements: (service, s: ImageServer) => {
    const f = s.address.includes(':') ? 6 : 4;
    const key = [serverMark(service, s.number)];
    const entries: Entry[] = [
      s.port === 0 ? { set: toAddress[f], key, data: [s.address] } : { set: to[f], key, data: [s.address, s.port] },
      { set: counterSets.in, key },
      { set: counterSets.out, key },
    ];
    if (s.open) entries.push({ set: open, key });
    return entries;
  },
};
/** Sets from which an earlier process's services are read back. */
export const natAdoption = {
  entries: [vip[4], vip[6], any[4], any[6], fwm[4], fwm[6]],
  targets: [to[4], to[6], toAddress[4], toAddress[6]],
  members: [open, ...Object.values(counterSets)],
  open,
  connections: [to[4], to[6], toAddress[4], toAddress[6]],
} as const;
/** Real servers of NAT by TCP: their answers are not to begin an entry. */
export const natShared: SharedSpec = {
  sets: [replies[4], replies[6]],
  of: (s) =>
    s.match.by === 'address' && s.match.protocol !== 'tcp'
      ? []
      : s.servers.flatMap((x) => {
          const port = x.port === 0 && s.match.by === 'address' ? s.match.port : x.port;
          return port === 0 ? [] : [{ set: replies[familyOf(x.address)], key: [x.address, port] }];
        }),
};
