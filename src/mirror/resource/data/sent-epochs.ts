/**
 * The epochs that the own writes are sent in. What is sent behind the end of one (P_BARRIER) may depend on what is in it; the
 * peer tells when all of it is durable (P_BARRIER_ACK). One that has to end, and behind which nothing is sent, ends by itself.
 */
import { err, type Microseconds, ok, type Result, type Text, text, us } from '../../../base/index.ts';
import { type BarrierId, type BlockId, DRBD_WRITE_FLAG, sector } from '../../../wire/index.ts';
import type { Context } from '../types.ts';
import type { Volume } from '../volume.ts';
import { countOf, type Epoch, type Write } from './writes.ts';

/** An epoch that has to end, and behind which nothing is sent, gets its barrier within so many microseconds. */
const CLOSE_WITHIN = 5_000;
/** An epoch with a collision whose acknowledgement has not come so many microseconds later is flushed by an epoch behind it. */
const FLUSH_AFTER = 500_000;

export class SentEpochs {
  readonly #c: Context;
  readonly #nextId: () => BlockId;
  /** Oldest first: those that the peer has not acknowledged. */
  #open: Epoch[] = [];
  #current: Epoch | undefined;
  #nextBarrier = 0;
  #due: Microseconds | undefined;
  #flushAt: Microseconds | undefined;
  /** Bytes that were sent and whose epoch is not acknowledged. */
  readonly #flying = new Map<Volume, number>();

  /** `nextId`: of a packet that is to be acknowledged. */
  constructor(c: Context, nextId: () => BlockId) {
    this.#c = c;
    this.#nextId = nextId;
  }
  get all(): readonly Epoch[] {
    return this.#open;
  }
  /** Whether what is sent now would go into one that something is in already. */
  get begun(): boolean {
    return this.#current !== undefined;
  }
  flying(v: Volume): number {
    return this.#flying.get(v) ?? 0;
  }
  /** Since when the peer owes an acknowledgement: of the oldest write, or of the oldest epoch that was closed. */
  waitingSince(): number | undefined {
    const [epoch] = this.#open;
    let since = epoch?.closed;
    for (const e of this.#open) {
      const w = e.writes.find((one) => one.peer === 'sent');
      if (w !== undefined && (since === undefined || w.sentAt < since)) since = w.sentAt;
    }
    return since;
  }

  /** A write that is about to be sent. */
  take(w: Write): void {
    if (this.#current?.ends) this.close();
    const epoch = this.#current ?? this.#begin([]);
    epoch.writes.push(w);
    w.epoch = epoch;
    w.sentAt = this.#c.now;
    this.#flying.set(w.volume, this.flying(w.volume) + w.length);
  }
  #begin(carried: readonly Write[]): Epoch {
    const barrier = this.#nextBarrier as BarrierId;
    const { now } = this.#c;
    const epoch: Epoch = { barrier, writes: [], carried, begun: now, ends: false, closed: undefined, judged: 0 };
    this.#nextBarrier = (this.#nextBarrier + 1) >>> 0;
    this.#open.push(epoch);
    this.#current = epoch;
    return epoch;
  }
  /** Ends it at so many writes. */
  closeAt(most: number): void {
    if ((this.#current?.writes.length ?? 0) >= most) this.close();
  }
  /** A write is answered, and later ones may depend on it. */
  answered(w: Write): void {
    const current = this.#current;
    if (current === undefined || w.epoch !== current || current.ends) return;
    current.ends = true;
    this.#due = us(this.#c.now + CLOSE_WITHIN);
  }
  /** Ends the epoch: what is sent from now on may depend on what is in it. */
  close(): void {
    const epoch = this.#current;
    if (epoch === undefined) return;
    this.#current = undefined;
    this.#due = undefined;
    epoch.closed = this.#c.now;
    this.#c.send('data', { kind: 'P_BARRIER', volume: 0, barrier: epoch.barrier, pad: 0 });
  }
  /** Somebody waits until what was sent is durable at the peer: it is told to make it so now. */
  push(): void {
    this.close();
    if (this.#open.length > 0) this.#c.send('data', { kind: 'P_UNPLUG_REMOTE', volume: 0 });
  }
  get deadline(): Microseconds | undefined {
    if (this.#due === undefined || this.#flushAt === undefined) return this.#due ?? this.#flushAt;
    return us(Math.min(this.#due, this.#flushAt));
  }
  tick(): void {
    if (this.#due !== undefined && this.#c.now >= this.#due) this.close();
    if (this.#flushAt !== undefined && this.#c.now >= this.#flushAt) this.#flushJudged();
  }
  /** The oldest, and with it those that the peer passes over. A Text says what does not fit. */
  acknowledged(barrier: BarrierId, count: number): Result<readonly Epoch[], Text> {
    const over = this.#passedOver(barrier);
    const epoch = this.#open[over.length];
    if (epoch === undefined || epoch.closed === undefined || epoch.barrier !== barrier)
      return err(text('the peer acknowledged an epoch that is not the oldest', '对端确认的并非最早的写入批次'));
    if (countOf(epoch) !== count)
      return err(
        text(
          `the peer counted ${count} writes in an epoch of ${countOf(epoch)}`,
          `对端在含 ${countOf(epoch)} 次写入的批次中计得 ${count} 次`,
        ),
      );
    const durable = this.#open.splice(0, over.length + 1);
    for (const e of durable) for (const w of e.writes) this.#flying.set(w.volume, this.flying(w.volume) - w.length);
    return ok(durable);
  }
  /** The peer is gone. */
  lost(): void {
    this.#open = [];
    this.#current = undefined;
    this.#due = undefined;
    this.#flushAt = undefined;
    this.#nextBarrier = 0;
    this.#flying.clear();
  }

  // ------------------------------------------------------------------------------------------ collisions

  /** The peer has judged a write that collides with one of its own. */
  judged(w: Write): void {
    if (w.epoch === undefined) return;
    w.epoch.judged++;
    this.#flushAt = us(this.#c.now + FLUSH_AFTER);
  }
  /**
   * DRBD 8.4 as the peer that decides does not count a write that it has superseded as done: the epoch stays open there, those
   * behind it are acknowledged without it. It waits for the writes of an epoch and flushes before it takes the next one.
   */
  #passedOver(barrier: BarrierId): Epoch[] {
    const at = this.#open.findIndex((e) => e.barrier === barrier);
    const before = this.#open.slice(0, Math.max(0, at));
    const over = before.every(
      (e) => e.judged > 0 && e.closed !== undefined && e.writes.every((w) => w.peer !== 'sent'),
    );
    return over ? before : [];
  }
  /** Where nothing else is sent whose acknowledgement would count for it too. */
  #flushJudged(): void {
    const [oldest] = this.#open;
    const last = this.#open.at(-1);
    this.#flushAt = undefined;
    if (oldest === undefined || oldest.judged === 0 || last === undefined) return;
    this.close();
    if (last.judged > 0) this.sendFlush(oldest.writes);
    else this.#flushAt = us(this.#c.now + FLUSH_AFTER);
  }
  /** An epoch of its own that says of those writes too that they are durable. */
  sendFlush(carried: readonly Write[]): void {
    const [first] = carried;
    if (first === undefined) return;
    const { volume: v } = first;
    this.close();
    this.#begin(carried);
    const flush = { sector: sector(0), id: this.#nextId(), seq: v.nextSeq(), flags: DRBD_WRITE_FLAG.flush };
    this.#c.send('data', { kind: 'P_DATA', volume: v.number, ...flush, digest: NOTHING, data: NOTHING });
    this.close();
  }
}
const NOTHING = new Uint8Array(0);
