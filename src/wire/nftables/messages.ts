/** Tables, chains, rules and named counters: the payload of a message, from struct nfgenmsg on. */
import { err, ok, type Result } from '../../base/index.ts';
import { Attributes } from '../netlink/attributes.ts';
import type { NetlinkError } from '../netlink/message.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import { readExpressions, writeExpressions } from './expressions.ts';
import { A, familyName, NF_FAMILY, NFT_HOOK, type NftFamily } from './numbers.ts';
import type { NftChain, NftChainHook, NftObject, NftRule, NftTable } from './types.ts';

export const NFGENMSG = 4; // u8 family, u8 version, u16 subsystem's own number in network order
const COUNTER_OBJECT = 1;
/** NFTNL_UDATA_*_COMMENT: u8 type, u8 length with the NUL, text. What `nft` shows as a comment. */
const COMMENT = 0;
const MAX_COMMENT = 128;
const POLICY = { drop: 0, accept: 1 } as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function writeHead(w: NetlinkWriter, family: NftFamily): NetlinkWriter {
  return w.u8(NF_FAMILY[family]).zeros(NFGENMSG - 1);
}
/** Reads what stands behind the family; `read` says undefined where something needed is missing. */
export function decodeWith<T>(
  b: Uint8Array,
  read: (a: Attributes, family: NftFamily) => T | undefined,
): Result<T, NetlinkError> {
  if (b.length < NFGENMSG) return err({ kind: 'length', have: b.length, need: NFGENMSG });
  const family = familyName(b[0] as number);
  if (family === undefined) return err({ kind: 'family', have: b[0] as number });
  const a = new Attributes(b.subarray(NFGENMSG));
  const value = read(a, family);
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  return value === undefined ? err({ kind: 'missing', type: 0 }) : ok(value);
}
export function encodeWith(write: (w: NetlinkWriter) => void): Uint8Array {
  const w = new NetlinkWriter();
  write(w);
  return w.done();
}

/** A comment, cut at what a comment may be. */
function writeComment(w: NetlinkWriter, type: number, comment: string): void {
  const text = encoder.encode(comment).subarray(0, MAX_COMMENT - 1);
  w.attrBytes(type, Uint8Array.of(COMMENT, text.length + 1, ...text, 0));
}
function readComment(a: Attributes, type: number): string | undefined {
  const b = a.bytes(type);
  if (b === undefined || b.length < 3 || b[0] !== COMMENT || b.length < 2 + (b[1] as number)) return undefined;
  const text = b.subarray(2, 2 + (b[1] as number));
  const end = text.indexOf(0);
  return end < 0 ? undefined : decoder.decode(text.subarray(0, end));
}

// ---------------------------------------------------------------------------------------------- tables

export function writeNftTable(w: NetlinkWriter, t: NftTable): void {
  writeHead(w, t.family).attrText(A.table.name, t.name).attrBe32(A.table.flags, t.flags);
}
export const encodeNftTable = (t: NftTable): Uint8Array => encodeWith((w) => writeNftTable(w, t));
export const decodeNftTable = (b: Uint8Array): Result<NftTable, NetlinkError> =>
  decodeWith(b, (a, family) => {
    const name = a.text(A.table.name);
    return name === undefined ? undefined : { family, name, flags: a.be32(A.table.flags) ?? 0 };
  });

// ---------------------------------------------------------------------------------------------- chains

export function writeNftChain(w: NetlinkWriter, c: NftChain): void {
  writeHead(w, c.family).attrText(A.chain.table, c.table).attrText(A.chain.name, c.name);
  const hook = c.hook;
  if (hook !== undefined) {
    w.nest(A.chain.hook, () => {
      w.attrBe32(A.hook.number, hook.number).attrBe32(A.hook.priority, hook.priority >>> 0);
      const [device, ...others] = hook.devices;
      if (device !== undefined && others.length === 0) w.attrText(A.hook.device, device);
      else if (device !== undefined)
        w.nest(A.hook.devices, () => {
          for (const d of hook.devices) w.attrText(A.list.element, d);
        });
    });
    w.attrBe32(A.chain.policy, POLICY[hook.policy]).attrText(A.chain.type, hook.type);
  }
  if (c.comment !== undefined) writeComment(w, A.chain.userdata, c.comment);
}
export const encodeNftChain = (c: NftChain): Uint8Array => encodeWith((w) => writeNftChain(w, c));

const texts = (list: readonly Uint8Array[]): string[] =>
  list.map((b) => decoder.decode(b.subarray(0, b.indexOf(0) < 0 ? b.length : b.indexOf(0))));

