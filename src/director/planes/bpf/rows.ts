import { ok, type Result } from '../../../base/index.ts';
import type { BpfMap, HostError } from '../../../host/index.ts';

/** Bytes that go to the kernel in one call: the same memory is used again for the next. */
const PIECE = 1 << 18;

/** Entries on their way into a map, end to end in two buffers, of which nothing is made before the first. */
export class Rows {
  readonly #map: BpfMap;
  /** Entries in one piece. */
  readonly #most: number;
  #keys: Uint8Array | undefined;
  #values = new Uint8Array(0);
  #view = new DataView(this.#values.buffer);
  #n = 0;
  #failed: Result<void, HostError> = ok(undefined);

  /** `n`: how many come at most. */
  constructor(map: BpfMap, n: number) {
    this.#map = map;
    this.#most = Math.max(1, Math.min(n, Math.floor(PIECE / map.storedBytes)));
  }
  /** Room for one more, zero, from `at` of what is returned on; `key` is that of an array. */
  value(key: number): Uint8Array {
    const [keys, at] = this.#next();
    new DataView(keys.buffer).setUint32(at, key, true);
    return this.#values;
  }
  /** Where the last entry's value begins. */
  get at(): number {
    return (this.#n - 1) * this.#map.storedBytes;
  }
  get view(): DataView {
    return this.#view;
  }
  add(key: Uint8Array, value: Uint8Array): void {
    const [keys, at] = this.#next();
    keys.set(key, at);
    this.#values.set(value, this.at);
  }
  #next(): readonly [keys: Uint8Array, at: number] {
    const { keyBytes } = this.#map.shape;
    if (this.#n === this.#most) this.#flush();
    if (!this.#keys) {
      this.#keys = new Uint8Array(keyBytes * this.#most);
      this.#values = new Uint8Array(this.#map.storedBytes * this.#most);
      this.#view = new DataView(this.#values.buffer);
    }
    this.#n++;
    return [this.#keys, (this.#n - 1) * keyBytes];
  }
  #flush(): void {
    const { keyBytes } = this.#map.shape;
    const bytes = this.#n * this.#map.storedBytes;
    if (this.#keys && this.#failed.ok)
      this.#failed = this.#map.setMany(
        this.#keys.subarray(0, this.#n * keyBytes),
        this.#values.subarray(0, bytes),
        this.#n,
      );
    this.#values.fill(0, 0, bytes);
    this.#n = 0;
  }
  /** The rest goes, and what came of all: at the first failure no more was written. */
  end(): Result<void, HostError> {
    if (this.#n > 0) this.#flush();
    return this.#failed;
  }
}
