/**
 * What a volume keeps on its disk beside the data, written one thing after the other: bitmap pages, transactions of the
 * activity log, the superblock. Every write goes through to stable storage before the next begins.
 *
 * Before any bitmap page, and before any transaction that throws an extent out, the data device is flushed: a cleared
 * bit or a cold extent says that the data beneath is durable.
 */
import type { Bitmap, MetadataLayout, Superblock } from '../../metadata/index.ts';
import {
  type ActivityLog,
  alBlockSector,
  BLOCK_BYTES,
  bitmapPageSector,
  encodeSuperblock,
} from '../../metadata/index.ts';
import type { Context } from '../types.ts';

type Job = { readonly pages: boolean; readonly superblock: boolean; readonly then: () => void };
type Run = { readonly page: number; readonly pages: number };
type Page = { readonly page: number; readonly bytes: Uint8Array };
/** Pages of the bitmap that are read or written at once: 1 MiB. */
export const RUN_PAGES = 256;
/** What the store looks at when a write begins. */
export interface Stored {
  readonly number: number;
  readonly layout: MetadataLayout;
  readonly bitmap: Bitmap;
  readonly al: ActivityLog;
  /** As it is to be on disk now. */
  superblock(): Superblock;
  /** The metadata can no longer be written. */
  broken(): void;
  /** Extents are hot by a transaction that is durable. */
  committed(): void;
}

export class Store {
  readonly #c: Context;
  readonly #v: Stored;
  #jobs: Job[] = [];
  #alone: ((end: () => void) => void)[] = [];
  #busy = false;
  #dead = false;
  /** Data writes that were done since the last flush. */
  #dataDirty = false;
  alWrites = 0;
  bitmapWrites = 0;

  constructor(c: Context, v: Stored) {
    this.#c = c;
    this.#v = v;
  }
  /** A data write is done, and perhaps not durable. */
  wrote(): void {
    this.#dataDirty = true;
  }
  get idle(): boolean {
    return !this.#busy && this.#jobs.length === 0 && this.#alone.length === 0;
  }
  /** The superblock, and before it the bitmap where `pages`. `then` is called when all is durable. */
  save(pages: boolean, then: () => void = () => {}): void {
    this.#jobs.push({ pages, superblock: true, then });
    this.pump();
  }
  /** Data that were written before are durable when `then` is called. Never fails silently: then the disk is given up. */
  flush(then: () => void): void {
    this.#jobs.push({ pages: false, superblock: false, then });
    this.#dataDirty = true;
    this.pump();
  }
  /** `run` is called when no metadata is being written, and none is until it calls back. */
  exclusive(run: (end: () => void) => void): void {
    this.#alone.push(run);
    this.pump();
  }
  /** Nothing is written any more, and nobody is called. */
  stop(): void {
    this.#dead = true;
    this.#jobs = [];
  }

  pump(): void {
    if (this.#busy || this.#dead) return;
    const alone = this.#alone.shift();
    if (alone !== undefined) {
      this.#busy = true;
      alone(() => {
        this.#busy = false;
        this.pump();
      });
      return;
    }
    if (this.#v.al.wanting) {
      this.#busy = true;
      this.#transaction();
      return;
    }
    const jobs = this.#jobs;
    if (jobs.length === 0) return;
    this.#jobs = [];
    this.#busy = true;
    const pages = jobs.some((j) => j.pages) ? [...this.#v.bitmap.dirtyRuns(RUN_PAGES)] : [];
    const end = (): void => {
      this.#busy = false;
      for (const j of jobs) j.then();
      this.pump();
    };
    const superblock = (): void => {
      if (!jobs.some((j) => j.superblock)) {
        end();
        return;
      }
      this.#write(this.#v.layout.superblock * 512, encodeSuperblock(this.#v.superblock()), end);
    };
    const taken = this.#take(pages);
    const flushed = jobs.some((j) => !j.superblock) || pages.length > 0;
    if (flushed) this.#flush(() => this.#pages(taken, superblock));
    else superblock();
  }
  #transaction(): void {
    const t = this.#v.al.transaction();
    if (t === undefined) return;
    const write = (): void => {
      this.alWrites++;
      this.#write(alBlockSector(this.#v.layout, t.number) * 512, t.bytes, () => {
        this.#v.al.committed();
        this.#busy = false;
        this.#v.committed();
        this.pump();
      });
    };
    const dirty = t.bitmapPages.filter((p) => p < this.#v.bitmap.pages && this.#v.bitmap.isDirty(p));
    const pages = this.#take(dirty.map((page) => ({ page, pages: 1 })));
    if (t.bitmapPages.length > 0) this.#flush(() => this.#pages(pages, write));
    else write();
  }
  /** Copies, before the flush: a bit that is cleared while it runs stands for data that it does not cover. */
  #take(runs: readonly Run[]): readonly Page[] {
    return runs.map(({ page, pages }) => {
      this.#v.bitmap.markWritten(page, pages);
      return { page, bytes: this.#v.bitmap.page(page, pages).slice() };
    });
  }
  #pages(pages: readonly Page[], then: () => void): void {
    let left = pages.length;
    if (left === 0) {
      then();
      return;
    }
    for (const { page, bytes } of pages) {
      this.bitmapWrites += bytes.length / BLOCK_BYTES;
      this.#write(bitmapPageSector(this.#v.layout, page) * 512, bytes, () => {
        if (--left === 0) then();
      });
    }
  }
  #flush(then: () => void): void {
    if (!this.#dataDirty) {
      then();
      return;
    }
    this.#dataDirty = false;
    this.#c.disk(this.#v.number, 'data', { op: 'flush' }, this.#guard(then));
  }
  #write(offset: number, bytes: Uint8Array, then: () => void): void {
    if (bytes.length % BLOCK_BYTES !== 0) throw new Error('bug: metadata is written in blocks');
    this.#c.disk(this.#v.number, 'metadata', { op: 'write', offset, bytes, through: true }, this.#guard(then));
  }
  #guard(then: () => void): (result: number) => void {
    return (result) => {
      if (this.#dead) return;
      if (result === 0) return then();
      this.stop();
      this.#v.broken();
    };
  }
}
