/** The steps of a rule, each as a name and a nest of its own (linux/netfilter/nf_tables.h, nft_*_attributes). Decoding is total. */
import type { Family } from '../../base/index.ts';
import type { Attributes } from '../netlink/attributes.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import {
  readValue,
  readVerdict,
  registerNumber,
  registerOf,
  VERDICT_REGISTER,
  writeValue,
  writeVerdict,
} from './data.ts';
import { A } from './numbers.ts';
import type { CmpOp, CtKey, MetaKey, NftExpression } from './types.ts';

const META: Record<MetaKey, number> = {
  protocol: 1,
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  nfproto: 15,
  l4proto: 16,
  pkttype: 19,
};
const CT: Record<CtKey, number> = { state: 0, direction: 1, status: 2, mark: 3 };
const CMP: readonly CmpOp[] = ['eq', 'neq', 'lt', 'lte', 'gt', 'gte'];
const BASES = ['link', 'network', 'transport'] as const;
const DYNSET = ['add', 'update', 'delete'] as const;
const NFPROTO: Record<Family, number> = { 4: 2, 6: 10 };
const familyOfProto = (n: number | undefined): Family | undefined => (n === 2 ? 4 : n === 10 ? 6 : undefined);
const keyOf = <K extends string>(table: Record<K, number>, n: number | undefined): K | undefined =>
  (Object.keys(table) as K[]).find((k) => table[k] === n);
/** NFT_HASH_JENKINS, MASK_XOR: the only ones spoken here. */
const JENKINS = 0;
const MASK_XOR = 0;
const INVERT = 1;
/** NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED: follow from what is given. */
const NAT_MAPPED = 3;

type Of<K extends NftExpression['is']> = Extract<NftExpression, { is: K }>;
type Named = {
  readonly [K in Exclude<NftExpression['is'], 'other'>]: readonly [
    name: string,
    write: (w: NetlinkWriter, e: Of<K>) => void,
  ];
};

const WRITE: Named = {
  meta: ['meta', (w, e) => w.attrBe32(1, registerNumber(e.to)).attrBe32(2, META[e.key])],
  'meta-set': ['meta', (w, e) => w.attrBe32(2, META[e.key]).attrBe32(3, registerNumber(e.from))],
  payload: [
    'payload',
    (w, e) =>
      w
        .attrBe32(1, registerNumber(e.to))
        .attrBe32(2, BASES.indexOf(e.base))
        .attrBe32(3, e.offset)
        .attrBe32(4, e.length),
  ],
  ct: ['ct', (w, e) => w.attrBe32(1, registerNumber(e.to)).attrBe32(2, CT[e.key])],
  'ct-set': ['ct', (w, e) => w.attrBe32(2, CT[e.key]).attrBe32(4, registerNumber(e.from))],
  cmp: ['cmp', (w, e) => writeValue(w.attrBe32(1, registerNumber(e.from)).attrBe32(2, CMP.indexOf(e.op)), 3, e.value)],
  range: [
    'range',
    (w, e) => {
      w.attrBe32(1, registerNumber(e.from)).attrBe32(2, CMP.indexOf(e.op));
      writeValue(w, 3, e.low);
      writeValue(w, 4, e.high);
    },
  ],
  bitwise: [
    'bitwise',
    (w, e) => {
      w.attrBe32(1, registerNumber(e.from)).attrBe32(2, registerNumber(e.to)).attrBe32(3, e.mask.length);
      writeValue(w, 4, e.mask);
      writeValue(w, 5, e.xor);
    },
  ],
  immediate: ['immediate', (w, e) => writeValue(w.attrBe32(1, registerNumber(e.to)), 2, e.value)],
  verdict: ['immediate', (w, e) => writeVerdict(w.attrBe32(1, VERDICT_REGISTER), 2, e.verdict)],
  lookup: [
    'lookup',
    (w, e) => {
      w.attrText(1, e.set).attrBe32(2, registerNumber(e.from));
      if (e.to !== undefined) w.attrBe32(3, e.to === 'verdict' ? VERDICT_REGISTER : registerNumber(e.to));
      if (e.invert) w.attrBe32(5, INVERT);
    },
  ],
  dynset: [
    'dynset',
    (w, e) => {
      w.attrText(1, e.set).attrBe32(3, DYNSET.indexOf(e.op)).attrBe32(4, registerNumber(e.key));
      if (e.data !== undefined) w.attrBe32(5, registerNumber(e.data));
      if (e.timeoutMs !== undefined) w.attrBe64(6, BigInt(e.timeoutMs));
    },
  ],
  numgen: [
    'numgen',
    (w, e) =>
      w
        .attrBe32(1, registerNumber(e.to))
        .attrBe32(2, e.modulus)
        .attrBe32(3, e.random ? 1 : 0)
        .attrBe32(4, e.offset),
  ],
  jhash: [
    'hash',
    (w, e) =>
      w
        .attrBe32(1, registerNumber(e.from))
        .attrBe32(2, registerNumber(e.to))
        .attrBe32(3, e.length)
        .attrBe32(4, e.modulus)
        .attrBe32(5, e.seed)
        .attrBe32(6, e.offset)
        .attrBe32(7, JENKINS),
  ],
  counter: ['counter', (w, e) => w.attrBe64(A.counter.bytes, e.bytes).attrBe64(A.counter.packets, e.packets)],
  object: ['objref', (w, e) => w.attrBe32(1, e.type).attrText(2, e.name)],
  'object-map': ['objref', (w, e) => w.attrBe32(3, registerNumber(e.from)).attrText(4, e.set)],
  nat: [
    'nat',
    (w, e) => {
      w.attrBe32(1, e.type === 'dnat' ? 1 : 0)
        .attrBe32(2, NFPROTO[e.family])
        .attrBe32(3, registerNumber(e.address));
      if (e.port !== undefined) w.attrBe32(5, registerNumber(e.port));
    },
  ],
  masquerade: ['masq', () => {}],
  fwd: [
    'fwd',
    (w, e) => {
      w.attrBe32(1, registerNumber(e.device));
      if (e.neighbour !== undefined)
        w.attrBe32(2, registerNumber(e.neighbour.address)).attrBe32(3, NFPROTO[e.neighbour.family]);
    },
  ],
};

