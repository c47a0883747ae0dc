import { err, ok, type Result, type Text, text } from '../../../base/index.ts';
import type { BpfMap, BpfMapShape, BpfMapType, HostError } from '../../index.ts';
import { hostError } from '../addon.ts';
import type { BpfAddon, BpfHandle } from './addon.ts';

export const MAP_TYPE: Record<BpfMapType, number> = {
  hash: 1,
  array: 2,
  'percpu-array': 6,
  'lru-hash': 9,
  'lpm-trie': 11,
};
const typeOf = (n: number): BpfMapType | undefined =>
  (Object.keys(MAP_TYPE) as BpfMapType[]).find((t) => MAP_TYPE[t] === n);

const INFO = 80;
const ENOENT = -2;
/** Read and written in pieces of about this size. */
const PIECE = 1 << 20;

/** A map of this process or of an earlier one; its shape is asked of the kernel. */
export class LinuxMap implements BpfMap {
  readonly shape: BpfMapShape;
  readonly storedBytes: number;
  readonly handle: BpfHandle;
  readonly #addon: BpfAddon;
  readonly #name: string;
  readonly #room: Uint8Array;

  static of(addon: BpfAddon, handle: BpfHandle, name: string): Result<LinuxMap, HostError> {
    const info = new Uint8Array(INFO);
    const r = addon.info(handle, info);
    if (r < 0) return err(hostError(r, text(`look at the map ${name}`, `查看映射表 ${name}`)));
    const v = new DataView(info.buffer);
    const type = typeOf(v.getUint32(0, true));
    if (!type)
      return err({ code: 'EINVAL', doing: text(`use ${name}: another type of map`, `使用 ${name}：映射表类型不符`) });
    const [keyBytes, valueBytes, entries] = [8, 12, 16].map((at) => v.getUint32(at, true)) as [number, number, number];
    return ok(new LinuxMap(addon, handle, name, { type, keyBytes, valueBytes, entries }));
  }
  private constructor(addon: BpfAddon, handle: BpfHandle, name: string, shape: BpfMapShape) {
    this.#addon = addon;
    this.handle = handle;
    this.#name = name;
    this.shape = shape;
    const perCpu = shape.type === 'percpu-array';
    this.storedBytes = perCpu ? Math.ceil(shape.valueBytes / 8) * 8 * addon.possibleProcessors() : shape.valueBytes;
    this.#room = new Uint8Array(this.storedBytes);
  }
  #outcome(r: number, en: string, zh: string): Result<void, HostError> {
    return r < 0 ? err(hostError(r, this.#doing(en, zh))) : ok(undefined);
  }
  #doing(en: string, zh: string): Text {
    return text(`${en} the map ${this.#name}`, `${zh}映射表 ${this.#name}`);
  }
  get(key: Uint8Array): Uint8Array | undefined {
    return this.#addon.lookup(this.handle, key, this.#room) < 0 ? undefined : this.#room;
  }
  set(key: Uint8Array, value: Uint8Array): Result<void, HostError> {
    return this.#outcome(this.#addon.update(this.handle, key, value, 0), 'write to', '写入');
  }
  setMany(keys: Uint8Array, values: Uint8Array, n: number): Result<void, HostError> {
    const { keyBytes } = this.shape;
    const most = Math.max(1, Math.floor(PIECE / this.storedBytes));
    // A trie takes no batch on older kernels, and of one entry the simple call is the faster.
    if (n === 1 || this.shape.type === 'lpm-trie') {
      for (let i = 0; i < n; i++) {
        const value = values.subarray(i * this.storedBytes, (i + 1) * this.storedBytes);
        const done = this.set(keys.subarray(i * keyBytes, (i + 1) * keyBytes), value);
        if (!done.ok) return done;
      }
      return ok(undefined);
    }
    for (let i = 0; i < n; i += most) {
      const count = Math.min(most, n - i);
      const r = this.#addon.updateBatch(
        this.handle,
        keys.subarray(i * keyBytes, (i + count) * keyBytes),
        values.subarray(i * this.storedBytes, (i + count) * this.storedBytes),
        count,
      );
      if (r < 0) return this.#outcome(r, 'write to', '写入');
    }
    return ok(undefined);
  }
  remove(key: Uint8Array): Result<void, HostError> {
    const r = this.#addon.remove(this.handle, key);
    return r === ENOENT ? ok(undefined) : this.#outcome(r, 'remove from', '删除自');
  }
  each(take: (key: Uint8Array, value: Uint8Array) => void, limit = Number.POSITIVE_INFINITY): Result<void, HostError> {
    const { keyBytes, type } = this.shape;
    if (type === 'lpm-trie') return this.#eachByKey(take);
    let left = Math.min(limit, this.shape.entries);
    const most = Math.max(256, Math.min(this.shape.entries, Math.ceil(PIECE / this.storedBytes)));
    const [keys, values] = [new Uint8Array(keyBytes * most), new Uint8Array(this.storedBytes * most)];
    const cursor = new Uint8Array(keyBytes + 4);
    for (let first = 1; left > 0; first = 0) {
      const count = type === 'hash' || type === 'lru-hash' ? most : Math.min(most, left);
      const [k, v] = [keys.subarray(0, count * keyBytes), values.subarray(0, count * this.storedBytes)];
      const r = this.#addon.readBatch(this.handle, cursor, k, v, count, first);
      if (r < 0) return this.#outcome(r, 'read', '读取');
      const n = r >> 1;
      for (let i = 0; i < n; i++)
        take(
          k.subarray(i * keyBytes, (i + 1) * keyBytes),
          v.subarray(i * this.storedBytes, (i + 1) * this.storedBytes),
        );
      if (r & 1) break;
      if (type !== 'hash' && type !== 'lru-hash') left -= n;
    }
    return ok(undefined);
  }
  pieces(take: (key: Uint8Array, value: Uint8Array) => void): () => Result<boolean, HostError> {
    const { keyBytes } = this.shape;
    const most = Math.max(256, Math.min(this.shape.entries, Math.ceil(PIECE / this.storedBytes)));
    const [keys, values] = [new Uint8Array(keyBytes * most), new Uint8Array(this.storedBytes * most)];
    const cursor = new Uint8Array(keyBytes + 4);
    let first = 1;
    return () => {
      const r = this.#addon.readBatch(this.handle, cursor, keys, values, most, first);
      if (r < 0) return this.#outcome(r, 'read', '读取') as Result<never, HostError>;
      first = 0;
      for (let i = 0; i < r >> 1; i++)
        take(
          keys.subarray(i * keyBytes, (i + 1) * keyBytes),
          values.subarray(i * this.storedBytes, (i + 1) * this.storedBytes),
        );
      return ok((r & 1) === 1);
    };
  }
  #eachByKey(take: (key: Uint8Array, value: Uint8Array) => void): Result<void, HostError> {
    const key = new Uint8Array(this.shape.keyBytes);
    let r = this.#addon.nextKey(this.handle, undefined, key);
    for (; r >= 0; r = this.#addon.nextKey(this.handle, key, key)) {
      const value = this.get(key);
      if (value) take(key, value);
    }
    return r === ENOENT ? ok(undefined) : this.#outcome(r, 'read', '读取');
  }
  pin(path: string): Result<void, HostError> {
    return this.#outcome(this.#addon.pin(this.handle, path), `pin at ${path}`, `固定到 ${path}：`);
  }
  close(): void {
    this.#addon.close(this.handle);
  }
}
