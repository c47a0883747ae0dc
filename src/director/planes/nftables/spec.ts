/** Tables of nf_tables as a plane describes them: with names for what a key is made of, addresses as text, and no bytes. */
import { type IpAddress, ip4Number, ipBytes, ipFromBytes, unreachable } from '../../../base/index.ts';
import {
  type ElementForm,
  type MacAddress,
  macBytes,
  macFromBytes,
  NetlinkWriter,
  NFT_DATA_VERDICT,
  NFT_SET_FLAG,
  NFT_TYPE,
  NFT_TYPE_BITS,
  type NftChainHook,
  type NftElement,
  type NftExpression,
  type NftFamily,
  type NftSet,
} from '../../../wire/index.ts';

export type Field = keyof typeof NFT_TYPE;
/** Numbers for all but addresses. */
export type Value = IpAddress | MacAddress | number;

export type SetSpec = {
  readonly name: string;
  readonly key: readonly Field[];
  /** A map. `verdict`: what it finds is a chain to go on in. */
  readonly data?: readonly Field[] | 'verdict';
  /** Each element counts packets and bytes that found it. */
  readonly counter?: true;
  /** Filled by rules while packets pass. */
  readonly dynamic?: { readonly timeoutMs: number; readonly size: number };
};
export type ElementSpec = {
  readonly key: readonly Value[];
  readonly data?: readonly Value[];
  readonly goto?: string;
};
export type RuleSpec = readonly NftExpression[];
export type ChainSpec = {
  readonly name: string;
  readonly hook?: NftChainHook;
  readonly comment?: string;
  readonly rules: readonly RuleSpec[];
};
export type TableName = { readonly family: NftFamily; readonly name: string };
/** What is always there, whatever the services are. */
export type TableSpec = TableName & { readonly sets: readonly SetSpec[]; readonly chains: readonly ChainSpec[] };

const LENGTH: Record<Field, number> = {
  ipv4_addr: 4,
  ipv6_addr: 16,
  ether_addr: 6,
  inet_proto: 1,
  inet_service: 2,
  mark: 4,
  iface_index: 4,
};
const padded = (f: Field): number => (LENGTH[f] + 3) & ~3;
const lengthOf = (fields: readonly Field[]): number =>
  fields.length === 1 ? LENGTH[fields[0] as Field] : fields.reduce((n, f) => n + padded(f), 0);
const typeOf = (fields: readonly Field[]): number => fields.reduce((n, f) => (n << NFT_TYPE_BITS) | NFT_TYPE[f], 0);
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The bytes that a packet's fields are compared with: each part of a concatenation begins at a word. */
function putValues(w: NetlinkWriter, fields: readonly Field[], values: readonly Value[]): void {
  for (let i = 0; i < fields.length; i++) {
    const f = fields[i] as Field;
    putValue(w, f, values[i] as Value);
    if (fields.length > 1) w.zeros(padded(f) - LENGTH[f]);
  }
}
function putValue(w: NetlinkWriter, f: Field, v: Value): void {
  switch (f) {
    case 'mark':
    case 'iface_index':
      w.u32(v as number);
      break;
    case 'inet_service':
      w.u8((v as number) >>> 8).u8(v as number);
      break;
    case 'inet_proto':
      w.u8(v as number);
      break;
    case 'ether_addr':
      w.put(macBytes(v as MacAddress));
      break;
    case 'ipv4_addr': {
      const n = ip4Number(v as IpAddress);
      w.u8(n >>> 24)
        .u8(n >>> 16)
        .u8(n >>> 8)
        .u8(n);
      break;
    }
    case 'ipv6_addr':
      w.put(ipBytes(v as IpAddress));
      break;
    default:
      unreachable(f);
  }
}
export function valueBytes(fields: readonly Field[], values: readonly Value[]): Uint8Array {
  const w = new NetlinkWriter(lengthOf(fields));
  putValues(w, fields, values);
  return w.done();
}
/** Undefined where the bytes are not of these fields. */
export function readValues(fields: readonly Field[], bytes: Uint8Array): Value[] | undefined {
  if (bytes.length !== lengthOf(fields)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  return fields.map((f) => {
    const from = at;
    at += padded(f);
    if (f === 'ipv4_addr' || f === 'ipv6_addr') return ipFromBytes(bytes.subarray(from, from + LENGTH[f]));
    if (f === 'ether_addr') return macFromBytes(bytes.subarray(from, from + LENGTH[f]));
    if (f === 'inet_proto') return view.getUint8(from);
    return f === 'inet_service' ? view.getUint16(from) : view.getUint32(from, LITTLE);
  });
}
/** A number in the machine's own order, as marks and device numbers are in registers. */
export const nativeBytes = (n: number): Uint8Array => valueBytes(['mark'], [n]);

export function wireSet(t: TableName, s: SetSpec): NftSet {
  const map = s.data !== undefined ? NFT_SET_FLAG.map : 0;
  const dynamic = s.dynamic ? NFT_SET_FLAG.dynamic | NFT_SET_FLAG.timeout : 0;
  const concatenation = s.key.length > 1 ? NFT_SET_FLAG.concatenation : 0;
  return {
    family: t.family,
    table: t.name,
    name: s.name,
    flags: map | dynamic | concatenation,
    keyType: typeOf(s.key),
    keyLength: lengthOf(s.key),
    ...(s.data === 'verdict' && { dataType: NFT_DATA_VERDICT }),
    ...(s.data !== undefined && s.data !== 'verdict' && { dataType: typeOf(s.data), dataLength: lengthOf(s.data) }),
    ...(s.dynamic && { timeoutMs: s.dynamic.timeoutMs, size: s.dynamic.size }),
    ...(s.key.length > 1 && { fields: s.key.map((f) => LENGTH[f]) }),
    ...(s.counter && { counter: true }),
  };
}
/** How elements of a set are written; `keyOnly` to remove them. */
export function elementForm(s: SetSpec, keyOnly: boolean): ElementForm<ElementSpec> {
  const { key, data } = s;
  return {
    key: (w, e) => putValues(w, key, e.key),
    ...(!keyOnly && data === 'verdict' && { goto: (e: ElementSpec) => e.goto ?? '' }),
    ...(!keyOnly &&
      data !== undefined &&
      data !== 'verdict' && { data: (w: NetlinkWriter, e: ElementSpec) => putValues(w, data, e.data ?? []) }),
  };
}
/** Undefined for an element that is not of this set's form. */
export function readElement(s: SetSpec, e: NftElement): ElementSpec | undefined {
  const key = readValues(s.key, e.key);
  if (key === undefined) return undefined;
  if (s.data === undefined) return { key };
  if (s.data === 'verdict') return e.verdict?.code === 'goto' ? { key, goto: e.verdict.chain } : undefined;
  const data = e.data && readValues(s.data, e.data);
  return data && { key, data };
}
