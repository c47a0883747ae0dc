/**
 * A split brain is resolved against this side, and the operator wants to keep what is lost: between the exchange of the
 * bitmaps and the first block of the resync, all blocks that differ go to an undo file, and the resync waits for it.
 */
import { bytes, crc32c, type Text, text } from '../../../base/index.ts';
import type { MirrorAnswer, UndoStatus } from '../../status.ts';
import {
  encodeUndoHeader,
  encodeUndoRecord,
  UNDO_HEADER_BYTES,
  UNDO_LARGEST,
  UNDO_RECORD_BYTES,
  undoName,
} from '../../undo/index.ts';
import { BIT_BYTES } from '../bits.ts';
import type { Parts } from '../parts.ts';
import { done, refused } from '../reasons.ts';
import type { Volume } from '../volume.ts';

/** Read and written at once. */
const BATCH_BYTES = 1 << 20;
const BATCH_PIECES = 64;
const NO_IDS = { current: 0n, bitmap: 0n, history: [0n, 0n] } as unknown as Volume['uuids'];

type Saving = {
  readonly v: Volume;
  readonly era: number;
  readonly total: number;
  cursor: number;
  records: number;
  written: number;
  readonly then: () => void;
};
/** What the driver was asked for; it answers once. */
type Asked = (failed: Text | undefined, file: string | undefined) => void;

export class Undos {
  readonly #p: Parts;
  #folder = '';
  readonly #armed = new Set<Volume>();
  readonly #saving = new Map<Volume, Saving>();
  readonly #files = new Map<Volume, { is: 'saving' | 'kept'; file: string; total: number; done: number }>();
  readonly #asked = new Map<number, Asked>();
  #nextId = 1;
  /** Blocks changed here alone, counted when the bitmaps are about to be exchanged. */
  readonly #own = new Map<Volume, number>();

  constructor(p: Parts) {
    this.#p = p;
  }

