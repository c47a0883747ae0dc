/** What stands inside options and their replies. proto.md, "Option types" and "Option reply types". */
import { ByteReader, ByteWriter, err, ok, type Result } from '../../base/index.ts';
import { NBD_INFO } from './constants.ts';
import { nbdBytes, nbdString } from './strings.ts';

/** `data`: lengths inside contradict the whole. `text`: no UTF-8, a NUL, or longer than 4096 bytes. */
export type NbdDataError = { readonly kind: 'data' } | { readonly kind: 'text' };

/** NBD_OPT_INFO and NBD_OPT_GO. */
export type NbdInfoRequest = { readonly name: string; readonly wanted: readonly number[] };
export function decodeInfoRequest(b: Uint8Array): Result<NbdInfoRequest, NbdDataError> {
  const r = new ByteReader(b);
  const raw = r.bytes(r.u32());
  const count = r.u16();
  if (r.short || r.left !== count * 2) return err({ kind: 'data' });
  const name = nbdString(raw);
  if (name === undefined) return err({ kind: 'text' });
  const wanted: number[] = [];
  for (let i = 0; i < count; i++) wanted.push(r.u16());
  return ok({ name, wanted });
}
export function encodeInfoRequest(q: NbdInfoRequest): Uint8Array {
  const name = nbdBytes(q.name);
  const w = new ByteWriter().u32(name.length).put(name).u16(q.wanted.length);
  for (const i of q.wanted) w.u16(i);
  return w.done();
}

/** NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
export type NbdContextRequest = { readonly name: string; readonly queries: readonly string[] };
export function decodeContextRequest(b: Uint8Array): Result<NbdContextRequest, NbdDataError> {
  const r = new ByteReader(b);
  const raw = [r.bytes(r.u32())];
  const count = r.u32();
  // Each query takes four bytes at least, so a mad count ends here.
  if (r.short || count * 4 > r.left) return err({ kind: 'data' });
  for (let i = 0; i < count; i++) raw.push(r.bytes(r.u32()));
  if (r.short || r.left !== 0) return err({ kind: 'data' });
  const [name, ...queries] = raw.map(nbdString);
  if (name === undefined || queries.includes(undefined)) return err({ kind: 'text' });
  return ok({ name, queries: queries as string[] });
}
export function encodeContextRequest(q: NbdContextRequest): Uint8Array {
  const name = nbdBytes(q.name);
  const w = new ByteWriter().u32(name.length).put(name).u32(q.queries.length);
  for (const s of q.queries) {
    const bytes = nbdBytes(s);
    w.u32(bytes.length).put(bytes);
  }
  return w.done();
}

/** NBD_REP_INFO. */
export type NbdInfo =
  | { readonly kind: 'export'; readonly size: bigint; readonly flags: number }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'description'; readonly description: string }
  | { readonly kind: 'block-size'; readonly minimum: number; readonly preferred: number; readonly maximum: number }
  | { readonly kind: 'other'; readonly type: number; readonly data: Uint8Array };
export function decodeInfo(b: Uint8Array): Result<NbdInfo, NbdDataError> {
  const r = new ByteReader(b);
  const type = r.u16();
  if (r.short) return err({ kind: 'data' });
  switch (type) {
    case NBD_INFO.export: {
      const info = { kind: 'export', size: r.u64(), flags: r.u16() } as const;
      return r.short || r.left > 0 ? err({ kind: 'data' }) : ok(info);
    }
    case NBD_INFO.name:
    case NBD_INFO.description: {
      const s = nbdString(r.rest());
      if (s === undefined) return err({ kind: 'text' });
      return ok(type === NBD_INFO.name ? { kind: 'name', name: s } : { kind: 'description', description: s });
    }
    case NBD_INFO.blockSize: {
      const info = { kind: 'block-size', minimum: r.u32(), preferred: r.u32(), maximum: r.u32() } as const;
      return r.short || r.left > 0 ? err({ kind: 'data' }) : ok(info);
    }
    default:
      return ok({ kind: 'other', type, data: r.rest() });
  }
}
export function encodeInfo(i: NbdInfo): Uint8Array {
  const w = new ByteWriter();
  switch (i.kind) {
    case 'export':
      return w.u16(NBD_INFO.export).u64(i.size).u16(i.flags).done();
    case 'name':
      return w.u16(NBD_INFO.name).put(nbdBytes(i.name)).done();
    case 'description':
      return w.u16(NBD_INFO.description).put(nbdBytes(i.description)).done();
    case 'block-size':
      return w.u16(NBD_INFO.blockSize).u32(i.minimum).u32(i.preferred).u32(i.maximum).done();
    case 'other':
      return w.u16(i.type).put(i.data).done();
  }
}

/** NBD_REP_SERVER: one export of a list. */
export type NbdListed = { readonly name: string; readonly description: string };
export function decodeListed(b: Uint8Array): Result<NbdListed, NbdDataError> {
  const r = new ByteReader(b);
  const raw = r.bytes(r.u32());
  if (r.short) return err({ kind: 'data' });
  const name = nbdString(raw);
  const description = nbdString(r.rest());
  return name === undefined || description === undefined ? err({ kind: 'text' }) : ok({ name, description });
}
export function encodeListed(l: NbdListed): Uint8Array {
  const name = nbdBytes(l.name);
  return new ByteWriter().u32(name.length).put(name).put(nbdBytes(l.description)).done();
}

/** NBD_REP_META_CONTEXT. */
export type NbdContext = { readonly id: number; readonly name: string };
export function decodeContext(b: Uint8Array): Result<NbdContext, NbdDataError> {
  const r = new ByteReader(b);
  const id = r.u32();
  if (r.short) return err({ kind: 'data' });
  const name = nbdString(r.rest());
  return name === undefined ? err({ kind: 'text' }) : ok({ id, name });
}
export function encodeContext(c: NbdContext): Uint8Array {
  return new ByteWriter().u32(c.id).put(nbdBytes(c.name)).done();
}
