/**
 * The application's writes: range lock, activity log, own disk and peer. A write
 * stays in the log of this file until the peer has told that it is durable there (P_BARRIER_ACK), or until the peer is
 * lost and its blocks are marked out of sync; only then may its extents cool.
 */
import type { Microseconds, Text } from '../../../base/index.ts';
import { type BarrierId, type BlockAckPacket, type BlockId, DRBD_WRITE_FLAG, sector } from '../../../wire/index.ts';
import { bitsCovered, bitsTouched, EXTENT_BYTES } from '../bits.ts';
import type { FailedIo } from '../disks/disks.ts';
import { type AppRequest, type Context, EIO } from '../types.ts';
import type { Backing, Volume } from '../volume.ts';
import { NumberTable } from './number-table.ts';
import { SentEpochs } from './sent-epochs.ts';
import { type AppWrite, type Flush, isOf, type Write, writePacket } from './writes.ts';

export interface SenderOptions {
  /** 1 A, 2 B, 3 C. */
  readonly protocol: number;
  readonly maxEpochSize: number;
  /** DRBD_FEATURE bits that the peer has too. */
  readonly features: () => number;
}

export class Sender {
  readonly #c: Context;
  #o: SenderOptions;
  readonly #log = new NumberTable<Write>((w) => Number(w.id));
  readonly #epochs: SentEpochs;
  #nextId = 1n;
  #flushes: Flush[] = [];
  /** Writes that wait for a slot of the activity log or for a hold to end, in order. */
  readonly #waiting = new Map<Volume, Write[]>();
  readonly #later = new Map<Volume, AppRequest[]>();
  /** Whose own disk is gone, and the peer may not know yet: it would still take our data for as good as its own. */
  readonly #untold = new Set<Volume>();
  onIdle: () => void = () => {};
  readonly #failed: (v: Volume, on: Backing, io: FailedIo) => void;
  /** A write is about to be sent: whether it is may change yet. An epoch was acknowledged. */
  beforeSend: (v: Volume) => void = () => {};
  onEpoch: () => void = () => {};