/** Name and nest, without the list element around them. */
export function writeExpression(w: NetlinkWriter, e: NftExpression): void {
  if (e.is === 'other') {
    w.attrText(A.expression.name, e.name).attrBytes(A.expression.data, e.data);
    return;
  }
  const [name, write] = WRITE[e.is] as readonly [string, (w: NetlinkWriter, e: NftExpression) => void];
  w.attrText(A.expression.name, name);
  w.nest(A.expression.data, () => write(w, e));
}
export function writeExpressions(w: NetlinkWriter, type: number, list: readonly NftExpression[]): void {
  w.nest(type, () => {
    for (const e of list) w.nest(A.list.element, () => writeExpression(w, e));
  });
}

/** Undefined: it is of this name, but of a form that is not spoken here. */
type Read = (a: Attributes) => NftExpression | undefined;
const READ: Readonly<Record<string, Read>> = {
  meta: (a) => {
    const key = keyOf(META, a.be32(2));
    const [to, from] = [registerOf(a, 1), registerOf(a, 3)];
    if (key === undefined || (to === undefined) === (from === undefined)) return undefined;
    return to === undefined ? { is: 'meta-set', key, from: from as number } : { is: 'meta', key, to };
  },
  payload: (a) => {
    const base = BASES[a.be32(2) ?? -1];
    const [to, offset, length] = [registerOf(a, 1), a.be32(3), a.be32(4)];
    if (base === undefined || to === undefined || offset === undefined || length === undefined) return undefined;
    return { is: 'payload', base, offset, length, to };
  },
  ct: (a) => {
    const key = keyOf(CT, a.be32(2));
    const [to, from] = [registerOf(a, 1), registerOf(a, 4)];
    if (key === undefined || (to === undefined) === (from === undefined) || a.has(3)) return undefined;
    return to === undefined ? { is: 'ct-set', key, from: from as number } : { is: 'ct', key, to };
  },
  cmp: (a) => {
    const [from, op, value] = [registerOf(a, 1), CMP[a.be32(2) ?? -1], readValue(a, 3)];
    if (from === undefined || op === undefined || value === undefined) return undefined;
    return { is: 'cmp', op, from, value };
  },
  range: (a) => {
    const [from, op, low, high] = [registerOf(a, 1), CMP[a.be32(2) ?? -1], readValue(a, 3), readValue(a, 4)];
    if (from === undefined || (op !== 'eq' && op !== 'neq') || low === undefined || high === undefined)
      return undefined;
    return { is: 'range', op, from, low, high };
  },
  bitwise: (a) => {
    const [from, to, mask, xor] = [registerOf(a, 1), registerOf(a, 2), readValue(a, 4), readValue(a, 5)];
    if (from === undefined || to === undefined || mask === undefined || xor?.length !== mask.length) return undefined;
    if ((a.be32(6) ?? MASK_XOR) !== MASK_XOR || a.be32(3) !== mask.length) return undefined;
    return { is: 'bitwise', from, to, mask, xor };
  },
  immediate: (a) => {
    if (a.be32(1) === VERDICT_REGISTER) {
      const verdict = readVerdict(a, 2);
      return verdict && { is: 'verdict', verdict };
    }
    const [to, value] = [registerOf(a, 1), readValue(a, 2)];
    return to === undefined || value === undefined ? undefined : { is: 'immediate', to, value };
  },
  lookup: (a) => {
    const [set, from, flags] = [a.text(1), registerOf(a, 2), a.be32(5) ?? 0];
    if (set === undefined || from === undefined || flags > INVERT) return undefined;
    const to = a.be32(3) === VERDICT_REGISTER ? ('verdict' as const) : registerOf(a, 3);
    return { is: 'lookup', set, from, ...(to !== undefined && { to }), ...(flags === INVERT && { invert: true }) };
  },
  dynset: (a) => {
    const [set, op, key] = [a.text(1), DYNSET[a.be32(3) ?? -1], registerOf(a, 4)];
    const [data, timeout] = [registerOf(a, 5), a.be64(6)];
    if (set === undefined || op === undefined || key === undefined || a.has(7) || a.has(10)) return undefined;
    if ((a.be32(9) ?? 0) !== 0 || (timeout ?? 0n) > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
    return {
      is: 'dynset',
      op,
      set,
      key,
      ...(data !== undefined && { data }),
      ...(timeout !== undefined && timeout > 0n && { timeoutMs: Number(timeout) }),
    };
  },
  numgen: (a) => {
    const [to, modulus, type] = [registerOf(a, 1), a.be32(2), a.be32(3)];
    if (to === undefined || modulus === undefined || type === undefined || type > 1) return undefined;
    return { is: 'numgen', to, random: type === 1, modulus, offset: a.be32(4) ?? 0 };
  },
  hash: (a) => {
    const [from, to, length, modulus] = [registerOf(a, 1), registerOf(a, 2), a.be32(3), a.be32(4)];
    if (from === undefined || to === undefined || length === undefined || modulus === undefined) return undefined;
    if ((a.be32(7) ?? JENKINS) !== JENKINS) return undefined;
    return { is: 'jhash', from, length, to, modulus, seed: a.be32(5) ?? 0, offset: a.be32(6) ?? 0 };
  },
  counter: (a) => ({ is: 'counter', packets: a.be64(A.counter.packets) ?? 0n, bytes: a.be64(A.counter.bytes) ?? 0n }),
  objref: (a) => {
    const [type, name, from, set] = [a.be32(1), a.text(2), registerOf(a, 3), a.text(4)];
    if (type !== undefined && name !== undefined) return { is: 'object', type, name };
    return from === undefined || set === undefined ? undefined : { is: 'object-map', set, from };
  },
  nat: (a) => {
    const [type, family, address, port] = [a.be32(1), familyOfProto(a.be32(2)), registerOf(a, 3), registerOf(a, 5)];
    if (type === undefined || type > 1 || family === undefined || address === undefined) return undefined;
    // The kernel repeats the lowest as the highest where no range was given.
    if ((registerOf(a, 4) ?? address) !== address || (registerOf(a, 6) ?? port) !== port) return undefined;
    if (((a.be32(7) ?? 0) & ~NAT_MAPPED) !== 0) return undefined;
    return { is: 'nat', type: type === 1 ? 'dnat' : 'snat', family, address, ...(port !== undefined && { port }) };
  },
  masq: (a) => (a.has(2) || a.has(3) || (a.be32(1) ?? 0) !== 0 ? undefined : { is: 'masquerade' }),
  fwd: (a) => {
    const [device, address, family] = [registerOf(a, 1), registerOf(a, 2), familyOfProto(a.be32(3))];
    if (device === undefined || (address === undefined) !== (family === undefined)) return undefined;
    if (address === undefined || family === undefined) return { is: 'fwd', device };
    return { is: 'fwd', device, neighbour: { family, address } };
  },
};

/** What is inside one list element. A flaw is noted in the attributes. */
export function readExpression(a: Attributes): NftExpression | undefined {
  const name = a.text(A.expression.name);
  if (name === undefined) return a.reject(A.expression.name);
  const data = a.bytes(A.expression.data) ?? new Uint8Array(0);
  const known = Object.hasOwn(READ, name) ? READ[name]?.(a.within(data)) : undefined;
  return known ?? { is: 'other', name, data };
}
export function readExpressions(a: Attributes, type: number): NftExpression[] {
  const found: NftExpression[] = [];
  for (const bytes of a.nested(type)?.list(A.list.element) ?? []) {
    const e = readExpression(a.within(bytes));
    if (e !== undefined) found.push(e);
  }
  return found;
}
