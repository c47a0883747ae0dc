/** Sets and maps, and their elements. */
import type { Result } from '../../base/index.ts';
import type { Attributes } from '../netlink/attributes.ts';
import type { NetlinkError } from '../netlink/message.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import { readValue, readVerdict, writeValue, writeVerdict } from './data.ts';
import { readExpression, writeExpression } from './expressions.ts';
import { decodeWith, encodeWith, writeHead } from './messages.ts';
import { A, NFT_DATA_VERDICT } from './numbers.ts';
import type { NftCounter, NftElement, NftElements, NftSet } from './types.ts';

const ZERO: NftCounter = { packets: 0n, bytes: 0n };

/** `id` tells sets of one transaction apart. */
export function writeNftSet(w: NetlinkWriter, s: NftSet, id: number): void {
  writeHead(w, s.family)
    .attrText(A.set.table, s.table)
    .attrText(A.set.name, s.name)
    .attrBe32(A.set.flags, s.flags)
    .attrBe32(A.set.keyType, s.keyType)
    .attrBe32(A.set.keyLength, s.keyLength)
    .attrBe32(A.set.id, id);
  if (s.dataType !== undefined) w.attrBe32(A.set.dataType, s.dataType);
  // The kernel knows how long a verdict is, and refuses to be told.
  if (s.dataLength !== undefined && s.dataType !== NFT_DATA_VERDICT) w.attrBe32(A.set.dataLength, s.dataLength);
  if (s.objectType !== undefined) w.attrBe32(A.set.objectType, s.objectType);
  if (s.timeoutMs !== undefined) w.attrBe64(A.set.timeout, BigInt(s.timeoutMs));
  const { size, fields } = s;
  if (size !== undefined || fields !== undefined)
    w.nest(A.set.desc, () => {
      if (size !== undefined) w.attrBe32(A.desc.size, size);
      if (fields !== undefined)
        w.nest(A.desc.concatenation, () => {
          for (const f of fields) w.nest(A.list.element, () => w.attrBe32(A.field.length, f));
        });
    });
  if (s.counter) w.nest(A.set.expression, () => writeExpression(w, { is: 'counter', ...ZERO }));
}
export const encodeNftSet = (s: NftSet): Uint8Array => encodeWith((w) => writeNftSet(w, s, 1));

