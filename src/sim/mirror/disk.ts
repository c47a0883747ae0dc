/**
 * A disk with a volatile cache: writes are done when they are in the cache, and durable when flushed or written through.
 * A power cut loses, tears (by sectors) or keeps each write that was not durable. Sparse: an unwritten page reads as zeros.
 */
import type { DiskOperation } from '../../mirror/index.ts';
import type { World } from '../world.ts';

const PAGE = 4096;
const SECTOR = 512;
const EIO = -5;
type Held = { readonly offset: number; readonly bytes: Uint8Array };

const overlap = (a: Held, b: Held): boolean =>
  a.offset < b.offset + b.bytes.length && b.offset < a.offset + a.bytes.length;

const ZEROS = new Uint8Array(PAGE);
const isZero = (bytes: Uint8Array): boolean => Buffer.compare(bytes, ZEROS) === 0;

/** Pages never change: one that is written to gives way to another. So images share them, and a whole one is not copied. */
class Image {
  pages = new Map<number, Uint8Array>();
  /** `bytes` will not change. */
  write(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const page = Math.floor((offset + at) / PAGE);
      const within = (offset + at) % PAGE;
      const n = Math.min(PAGE - within, bytes.length - at);
      const part = bytes.subarray(at, at + n);
      at += n;
      const before = this.pages.get(page);
      if (n === PAGE) {
        if (before !== undefined || !isZero(part)) this.pages.set(page, part);
        continue;
      }
      const p = before?.slice() ?? new Uint8Array(PAGE);
      p.set(part, within);
      this.pages.set(page, p);
    }
  }
  read(offset: number, into: Uint8Array): void {
    for (let at = 0; at < into.length; ) {
      const page = Math.floor((offset + at) / PAGE);
      const within = (offset + at) % PAGE;
      const n = Math.min(PAGE - within, into.length - at);
      const p = this.pages.get(page);
      if (p === undefined) into.fill(0, at, at + n);
      else into.set(p.subarray(within, within + n), at);
      at += n;
    }
  }
}

export class SimDisk {
  readonly #world: World;
  readonly #durable = new Image();
  /** What a reader sees. */
  readonly #seen = new Image();
  #unflushed: Held[] = [];
  readonly #flying = new Set<Held>();
  /** Whose requests are answered: a new process does not hear those of the old one. */
  #life = 0;
  #stalledUntil = 0;
  bytes: number;
  /** Called before a write reaches the disk, with its number. */
  writes = 0;
  onWrite: () => void = () => {};
  /** Whether an operation ends with EIO, without any effect. */
  fails: (o: DiskOperation) => boolean = () => false;

  constructor(world: World, bytes: number) {
    this.#world = world;
    this.bytes = bytes;
  }
  /** It takes requests and ends none for so long. */
  stall(time: number): void {
    this.#stalledUntil = this.#world.now + time;
  }
  run(o: DiskOperation, done: (result: number) => void): void {
    const life = this.#life;
    const { random: r } = this.#world;
    // Mostly quick, sometimes slow, and so out of order.
    const usual = r.chance(0.05) ? r.between(2_000, 30_000) : r.between(20, 800);
    const delay = Math.max(0, this.#stalledUntil - this.#world.now) + usual;
    if (this.fails(o)) {
      this.#world.at(this.#world.now + delay, () => {
        if (life === this.#life) done(EIO);
      });
      return;
    }
    let held: Held | undefined;
    if (o.op === 'write') held = { offset: o.offset, bytes: o.bytes.slice() };
    if (o.op === 'zero') held = { offset: o.offset, bytes: new Uint8Array(o.length) };
    if (held !== undefined) {
      this.writes++;
      this.onWrite();
      if (life !== this.#life) return;
      this.#flying.add(held);
    }
    // A flush covers what was done when it was asked.
    const covered = o.op === 'flush' ? [...this.#unflushed] : [];
    this.#world.at(this.#world.now + delay, () => {
      if (life !== this.#life) return;
      if (held !== undefined) {
        this.#flying.delete(held);
        this.#seen.write(held.offset, held.bytes);
        if (o.op === 'write' && o.through) this.#settle(held);
        else this.#unflushed.push(held);
      } else if (o.op === 'read') this.#seen.read(o.offset, o.into);
      else if (o.op === 'flush') {
        const set = new Set(covered);
        // What was written through meanwhile has settled what was beneath it.
        for (const h of this.#unflushed) if (set.has(h)) this.#durable.write(h.offset, h.bytes);
        this.#unflushed = this.#unflushed.filter((h) => !set.has(h));
      }
      done(0);
    });
  }
  /** Durable; and with it, in their order, the earlier writes beneath it that were not, and those beneath them. */
  #settle(h: Held): void {
    const settled = new Set<Held>([h]);
    for (const u of [...this.#unflushed].reverse()) if ([...settled].some((s) => overlap(s, u))) settled.add(u);
    for (const u of this.#unflushed) if (settled.has(u)) this.#durable.write(u.offset, u.bytes);
    this.#unflushed = this.#unflushed.filter((u) => !settled.has(u));
    this.#durable.write(h.offset, h.bytes);
  }
  /** Writes that have not ended; with `durable`, or ended and not yet safe from a power cut. */
  pending(durable: boolean): number {
    return this.#flying.size + (durable ? this.#unflushed.length : 0);
  }
  /** The process dies, the machine lives: what was under way happens or not. */
  kill(): void {
    this.#life++;
    for (const h of this.#flying)
      if (this.#world.random.chance(0.5)) {
        this.#seen.write(h.offset, h.bytes);
        this.#unflushed.push(h);
      }
    this.#flying.clear();
  }
  /** The machine dies. */
  cut(): void {
    this.#life++;
    const { random: r } = this.#world;
    const keep = r.pick([0, 0.3, 0.7, 1] as const);
    for (const h of [...this.#unflushed, ...this.#flying]) {
      const whole = r.chance(0.8);
      for (let at = 0; at < h.bytes.length; at += SECTOR) {
        if (whole ? at === 0 && r.chance(keep) : r.chance(keep)) {
          this.#durable.write(h.offset + at, whole ? h.bytes : h.bytes.subarray(at, at + SECTOR));
        }
      }
    }
    this.#unflushed = [];
    this.#flying.clear();
    this.#seen.pages = new Map(this.#durable.pages);
  }
  /** At once: for making a disk, and for looking. */
  put(offset: number, bytes: Uint8Array): void {
    const kept = bytes.slice();
    this.#durable.write(offset, kept);
    this.#seen.write(offset, kept);
  }
  /** What a page holds; not to be changed. */
  page(n: number): Uint8Array {
    return this.#seen.pages.get(n) ?? ZEROS;
  }
  look(offset: number, length: number): Uint8Array {
    const into = new Uint8Array(length);
    this.#seen.read(offset, into);
    return into;
  }
  /** Pages that hold, or have held, something. */
  *pages(): Generator<number> {
    yield* this.#seen.pages.keys();
  }
}
