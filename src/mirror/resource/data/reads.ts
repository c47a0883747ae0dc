/** Reads of the application: from the own disk where it is good there, else from the peer. And the peer's reads here. */
import { text } from '../../../base/index.ts';
import {
  type BlockAckPacket,
  type BlockId,
  type DataPacket,
  type DrbdPacket,
  type RequestPacket,
  sector,
} from '../../../wire/index.ts';
import { bitsTouched, LARGEST, mayAsk } from '../bits.ts';
import type { Parts } from '../parts.ts';
import { type AppRequest, EIO } from '../types.ts';
import type { Volume } from '../volume.ts';
import { ReadBalancing } from './read-balancing.ts';

export type Read = Extract<AppRequest, { readonly op: 'read' }>;
const NOTHING = new Uint8Array(0);

export class Reads {
  readonly #p: Parts;
  #nextId = 1n;
  /** Asked of the peer. */
  readonly #remote = new Map<bigint, { readonly volume: Volume; readonly read: Read }>();
  /** Frozen with all requests. */
  #frozen: { readonly volume: Volume; readonly read: Read }[] = [];

  readonly #balancing: ReadBalancing;

  constructor(p: Parts) {
    this.#p = p;
    this.#balancing = new ReadBalancing(p);
  }
  read(v: Volume, r: Read): void {
    if (v.frozen) {
      this.#frozen.push({ volume: v, read: r });
      return;
    }
    if (this.#localIsGood(v, r) && !(r.into.length <= LARGEST && this.#balancing.toPeer(v))) this.#here(v, r);
    else this.#elsewhere(v, r);
  }
  #here(v: Volume, r: Read): void {
    const { backing } = v;
    v.counters.dr += r.into.length;
    this.#balancing.begun(v, 'local');
    this.#p.c.disk(v.number, 'data', { op: 'read', offset: r.offset, into: r.into }, (result) => {
      this.#balancing.ended(v, 'local');
      if (result === 0) return this.#done(v, r, 0);
      this.#p.disks.failed(v, backing, { op: 'read', offset: r.offset, length: r.into.length });
      this.#elsewhere(v, r);
    });
  }
  #localIsGood(v: Volume, r: Read): boolean {
    if (v.backing === undefined) return false;
    if (v.disk === 'UpToDate') return true;
    return v.disk === 'Inconsistent' && v.bitmap.countIn(bitsTouched(r.offset, r.into.length)) === 0;
  }
  #elsewhere(v: Volume, r: Read): void {
    if (v.frozen) {
      this.#frozen.push({ volume: v, read: r });
      return;
    }
    if (!this.#p.link.established || v.peerDisk !== 'UpToDate') {
      this.#done(v, r, EIO);
      return;
    }
    const id = this.#nextId++ as BlockId;
    this.#remote.set(id, { volume: v, read: r });
    this.#balancing.begun(v, 'remote');
    const packet = { volume: v.number, sector: sector(r.offset / 512), id, size: r.into.length, pad: 0 };
    this.#p.c.send('data', { kind: 'P_DATA_REQUEST', ...packet });
  }
  #done(v: Volume, r: Read, result: number): void {
    this.#p.c.emit({ kind: 'done', volume: v.number, tag: r.tag, result });
  }
  /** Requests go on: what waited begins anew. */
  released(v: Volume): void {
    if (v.frozen) return;
    const mine = this.#frozen.filter((f) => f.volume === v);
    this.#frozen = this.#frozen.filter((f) => f.volume !== v);
    for (const f of mine) this.read(v, f.read);
  }
  /** Nobody will answer what the peer was asked. */
  lost(): void {
    const asked = [...this.#remote.values()];
    this.#remote.clear();
    for (const { volume } of asked) this.#balancing.ended(volume, 'remote');
    for (const { volume, read } of asked) this.read(volume, read);
  }

  // ------------------------------------------------------------------------------------------ the peer

  /** False: it is none of these packets. */
  packet(p: DrbdPacket): boolean {
    switch (p.kind) {
      case 'P_DATA_REPLY':
      case 'P_NEG_DREPLY':
        this.#answered(p);
        return true;
      case 'P_DATA_REQUEST':
        this.#asked(p);
        return true;
      default:
        return false;
    }
  }
  #answered(p: DataPacket | BlockAckPacket): void {
    const asked = this.#remote.get(p.id);
    if (asked === undefined || asked.volume.number !== p.volume) {
      this.#p.link.closed(text('the peer answered a read that nobody asked for', '对端应答了未请求的读'));
      return;
    }
    this.#remote.delete(p.id);
    const { volume: v, read } = asked;
    this.#balancing.ended(v, 'remote');
    const data = 'data' in p ? p.data : undefined;
    const good = data?.length === read.into.length;
    if (good && data !== undefined) {
      read.into.set(data);
      v.counters.nr += data.length;
    }
    if (!good && this.#localIsGood(v, read)) this.#here(v, read);
    else this.#done(v, read, good ? 0 : EIO);
  }
  #asked(p: RequestPacket): void {
    const { link, c } = this.#p;
    const v = this.#p.volumes.find((one) => one.number === p.volume);
    if (v === undefined) {
      link.closed(text(`a volume ${p.volume} is not known here`, `本机没有卷 ${p.volume}`));
      return;
    }
    const { era } = link;
    const block = { volume: p.volume, sector: p.sector, id: p.id };
    const into = new Uint8Array(Math.min(p.size, LARGEST));
    const reply = (result: number): void => {
      if (era !== link.era) return;
      if (result === 0)
        c.send('data', { kind: 'P_DATA_REPLY', ...block, seq: 0, flags: 0, digest: NOTHING, data: into });
      else {
        c.send('meta', { kind: 'P_NEG_DREPLY', ...block, size: p.size, seq: v.nextSeq() });
      }
    };
    if (v.backing === undefined || v.disk !== 'UpToDate' || !mayAsk(v.size, p)) {
      reply(EIO);
      return;
    }
    // Writes that came before the request are seen by it.
    const { backing } = v;
    const offset = p.sector * 512;
    const lock = v.locks.acquire(offset, offset + p.size, () =>
      c.disk(v.number, 'data', { op: 'read', offset, into }, (result) => {
        v.locks.release(lock);
        if (result !== 0) this.#p.disks.failed(v, backing, { op: 'read', offset, length: p.size });
        reply(result);
      }),
    );
  }
}