  constructor(c: Context, o: SenderOptions, failed: (v: Volume, on: Backing, io: FailedIo) => void) {
    this.#c = c;
    this.#o = o;
    this.#failed = failed;
    this.#epochs = new SentEpochs(c, () => this.#nextId++ as BlockId);
  }
  configure(o: SenderOptions): void {
    this.#o = o;
  }
  /** Requests of applications that are not answered, and writes whose fate at the peer is open. */
  get inFlight(): number {
    let later = 0;
    for (const l of this.#later.values()) later += l.length;
    return this.#log.size + this.#flushes.length + later;
  }
  unanswered(v: Volume): number {
    let n = (this.#later.get(v) ?? []).length;
    for (const w of this.#log.values()) if (w.volume === v && !w.completed) n++;
    for (const f of this.#flushes) if (f.volume === v) n++;
    return n;
  }
  pending(v: Volume): number {
    let n = 0;
    for (const w of this.#log.values()) if (w.volume === v && w.peer === 'sent') n++;
    return n;
  }
  get epochs(): number {
    return this.#epochs.all.length;
  }
  /** Bytes that were sent and whose epoch is not acknowledged. */
  flying(v: Volume): number {
    return this.#epochs.flying(v);
  }
  /** When the oldest epoch that the peer has not acknowledged began. */
  get oldestEpoch(): number | undefined {
    return this.#epochs.all[0]?.begun;
  }
  /** Since when the peer owes an acknowledgement: of the oldest write, or of the oldest epoch that was closed. */
  waitingSince(): number | undefined {
    return this.#epochs.waitingSince();
  }
  submit(v: Volume, r: AppWrite | Extract<AppRequest, { readonly op: 'flush' }>): void {
    if (v.held) {
      const later = this.#later.get(v) ?? [];
      this.#later.set(v, later);
      later.push(r);
      return;
    }
    if (r.op === 'flush') {
      this.#flush(v, r.tag);
      return;
    }
    const length = r.op === 'write' ? r.bytes.length : r.length;
    const w: Write = {
      id: this.#nextId++ as BlockId,
      volume: v,
      request: r,
      offset: r.offset,
      length,
      lock: undefined,
      fetching: undefined,
      first: Math.floor(r.offset / EXTENT_BYTES),
      last: Math.ceil((r.offset + length) / EXTENT_BYTES) - 1,
      held: 0,
      pending: undefined,
      local: 'waits',
      peer: 'none',
      epoch: undefined,
      told: false,
      equal: false,
      sentAt: 0,
      completed: false,
      durable: false,
    };
    this.#log.add(w);
    const lock = (): void => {
      // The lock may be free at once, and then `run` is called before it is returned.
      w.lock = v.locks.acquire(w.offset, w.offset + length, () => this.#queue(w));
      if (w.completed) v.locks.release(w.lock);
    };
    if (v.fetching.size === 0) {
      lock();
      return;
    }
    // What a resync is just fetching for this side must not replace it.
    w.fetching = v.fetching.acquire(w.offset, w.offset + length, lock);
    if (w.completed) v.fetching.release(w.fetching);
  }
  #queue(w: Write): void {
    const { volume: v } = w;
    const waiting = this.#waiting.get(v);
    // Others that wait do so for extents of their own, unless the log is full.
    if (!v.held && !(this.#stuck && waiting !== undefined && waiting.length > 0)) {
      if (this.#hot(w)) {
        this.#go(w);
        return;
      }
      this.#wait(w, waiting);
      if (this.#full) this.#choked();
      v.backing?.store.pump();
      return;
    }
    this.#wait(w, waiting);
  }
  #wait(w: Write, waiting: Write[] | undefined): void {
    if (waiting === undefined) this.#waiting.set(w.volume, [w]);
    else waiting.push(w);
  }
  /** Extents are given back when the peer has what was written to them. */
  #choked(): void {
    if (!this.#stuck || this.#epochs.begun) this.push();
    this.#stuck = true;
  }
  #stuck = false;

  /** A hold ended: what was kept back goes on, and what only waited for it is answered. */
  released(v: Volume): void {
    if (v.held) return;
    for (const w of this.#log.values()) if (w.volume === v) this.#settle(w);
    this.#settleFlushes();
    this.ready(v);
    const later = this.#later.get(v) ?? [];
    this.#later.delete(v);
    for (const r of later) if (r.op !== 'read') this.submit(v, r);
  }
  /** The activity log has changed: whoever waited for it may go. */
  ready(v: Volume): void {
    if (v.held) return;
    const waiting = this.#waiting.get(v);
    if (waiting !== undefined && waiting.length > 0) {
      let full = false;
      const still: Write[] = [];
      for (const w of waiting.splice(0)) {
        if (full || !this.#hot(w)) {
          full ||= this.#full;
          still.push(w);
        } else this.#go(w);
      }
      waiting.unshift(...still);
      if (full) this.#choked();
      else this.#stuck = false;
    }
    v.backing?.store.pump();
  }
  #full = false;
  /** Whether all its extents are hot; takes those that it can. */
  #hot(w: Write): boolean {
    this.#full = false;
    const al = w.volume.backing?.al;
    if (al === undefined) return true;
    for (let extent = w.first + w.held; extent <= w.last; extent++) {
      const got = al.begin(extent);
      if (got === 'full') {
        this.#full = true;
        break;
      }
      w.held++;
      if (got === 'hot') continue;
      w.pending ??= new Set();
      w.pending.add(extent);
    }
    const { pending } = w;
    if (pending === undefined) return !this.#full;
    // Held already: asking again only says whether it is hot by now.
    for (const extent of pending) {
      if (al.begin(extent) === 'hot') pending.delete(extent);
      al.end(extent);
    }
    return !this.#full && pending.size === 0;
  }

  #go(w: Write): void {
    const { volume: v } = w;
    if (v.mirrors) this.beforeSend(v);
    if (v.mirrors) this.#send(w);
    else this.#mark(w);
    const { backing } = v;
    if (backing === undefined) {
      w.local = 'failed';
      this.#settle(w);
      return;
    }
    w.local = 'flies';
    v.counters.lo++;
    v.counters.dw += w.length;
    const { request: r } = w;
    this.#c.disk(
      v.number,
      'data',
      r.op === 'write'
        ? { op: 'write', offset: w.offset, bytes: r.bytes, through: r.through }
        : { op: 'zero', offset: w.offset, length: w.length, keep: !r.unmap },
      (result) => {
        backing.store.wrote();
        w.local = result === 0 && v.backing === backing ? 'done' : 'failed';
        if (result !== 0) this.#failed(v, backing, { op: 'write', offset: w.offset, length: w.length });
        this.#equal(w);
        v.landed();
        this.#settle(w);
      },
    );
  }
  /** Both disks have it, the peer's as it says: until then a read of a target goes to the source. */
  #equal(w: Write): void {
    const { volume: v } = w;
    if (w.equal && w.local === 'done' && v.backing !== undefined)
      v.bitmap.clear(bitsCovered(w.offset, w.length, v.size * 512));
  }
  #mark(w: Write): void {
    const { volume: v } = w;
    if (v.backing !== undefined) v.bitmap.set(bitsTouched(w.offset, w.length));
    if (v.tells)
      this.#c.send('data', {
        kind: 'P_OUT_OF_SYNC',
        volume: v.number,
        sector: sector(w.offset / 512),
        size: w.length,
        pad: 0,
      });
  }
  #send(w: Write): void {
    const { volume: v, request: r } = w;
    const { syncing } = v;
    let flags: number = DRBD_WRITE_FLAG.syncHint;
    if (syncing) flags |= DRBD_WRITE_FLAG.maySetInSync;
    if (this.#o.protocol === 3 || syncing) flags |= DRBD_WRITE_FLAG.sendWriteAck;
    else if (this.#o.protocol === 2) flags |= DRBD_WRITE_FLAG.sendReceiveAck;
    w.equal = false;
    this.#epochs.take(w);
    const block = { volume: v.number, sector: sector(w.offset / 512), id: w.id, seq: v.nextSeq() };
    this.#c.send('data', writePacket(r, { ...block, flags }, this.#o.features));
    v.counters.ns += w.length;
    // In A it is complete when it is on its way.
    w.peer = (flags & (DRBD_WRITE_FLAG.sendWriteAck | DRBD_WRITE_FLAG.sendReceiveAck)) === 0 ? 'acked' : 'sent';
    this.#epochs.closeAt(this.#o.maxEpochSize);
  }
  /** Ends the epoch: what is sent from now on may depend on what is in it. */
  close(): void {
    this.#epochs.close();
  }
  /** Somebody waits until what was sent is durable at the peer: it is told to make it so now. */
  push(): void {
    this.#epochs.push();
  }
  get deadline(): Microseconds | undefined {
    return this.#epochs.deadline;
  }
  tick(): void {
    this.#epochs.tick();
  }

  /** P_RECV_ACK, P_WRITE_ACK, P_RS_WRITE_ACK and P_NEG_ACK of a write. False: nobody knows such a write. */
  acknowledged(v: Volume, p: BlockAckPacket): boolean {
    const w = this.#log.get(Number(p.id));
    if (w === undefined || w.volume !== v || p.sector !== w.offset / 512 || p.size !== w.length) return false;
    if (p.kind === 'P_RETRY_WRITE' || p.kind === 'P_SUPERSEDED') this.#epochs.judged(w);
    if (p.kind === 'P_NEG_ACK') {
      if (v.backing !== undefined) v.bitmap.set(bitsTouched(w.offset, w.length));
      w.peer = 'failed';
    } else if (p.kind === 'P_RETRY_WRITE') w.peer = 'retry';
    else {
      w.told = true;
      if (w.peer === 'sent') w.peer = 'acked';
      if (p.kind === 'P_RS_WRITE_ACK') w.equal = true;
      this.#equal(w);
    }
    this.#settle(w);
    return true;
  }
  /** Undefined: all is well. Else what does not fit, which ends the connection. */
  barrierAcknowledged(barrier: BarrierId, count: number): Text | undefined {
    const durable = this.#epochs.acknowledged(barrier, count);
    if (!durable.ok) return durable.error;
    for (const e of durable.value) {
      for (const w of [...e.writes, ...e.carried]) {
        w.durable = true;
        if (w.peer === 'sent') w.peer = 'acked';
        this.#settle(w);
      }
      for (const f of this.#flushes) f.epochs.delete(e);
    }
    this.#settleFlushes();
    this.onEpoch();
    this.onIdle();
    return undefined;
  }

  #settle(w: Write): void {
    const { volume: v } = w;
    const local = w.local === 'done' || w.local === 'failed';
    if (!w.completed && local && w.peer === 'retry') {
      this.#resubmit(w);
      return;
    }
    // A disk that is not good itself will be overwritten with what the other has; one that is about to go may be, when it is back.
    const there = w.peer === 'acked' && v.peerDisk === 'UpToDate';
    const good = there || (w.local === 'done' && v.disk === 'UpToDate');
    const waits = this.#untold.has(v) || (v.held && !(good && w.peer === 'acked'));
    if (!w.completed && local && w.peer !== 'sent' && !waits) {
      this.#answered(w);
      v.counters.ap--;
      if (good) v.exposedBefore = undefined;
      this.#c.emit({ kind: 'done', volume: v.number, tag: w.request.tag, result: good ? 0 : EIO });
      this.#epochs.answered(w);
      this.#unlock(w);
      this.onIdle();
    }
    this.#forget(w);
  }
  /** Ends it, when it is answered and its fate at the peer is known. */
  #forget(w: Write): void {
    const { volume: v } = w;
    const open = w.peer !== 'none' && w.peer !== 'lost' && !w.durable;
    if (!w.completed || open || !this.#log.delete(Number(w.id))) return;
    if (v.backing !== undefined) {
      for (let n = 0; n < w.held; n++) v.backing.al.end(w.first + n);
      if ((this.#waiting.get(v)?.length ?? 0) > 0) this.ready(v);
    }
    this.onIdle();
  }

  #flush(v: Volume, tag: number): void {
    const f: Flush = { volume: v, tag, epochs: new Set(), local: false, failed: false };
    this.#flushes.push(f);
    this.push();
    for (const e of this.#epochs.all) if (isOf(e, v)) f.epochs.add(e);
    const end = (): void => {
      f.local = true;
      this.#settleFlushes();
    };
    const { backing } = v;
    if (backing === undefined) {
      end();
      return;
    }
    this.#c.disk(v.number, 'data', { op: 'flush' }, (result) => {
      f.failed = result !== 0 || v.backing !== backing;
      if (result !== 0) this.#failed(v, backing, { op: 'flush', offset: 0, length: 0 });
      end();
    });
  }
  #settleFlushes(): void {
    for (const f of [...this.#flushes]) {
      if (!f.local || f.epochs.size > 0 || f.volume.held || this.#untold.has(f.volume)) continue;
      this.#flushes.splice(this.#flushes.indexOf(f), 1);
      const { volume: v } = f;
      v.counters.ap--;
      // As for a write: what only half a copy has will be overwritten with what the peer has.
      const good = (v.disk === 'UpToDate' && !f.failed) || v.peerDisk === 'UpToDate';
      this.#c.emit({ kind: 'done', volume: v.number, tag: f.tag, result: good ? 0 : EIO });
      this.onIdle();
    }
  }

  /** The peer is gone: what it has not told to be durable may differ. Call before a new generation begins. */
  lost(): void {
    this.#epochs.lost();
    this.#untold.clear();
    for (const w of this.#log.values()) {
      w.equal = false;
      if (w.peer === 'none' || w.peer === 'lost') continue;
      if (w.volume.holds.has('fencing') && w.peer !== 'failed') {
        if (w.peer === 'acked' || w.peer === 'sent' || (w.peer === 'retry' && !w.completed))
          w.peer = w.told ? 'carried' : 'kept';
        // It was submitted anew, and only waited for its epoch.
        else if (w.peer === 'retry') w.peer = 'none';
      } else this.#lose(w);
    }
    for (const f of this.#flushes) f.epochs.clear();
  }
  #lose(w: Write): void {
    if (w.volume.backing !== undefined) w.volume.bitmap.set(bitsTouched(w.offset, w.length));
    w.peer = 'lost';
  }
  /** The peer's disk is gone: it may have told to have what it had not flushed. */
  peerDiskLost(v: Volume): void {
    if (v.backing === undefined) return;
    for (const w of this.#log.values())
      if (w.volume === v && w.peer !== 'none' && !w.durable) {
        w.equal = false;
        v.bitmap.set(bitsTouched(w.offset, w.length));
      }
  }
  /** The own disk is gone: what only the peer has is not answered before it knows, and sets its data apart from ours. */
  telling(v: Volume): void {
    this.#untold.add(v);
  }
  told(v: Volume): void {
    if (this.#untold.delete(v)) this.released(v);
  }
  /** The own disk is gone, and its activity log with it. */
  detached(v: Volume): void {
    for (const w of this.#log.values()) {
      if (w.volume !== v) continue;
      w.held = 0;
      w.pending = undefined;
      if (w.local === 'done' && !w.completed) w.local = 'failed';
    }
    for (const f of this.#flushes) if (f.volume === v) f.failed = true;
  }
  /** Of the own writes that the peer has not acknowledged, what collides with a range: one that covers it, or some. */
  collision(v: Volume, from: number, to: number): 'covered' | 'touched' | undefined {
    let found: 'covered' | 'touched' | undefined;
    for (const w of this.#log.values()) {
      if (w.volume !== v || w.completed || w.offset >= to || from >= w.offset + w.length) continue;
      if (w.peer !== 'sent' && !(w.peer === 'none' && w.local === 'waits')) continue;
      if (w.offset <= from && to <= w.offset + w.length) return 'covered';
      found = 'touched';
    }
    return found;
  }
  /** `then`: the own writes that collide with a range now are answered, so the peer has them. */
  afterCollisions(v: Volume, from: number, to: number, then: () => void): void {
    const open = new Set<Write>();
    for (const w of this.#log.values())
      if (w.volume === v && !w.completed && w.offset < to && from < w.offset + w.length) open.add(w);
    if (open.size === 0) then();
    else this.#awaited.push({ open, then });
  }
  #awaited: { readonly open: Set<Write>; readonly then: () => void }[] = [];
  #answered(w: Write): void {
    w.completed = true;
    if (this.#awaited.length === 0) return;
    for (const a of this.#awaited) if (a.open.delete(w) && a.open.size === 0) a.then();
    this.#awaited = this.#awaited.filter((a) => a.open.size > 0);
  }
  /** Whether one of the own writes in a range is under way. */
  busy(v: Volume, from: number, to: number): boolean {
    for (const w of this.#log.values())
      if (w.volume === v && !w.completed && w.offset < to && from < w.offset + w.length) return true;
    return false;
  }
  /** There are data again: what reached no good disk is tried once more. While the volume is held. */
  again(v: Volume): void {
    const nowhere = (w: Write): boolean => w.local === 'failed' || (w.local === 'done' && v.disk !== 'UpToDate');
    for (const w of this.#log.values())
      if (w.volume === v && !w.completed && nowhere(w) && w.peer !== 'sent') {
        // Counted in an epoch that is open: as a new write. Else in its place before those that wait for it.
        if ((w.peer === 'failed' || w.peer === 'acked') && !w.durable) this.#resubmit(w);
        else {
          w.local = 'waits';
          w.peer = 'none';
          w.durable = false;
          this.#queue(w);
        }
      }
  }
  #unlock(w: Write): void {
    if (w.lock !== undefined) w.volume.locks.release(w.lock);
    if (w.fetching !== undefined) w.volume.fetching.release(w.fetching);
  }
  /** As a new write, behind all that overlaps it by now. */
  #resubmit(w: Write): void {
    const { volume: v } = w;
    this.#answered(w);
    this.#epochs.answered(w);
    this.#unlock(w);
    this.#forget(w);
    this.submit(v, w.request);
  }
  /** What was kept for the peer is not sent to it any more. */
  giveUp(v: Volume): void {
    for (const w of this.#log.values())
      if (w.volume === v && (w.peer === 'kept' || w.peer === 'carried')) this.#lose(w);
  }
  /** Nothing that the peer may lack was answered: its data are not ours any more, and cannot be sent again. */
  canResend(v: Volume): boolean {
    for (const w of this.#log.values()) if (w.volume === v && w.peer === 'kept' && w.completed) return false;
    return true;
  }
  /** The peer is back as it was: what it has not acknowledged is sent again, and what it had is flushed. */
  resend(v: Volume): void {
    const mine = this.#log.values().filter((w) => w.volume === v);
    const carried = mine.filter((w) => w.peer === 'carried');
    this.#epochs.sendFlush(carried);
    for (const w of mine) if (w.peer === 'kept') this.#send(w);
    for (const f of this.#flushes) if (f.volume === v) for (const e of this.#epochs.all) f.epochs.add(e);
    if (this.#flushes.some((f) => f.volume === v)) this.push();
  }
  /** Answers whatever can be answered now. */
  settleAll(): void {
    for (const w of this.#log.values()) this.#settle(w);
    this.#settleFlushes();
  }
}