  /** Connects and discards the own data, once there is room to keep it in `folder`. */
  resolve(folder: string, answer: (a: MirrorAnswer) => void): void {
    const { link, volumes, roles, config } = this.#p;
    const now = (): boolean => {
      if (link.state !== 'StandAlone') {
        answer(
          refused(
            'in-transient',
            `it is ${link.state}, not StandAlone: there is nothing to resolve`,
            `当前为 ${link.state} 而非 StandAlone：无需裁决`,
          ),
        );
        return false;
      }
      if (roles.primary) {
        answer(
          refused(
            'device-in-use',
            `${config.host} is primary, and its data would be replaced: holdfast mirror secondary ${config.name} first`,
            `${config.host} 为主节点，其数据将被替换：请先 holdfast mirror secondary ${config.name}`,
          ),
        );
        return false;
      }
      if (volumes.some((v) => v.backing === undefined)) {
        answer(refused('no-local-disk', 'a volume has no disk here', '有卷在本机没有磁盘'));
        return false;
      }
      return true;
    };
    if (!now()) return;
    const need = volumes.reduce(
      (n, v) => n + undoBytes(Math.min(v.bitmap.bits, v.bits + (v.told?.bits ?? 0)) * BIT_BYTES),
      0,
    );
    this.#ask({ is: 'room', folder, need }, undefined, (failed) => {
      if (failed !== undefined) return answer({ ok: false, code: 'failed-by-peer', text: failed });
      if (!now()) return;
      this.#folder = folder;
      for (const v of volumes) this.#armed.add(v);
      link.discardMyData = true;
      link.seek();
      answer(
        done(
          `connecting; what ${config.host} changed is kept in ${folder} before it is overwritten`,
          `正在连接；${config.host} 的改动在被覆盖前将保存到 ${folder}`,
        ),
      );
    });
  }
  /** The bitmaps of the two sides are about to be exchanged. */
  exchanging(v: Volume): void {
    this.#own.set(v, v.bits);
  }
  /** Both bitmaps are here, and nothing of the peer's has been written. `then`: what is lost is kept, or need not be. */
  keep(v: Volume, then: () => void): void {
    if (!this.#armed.has(v)) {
      then();
      return;
    }
    const { c, link, config } = this.#p;
    const own = this.#own.get(v) ?? v.bits;
    const { uuids, bits } = v.peerUuids ?? { uuids: NO_IDS, bits: 0 };
    const total = bytesOf(v);
    const s: Saving = { v, era: link.era, total, cursor: 0, records: 0, written: 0, then };
    this.#saving.set(v, s);
    const header = encodeUndoHeader({
      volume: v.number,
      size: BigInt(v.size * 512),
      at: BigInt(c.wall()),
      mine: v.uuids,
      peer: uuids,
      changedHere: BigInt(own),
      changedThere: BigInt(bits),
      total: BigInt(total),
      name: undoName(config.name),
      host: undoName(config.host),
      peerHost: undoName(config.peer),
    });
    const step = { is: 'open', folder: this.#folder, name: config.name, header, need: undoBytes(total) } as const;
    this.#ask(step, v, (failed, file) => {
      if (!this.#goes(s, failed)) return;
      this.#files.set(v, { is: 'saving', file: file ?? '', total, done: 0 });
      this.#batch(s);
    });
  }
  #batch(s: Saving): void {
    const { v } = s;
    const pieces: { readonly offset: number; readonly into: Uint8Array }[] = [];
    let size = 0;
    while (size < BATCH_BYTES && pieces.length < BATCH_PIECES) {
      const from = v.bitmap.nextSet(s.cursor);
      if (from === undefined) break;
      const end = Math.min(v.bitmap.nextClear(from) ?? v.bitmap.bits, from + UNDO_LARGEST / BIT_BYTES);
      s.cursor = end;
      const length = Math.min(end * BIT_BYTES, v.size * 512) - from * BIT_BYTES;
      pieces.push({ offset: from * BIT_BYTES, into: new Uint8Array(length) });
      size += length;
    }
    if (pieces.length === 0) {
      this.#end(s);
      return;
    }
    let left = pieces.length;
    let worst = 0;
    for (const { offset, into } of pieces)
      this.#p.c.disk(v.number, 'data', { op: 'read', offset, into }, (result) => {
        worst = Math.min(worst, result);
        if (--left > 0) return;
        if (!this.#goes(s, worst === 0 ? undefined : UNREADABLE)) return;
        const out = pieces.flatMap((p) => [
          encodeUndoRecord({
            kind: 'blocks',
            offset: BigInt(p.offset),
            length: p.into.length,
            crc: crc32c(p.into),
          }),
          p.into,
        ]);
        s.records += pieces.length;
        s.written += size;
        this.#ask({ is: 'append', bytes: out }, v, (failed) => {
          if (!this.#goes(s, failed)) return;
          const f = this.#files.get(v);
          if (f !== undefined) f.done = s.written;
          this.#batch(s);
        });
      });
  }
  #end(s: Saving): void {
    const { v } = s;
    const end = encodeUndoRecord({ kind: 'end', total: BigInt(s.written), records: s.records });
    this.#ask({ is: 'append', bytes: [end] }, v, (unwritten) => {
      if (!this.#goes(s, unwritten)) return;
      this.#ask({ is: 'keep' }, v, (failed, file) => {
        if (!this.#goes(s, failed)) return;
        this.#saving.delete(v);
        this.#armed.delete(v);
        this.#files.set(v, { is: 'kept', file: file ?? '', total: s.total, done: s.written });
        this.#p.c.reason(
          'mirror.undo',
          v.number,
          text(
            `${s.written / 1024} KiB that this side loses are kept in ${file}`,
            `本机将失去的 ${s.written / 1024} KiB 已保存到 ${file}`,
          ),
        );
        s.then();
      });
    });
  }
  /** Whether it goes on. Where it failed nothing has been overwritten, and both sides stay apart. */
  #goes(s: Saving, failed: Text | undefined): boolean {
    if (this.#saving.get(s.v) !== s || s.era !== this.#p.link.era) return false;
    if (failed === undefined) return true;
    this.#p.link.lose(
      text(
        `no resync: what this side loses could not be kept: ${failed.en}`,
        `不同步：无法保存本机将失去的数据：${failed.zh}`,
      ),
      false,
    );
    return false;
  }
  /** All volumes are decided: where this side is no target nothing is lost. */
  connected(): void {
    for (const v of this.#armed) if (v.connection !== 'WFBitMapT') this.#armed.delete(v);
  }
  /** The connection is lost. True: a file was being written, and the next connection has the same question. */
  lost(retry: boolean): boolean {
    const interrupted = this.#saving.size > 0;
    for (const v of this.#saving.keys()) {
      this.#ask({ is: 'drop' }, v, () => {});
      this.#files.delete(v);
    }
    this.#saving.clear();
    if (!retry) this.#armed.clear();
    return interrupted;
  }
  of(v: Volume): UndoStatus | undefined {
    const f = this.#files.get(v);
    return f === undefined ? undefined : { ...f, total: bytes(f.total), done: bytes(f.done) };
  }

  #ask(step: UndoStep, v: Volume | undefined, then: Asked): void {
    const id = this.#nextId++;
    this.#asked.set(id, then);
    this.#p.c.emit({ kind: 'undo', id, volume: v?.number, step });
  }
  /** The driver's answer. */
  answered(id: number, failed: Text | undefined, file: string | undefined): void {
    const then = this.#asked.get(id);
    this.#asked.delete(id);
    then?.(failed, file);
  }
}
/** What the driver is asked for: steps of one volume come one after the other, and each is answered by `undone`. */
export type UndoStep =
  /** Make the folder, and see that it has room for so many bytes. */
  | { readonly is: 'room'; readonly folder: string; readonly need: number }
  /** A new file, for mirror `name`, that is not whole yet. */
  | {
      readonly is: 'open';
      readonly folder: string;
      readonly name: string;
      readonly header: Uint8Array;
      readonly need: number;
    }
  | { readonly is: 'append'; readonly bytes: readonly Uint8Array[] }
  /** Durable, under its final name. */
  | { readonly is: 'keep' }
  | { readonly is: 'drop' };

/** Of a file with so many bytes of data, at most: every block may be a record of its own. */
const undoBytes = (data: number): number =>
  UNDO_HEADER_BYTES + data + (Math.ceil(data / BIT_BYTES) + 1) * UNDO_RECORD_BYTES;
/** All blocks that differ; the last one may be short. */
function bytesOf(v: Volume): number {
  const last = v.bitmap.bits - 1;
  const short = v.bitmap.bits > 0 && v.bitmap.has(last) ? v.bitmap.bits * BIT_BYTES - v.size * 512 : 0;
  return v.bits * BIT_BYTES - short;
}
const UNREADABLE = text('a block could not be read', '有数据块无法读取');
