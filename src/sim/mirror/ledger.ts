/**
 * What may stand in each sector: the newest write that was acknowledged, or a later one whose fate is open. A power cut
 * of the primary takes back what was acknowledged and not yet covered by a flush, as it does with any disk.
 */
type Issued = {
  readonly stamp: number;
  acknowledged: boolean;
  durable: boolean;
  /** In the order of all that begins and ends. */
  readonly begun: number;
  ended: number;
  /** Two primaries: what might have stood there when it began, and whose program wrote. */
  readonly over: readonly number[];
  readonly by: string;
};
const FIRST: Issued = { stamp: 0, acknowledged: true, durable: true, begun: 0, ended: 0, over: [], by: '' };
const SECTOR = 512;
/** A read that is not answered: what it may find in each sector. */
export type Reading = { readonly at: number; readonly sectors: readonly Set<number>[] };

export class Ledger {
  readonly #protocol: 'A' | 'B' | 'C';
  /** Two primaries write: only what ended before another began is older. */
  readonly #two: boolean;
  #time = 0;
  /** By byte offset: writes that may be what the sector holds, oldest first. No entry: zeros. */
  readonly #sectors = new Map<number, Issued[]>();
  /** Acknowledged, and not covered by a flush. */
  readonly #open = new Map<Issued, number>();
  /** Reads under way: what they may find grows with every write that begins. */
  readonly #reads = new Set<Reading>();

  constructor(protocol: 'A' | 'B' | 'C', two = false) {
    this.#protocol = protocol;
    this.#two = two;
  }
  writing(at: number, length: number, stamp: number, through: boolean, by: string): () => void {
    const mine: [number, Issued][] = [];
    const begun = ++this.#time;
    for (let s = at; s < at + length; s += SECTOR) {
      const over = this.#two ? this.#possible(s) : [];
      const ended = Number.POSITIVE_INFINITY;
      const w: Issued = { stamp, acknowledged: false, durable: false, begun, ended, over, by };
      const list = this.#sectors.get(s) ?? [{ ...FIRST }];
      this.#sectors.set(s, list);
      list.push(w);
      mine.push([s, w]);
    }
    for (const r of this.#reads)
      for (let s = Math.max(at, r.at); s < Math.min(at + length, r.at + r.sectors.length * SECTOR); s += SECTOR)
        r.sectors[(s - r.at) / SECTOR]?.add(stamp);
    return () => {
      const ended = ++this.#time;
      for (const [s, w] of mine) {
        w.acknowledged = true;
        w.ended = ended;
        if (through) this.#settled(s, w);
        else this.#open.set(w, s);
      }
    };
  }
  /**
   * All that is acknowledged when it is asked is durable when the returned function is called. Of two primaries each flushes
   * what its own programs wrote: the other's cache is not asked for what is no write of ours (DRBD sends it no barrier).
   */
  flushing(by: string): () => void {
    const covered = [...this.#open].filter(([w]) => !this.#two || w.by === by);
    return () => {
      for (const [w, s] of covered) this.#settled(s, w);
    };
  }
  #settled(s: number, w: Issued): void {
    w.durable = true;
    this.#open.delete(w);
    const list = this.#sectors.get(s) ?? [];
    const at = list.indexOf(w);
    if (this.#two)
      this.#sectors.set(
        s,
        list.filter((o) => o.ended >= w.begun),
      );
    else if (at > 0) this.#sectors.set(s, list.slice(at));
  }
  /** Nobody writes, all is flushed, and this is what the disks hold: whatever else might have been there is not. */
  settled(at: number, bytes: Uint8Array): void {
    const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const time = ++this.#time;
    for (let i = 0; i < bytes.length; i += SECTOR) {
      const list = this.#sectors.get(at + i);
      const is = list?.find((w) => w.stamp === v.getUint32(i));
      if (list === undefined || is === undefined) continue;
      for (const w of list) this.#open.delete(w);
      this.#sectors.set(at + i, [{ ...is, acknowledged: true, durable: true, begun: time, ended: time }]);
    }
  }
  powerCut(): void {
    for (const list of this.#sectors.values())
      for (const w of list) if (w.acknowledged && !w.durable) w.acknowledged = false;
    this.#open.clear();
    // The oldest one always counts as a possibility.
    for (const list of this.#sectors.values()) {
      const first = list[0];
      if (first !== undefined) first.acknowledged = true;
    }
  }
  /** A read begins: it may find what may stand there now, and whatever is written before it is answered. */
  reading(at: number, length: number): Reading {
    const sectors: Set<number>[] = [];
    for (let s = at; s < at + length; s += SECTOR) sectors.push(new Set([...this.#possible(s), ...this.#beneath(s)]));
    const r = { at, sectors };
    this.#reads.add(r);
    return r;
  }
  /**
   * Two primaries: while a write is under way that decides over one of the other side, which is answered, its own disk still
   * shows what was there before both. Whoever takes turns never sees that.
   */
  #beneath(s: number): readonly number[] {
    if (!this.#two) return [];
    return (this.#sectors.get(s) ?? []).flatMap((w) =>
      w.acknowledged || w.ended < Number.POSITIVE_INFINITY ? [] : w.over,
    );
  }
  #possible(s: number): number[] {
    const list = this.#sectors.get(s);
    if (list === undefined) return [0];
    if (this.#two) {
      const newest = Math.max(...list.map((w) => (w.acknowledged ? w.begun : 0)));
      return list.filter((w) => w.ended >= newest).map((w) => w.stamp);
    }
    // One place is written in the order of asking: what came before the newest acknowledged one is overwritten.
    return list.slice(list.findLastIndex((w) => w.acknowledged)).map((w) => w.stamp);
  }
  /** It was answered: what is written from here on it has not found. */
  answered(r: Reading): void {
    this.#reads.delete(r);
  }
  /** `during`: the read that found it; else it is what a disk holds now. Undefined: all is well. */
  read(at: number, bytes: Uint8Array, during?: Reading): string | undefined {
    const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0; i * SECTOR < bytes.length; i++) {
      const s = at + i * SECTOR;
      const have = v.getUint32(i * SECTOR);
      if (have === 0 && !this.#sectors.has(s)) continue;
      const may = new Set([...(during?.sectors[i] ?? []), ...this.#possible(s)]);
      if (may.has(have)) continue;
      return `sector at ${s} holds ${have}, may hold ${[...may].join(' or ')} (protocol ${this.#protocol})`;
    }
    return undefined;
  }
  describe(at: number): string {
    return Array.from({ length: 8 }, (_, i) => this.#possible(at + i * SECTOR).join('|')).join(',');
  }
  /** Sectors that hold something that was acknowledged. */
  *written(): Generator<number> {
    for (const [s, list] of this.#sectors)
      if (list.some((w) => w.acknowledged && w.stamp > 0) && !this.#possible(s).includes(0)) yield s;
  }
}