function readHook(a: Attributes): NftChainHook | undefined {
  const inside = a.nested(A.chain.hook);
  if (inside === undefined) return undefined;
  const [number, priority] = [inside.be32(A.hook.number), inside.be32(A.hook.priority)];
  const [type, policy] = [a.text(A.chain.type), a.be32(A.chain.policy) ?? POLICY.accept];
  if (number === undefined || number > NFT_HOOK.postrouting + 1 || priority === undefined)
    return a.reject(A.chain.hook);
  if (type !== 'filter' && type !== 'nat' && type !== 'route') return a.reject(A.chain.type);
  const one = inside.text(A.hook.device);
  const many = texts(inside.nested(A.hook.devices)?.list(A.list.element) ?? []);
  return {
    type,
    number,
    priority: priority | 0,
    devices: many.length > 0 ? many : one === undefined ? [] : [one],
    policy: policy === POLICY.drop ? 'drop' : 'accept',
  };
}
export const decodeNftChain = (b: Uint8Array): Result<NftChain, NetlinkError> =>
  decodeWith(b, (a, family) => {
    const [table, name, hook] = [a.text(A.chain.table), a.text(A.chain.name), readHook(a)];
    const comment = readComment(a, A.chain.userdata);
    if (table === undefined || name === undefined) return undefined;
    return { family, table, name, ...(hook && { hook }), ...(comment !== undefined && { comment }) };
  });
/** Names a chain: to remove it, to list its rules, or, with its rules, to empty it. */
export function writeNftChainKey(w: NetlinkWriter, c: Pick<NftChain, 'family' | 'table' | 'name'>): void {
  writeHead(w, c.family).attrText(A.chain.table, c.table).attrText(A.chain.name, c.name);
}

// ---------------------------------------------------------------------------------------------- rules

export function writeNftRule(w: NetlinkWriter, r: NftRule): void {
  writeHead(w, r.family).attrText(A.rule.table, r.table).attrText(A.rule.chain, r.chain);
  if (r.handle !== undefined) w.attrBe64(A.rule.handle, r.handle);
  writeExpressions(w, A.rule.expressions, r.expressions);
}
export const encodeNftRule = (r: NftRule): Uint8Array => encodeWith((w) => writeNftRule(w, r));
export const decodeNftRule = (b: Uint8Array): Result<NftRule, NetlinkError> =>
  decodeWith(b, (a, family) => {
    const [table, chain, handle] = [a.text(A.rule.table), a.text(A.rule.chain), a.be64(A.rule.handle)];
    const expressions = readExpressions(a, A.rule.expressions);
    if (table === undefined || chain === undefined) return undefined;
    return { family, table, chain, ...(handle !== undefined && { handle }), expressions };
  });
/** Names the rules of a table, or of one of its chains. */
export function writeNftRulesKey(
  w: NetlinkWriter,
  r: Pick<NftRule, 'family' | 'table'> & { readonly chain?: string },
): void {
  writeHead(w, r.family).attrText(A.rule.table, r.table);
  if (r.chain !== undefined) w.attrText(A.rule.chain, r.chain);
}

// ---------------------------------------------------------------------------------------------- named counters, generation

function writeNftObject(w: NetlinkWriter, o: NftObject): void {
  writeHead(w, o.family)
    .attrText(A.object.table, o.table)
    .attrText(A.object.name, o.name)
    .attrBe32(A.object.type, COUNTER_OBJECT);
  w.nest(A.object.data, () =>
    w.attrBe64(A.counter.bytes, o.counter.bytes).attrBe64(A.counter.packets, o.counter.packets),
  );
}
export const encodeNftObject = (o: NftObject): Uint8Array => encodeWith((w) => writeNftObject(w, o));
export const decodeNftObject = (b: Uint8Array): Result<NftObject, NetlinkError> =>
  decodeWith(b, (a, family) => {
    const [table, name, data] = [a.text(A.object.table), a.text(A.object.name), a.nested(A.object.data)];
    if (table === undefined || name === undefined || a.be32(A.object.type) !== COUNTER_OBJECT) return undefined;
    const counter = { packets: data?.be64(A.counter.packets) ?? 0n, bytes: data?.be64(A.counter.bytes) ?? 0n };
    return { family, table, name, counter };
  });

/** The answer to getGeneration: a number that every change of any rule set raises. */
export type NftGeneration = { readonly id: number };
export const encodeNftGeneration = (g: NftGeneration): Uint8Array =>
  encodeWith((w) => w.zeros(NFGENMSG).attrBe32(A.generation.id, g.id));
export function decodeNftGeneration(b: Uint8Array): Result<NftGeneration, NetlinkError> {
  if (b.length < NFGENMSG) return err({ kind: 'length', have: b.length, need: NFGENMSG });
  const a = new Attributes(b.subarray(NFGENMSG));
  const id = a.be32(A.generation.id);
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  return id === undefined ? err({ kind: 'missing', type: A.generation.id }) : ok({ id });
}
