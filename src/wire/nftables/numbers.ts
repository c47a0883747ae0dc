/** linux/netfilter/nfnetlink.h and nf_tables.h: the numbers of the wire. */
export const NFNL_SUBSYSTEM = { conntrack: 1, nftables: 10 } as const;

/** NFPROTO_* */
export const NF_FAMILY = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;
export type NftFamily = keyof typeof NF_FAMILY;
export const familyName = (n: number): NftFamily | undefined =>
  (Object.keys(NF_FAMILY) as NftFamily[]).find((f) => NF_FAMILY[f] === n);

const message = (n: number): number => (NFNL_SUBSYSTEM.nftables << 8) | n;
export const NFT_MSG = {
  newTable: message(0),
  getTable: message(1),
  delTable: message(2),
  newChain: message(3),
  getChain: message(4),
  delChain: message(5),
  newRule: message(6),
  getRule: message(7),
  delRule: message(8),
  newSet: message(9),
  getSet: message(10),
  delSet: message(11),
  newElements: message(12),
  getElements: message(13),
  delElements: message(14),
  newGeneration: message(15),
  getGeneration: message(16),
  newObject: message(18),
  getObject: message(19),
  delObject: message(20),
} as const;

/** NFT_SET_* */
export const NFT_SET_FLAG = {
  anonymous: 0x01,
  constant: 0x02,
  interval: 0x04,
  map: 0x08,
  timeout: 0x10,
  /** Rules add elements. */
  dynamic: 0x20,
  object: 0x40,
  concatenation: 0x80,
} as const;

/** nft's own numbers for what a key or value means: the kernel only keeps them, for whoever lists the set. */
export const NFT_TYPE = {
  ipv4_addr: 7,
  ipv6_addr: 8,
  ether_addr: 9,
  inet_proto: 12,
  inet_service: 13,
  mark: 19,
  iface_index: 20,
} as const;
/** NFT_DATA_VERDICT */
export const NFT_DATA_VERDICT = 0xffff_ff00;
/** Types of a concatenation are packed six bits each. */
export const NFT_TYPE_BITS = 6;

/** Where a base chain hangs: NF_INET_*, and NF_NETDEV_INGRESS. */
export const NFT_HOOK = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4, ingress: 0 } as const;

/** nlattr types, one table for each kind of message or nest. */
export const A = {
  list: { element: 1 },
  data: { value: 1, verdict: 2 },
  verdict: { code: 1, chain: 2 },
  expression: { name: 1, data: 2 },
  table: { name: 1, flags: 2, use: 3, handle: 4, userdata: 6 },
  hook: { number: 1, priority: 2, device: 3, devices: 4 },
  chain: { table: 1, handle: 2, name: 3, hook: 4, policy: 5, use: 6, type: 7, flags: 10, userdata: 12 },
  rule: { table: 1, chain: 2, handle: 3, expressions: 4, position: 6, userdata: 7 },
  set: {
    table: 1,
    name: 2,
    flags: 3,
    keyType: 4,
    keyLength: 5,
    dataType: 6,
    dataLength: 7,
    policy: 8,
    desc: 9,
    id: 10,
    timeout: 11,
    userdata: 13,
    objectType: 15,
    handle: 16,
    expression: 17,
  },
  desc: { size: 1, concatenation: 2 },
  field: { length: 1 },
  element: {
    key: 1,
    data: 2,
    flags: 3,
    timeout: 4,
    expiration: 5,
    userdata: 6,
    expression: 7,
    object: 9,
    keyEnd: 10,
    expressions: 11,
  },
  elements: { table: 1, set: 2, elements: 3 },
  object: { table: 1, name: 2, type: 3, data: 4, use: 5, handle: 6, userdata: 8 },
  generation: { id: 1 },
  counter: { bytes: 1, packets: 2 },
} as const;
