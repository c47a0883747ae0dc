/** What has been received and not yet understood. */
const IN_BYTES = 256 * 1024;
/** Below this the rest is moved to the front before more is received. */
const LOW_WATER = 64 * 1024;

export class Incoming {
  readonly bytes = new Uint8Array(IN_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  from = 0;
  to = 0;

  get length(): number {
    return this.to - this.from;
  }
  get isEmpty(): boolean {
    return this.from === this.to;
  }
  /** How much may be received at `to`; 0 only when all of it is waiting. */
  makeRoom(): number {
    if (this.from === this.to) {
      this.from = 0;
      this.to = 0;
    } else if (IN_BYTES - this.to < LOW_WATER) {
      this.bytes.copyWithin(0, this.from, this.to);
      this.to -= this.from;
      this.from = 0;
    }
    return IN_BYTES - this.to;
  }
  copy(n: number, to: Uint8Array, at: number): void {
    to.set(this.bytes.subarray(this.from, this.from + n), at);
    this.from += n;
  }
  clear(): void {
    this.from = 0;
    this.to = 0;
  }
}