const milliseconds = (a: Attributes, type: number): number | undefined => {
  const n = a.be64(type);
  if (n === undefined) return undefined;
  return n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : a.reject(type);
};
export const decodeNftSet = (b: Uint8Array): Result<NftSet, NetlinkError> =>
  decodeWith(b, (a, family) => {
    const [table, name, flags] = [a.text(A.set.table), a.text(A.set.name), a.be32(A.set.flags) ?? 0];
    const [keyType, keyLength] = [a.be32(A.set.keyType) ?? 0, a.be32(A.set.keyLength)];
    if (table === undefined || name === undefined || keyLength === undefined) return undefined;
    const dataType = a.be32(A.set.dataType);
    const dataLength = dataType === NFT_DATA_VERDICT ? undefined : a.be32(A.set.dataLength);
    const objectType = a.be32(A.set.objectType);
    const timeoutMs = milliseconds(a, A.set.timeout);
    const desc = a.nested(A.set.desc);
    const size = desc?.be32(A.desc.size);
    const parts = desc?.nested(A.desc.concatenation)?.list(A.list.element);
    const fields = parts?.map((p) => a.within(p).be32(A.field.length) ?? a.reject(A.set.desc) ?? 0);
    const inside = a.nested(A.set.expression);
    const counter = inside !== undefined && readExpression(inside)?.is === 'counter';
    return {
      family,
      table,
      name,
      flags,
      keyType,
      keyLength,
      ...(dataType !== undefined && { dataType }),
      ...(dataLength !== undefined && { dataLength }),
      ...(objectType !== undefined && { objectType }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(size !== undefined && { size }),
      ...(fields !== undefined && { fields }),
      ...(counter && { counter }),
    };
  });
/** Names a set: to remove it, or to read its elements. */
export function writeNftSetKey(w: NetlinkWriter, s: Pick<NftSet, 'family' | 'table' | 'name'>): void {
  writeHead(w, s.family).attrText(A.set.table, s.table).attrText(A.set.name, s.name);
}

// ---------------------------------------------------------------------------------------------- elements

function writeElement(w: NetlinkWriter, e: NftElement): void {
  w.nest(A.list.element, () => {
    writeValue(w, A.element.key, e.key);
    if (e.data !== undefined) writeValue(w, A.element.data, e.data);
    else if (e.verdict !== undefined) writeVerdict(w, A.element.data, e.verdict);
    if (e.object !== undefined) w.attrText(A.element.object, e.object);
    if (e.flags !== undefined) w.attrBe32(A.element.flags, e.flags);
    if (e.timeoutMs !== undefined) w.attrBe64(A.element.timeout, BigInt(e.timeoutMs));
    if (e.expiresMs !== undefined) w.attrBe64(A.element.expiration, BigInt(e.expiresMs));
    const counter = e.counter;
    if (counter !== undefined) w.nest(A.element.expression, () => writeExpression(w, { is: 'counter', ...counter }));
  });
}
function readElement(a: Attributes): NftElement | undefined {
  const key = readValue(a, A.element.key);
  if (key === undefined) return a.reject(A.element.key); // also the catch-all element, which nothing here makes
  const data = readValue(a, A.element.data);
  const verdict = data === undefined ? readVerdict(a, A.element.data) : undefined;
  const [object, flags] = [a.text(A.element.object), a.be32(A.element.flags)];
  const [timeoutMs, expiresMs] = [milliseconds(a, A.element.timeout), milliseconds(a, A.element.expiration)];
  // One expression stands alone, several in a list.
  const [listed] = a.nested(A.element.expressions)?.list(A.list.element) ?? [];
  const expression = a.nested(A.element.expression) ?? (listed && a.within(listed));
  const counted = expression && readExpression(expression);
  return {
    key,
    ...(data !== undefined && { data }),
    ...(verdict !== undefined && { verdict }),
    ...(object !== undefined && { object }),
    ...(flags !== undefined && { flags }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(expiresMs !== undefined && { expiresMs }),
    ...(counted?.is === 'counter' && { counter: { packets: counted.packets, bytes: counted.bytes } }),
  };
}

/** At most what a nest of 64 KiB holds: the caller sends several messages. Without elements, a removal empties the set. */
function writeNftElements(w: NetlinkWriter, e: NftElements): void {
  writeHead(w, e.family).attrText(A.elements.table, e.table).attrText(A.elements.set, e.set);
  if (e.elements.length === 0) return;
  w.nest(A.elements.elements, () => {
    for (const x of e.elements) writeElement(w, x);
  });
}
/** How a caller's own elements are written: in place, since of many each byte counts. */
export type ElementForm<T> = {
  readonly key: (w: NetlinkWriter, x: T) => void;
  readonly data?: (w: NetlinkWriter, x: T) => void;
  /** The chain to go on in. */
  readonly goto?: (x: T) => string;
};
/** As `writeNftElements`, of elements that have a key, and a value or a chain to go on in. */
export function writeNftElementsOf<T>(
  w: NetlinkWriter,
  e: Omit<NftElements, 'elements'>,
  elements: readonly T[],
  form: ElementForm<T>,
): void {
  writeHead(w, e.family).attrText(A.elements.table, e.table).attrText(A.elements.set, e.set);
  const list = w.begin(A.elements.elements);
  for (const x of elements) {
    const element = w.begin(A.list.element);
    const key = w.begin(A.element.key);
    const value = w.begin(A.data.value);
    form.key(w, x);
    w.end(value).end(key);
    if (form.data !== undefined) {
      const data = w.begin(A.element.data);
      const bytes = w.begin(A.data.value);
      form.data(w, x);
      w.end(bytes).end(data);
    } else if (form.goto !== undefined) writeVerdict(w, A.element.data, { code: 'goto', chain: form.goto(x) });
    w.end(element);
  }
  w.end(list);
}
export const encodeNftElements = (e: NftElements): Uint8Array => encodeWith((w) => writeNftElements(w, e));
export const decodeNftElements = (b: Uint8Array): Result<NftElements, NetlinkError> =>
  decodeWith(b, (a, family) => {
    const [table, set] = [a.text(A.elements.table), a.text(A.elements.set)];
    if (table === undefined || set === undefined) return undefined;
    const elements: NftElement[] = [];
    for (const bytes of a.nested(A.elements.elements)?.list(A.list.element) ?? []) {
      const e = readElement(a.within(bytes));
      if (e !== undefined) elements.push(e);
    }
    return { family, table, set, elements };
  });
