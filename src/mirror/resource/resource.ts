/**
 * One resource, all of it but the world: events in, effects out. An object, because the data path reuses what it holds;
 * it still opens no file and no socket, and reads no clock.
 */
import { type Microseconds, type Text, text, us } from '../../base/index.ts';
import { type BlockId, DRBD_FEATURE, type DrbdPacket, type DrbdSocket, sector } from '../../wire/index.ts';
import type { MirrorConfig } from '../config.ts';
import type { MirrorReason, MirrorRequest, MirrorStatus } from '../status.ts';
import { eachVolume } from './asking.ts';
import { attach } from './attach.ts';
import { Congestion } from './congestion.ts';
import { PROTOCOL_NUMBER } from './facts.ts';
import { FullSyncs } from './full-sync.ts';
import { signed, tampered } from './integrity.ts';
import { Link } from './link.ts';
import { Paces } from './paces.ts';
import type { Parts } from './parts.ts';
import { Patience } from './patience.ts';
import { Pauses } from './pauses.ts';
import { PeerStates } from './peer-state.ts';
import { LONGEST_PIECE, Pieces, SHORT_PIECE } from './pieces.ts';
import { done, refused } from './reasons.ts';
import { Receiver } from './receiver.ts';
import { Resizes } from './resizes.ts';
import { ResyncSteps } from './resync-steps.ts';
import { Roles } from './roles.ts';
import { bitsTouched, Sender } from './sender.ts';
import { statusOf } from './status-of.ts';
import { Syncs } from './syncs.ts';
import {
  type AppRequest,
  type Context,
  type Devices,
  type DiskOperation,
  EIO,
  EROFS,
  type ResourceEffect,
  type ResourceEvent,
} from './types.ts';
import { Verifies } from './verifies.ts';
import { Volume } from './volume.ts';

export type ResourceHost = {
  /** 64 random bits, for identifiers. */
  random64(): bigint;
  /** Milliseconds since the Unix epoch: for what people read. */
  wall(): number;
  /** CHALLENGE_BYTES bytes that nobody can foresee. */
  challenge(): Uint8Array;
  /** shared-secret, where the configuration has one. */
  readonly secret: Uint8Array | undefined;
};
const EINVAL = -22;
const REASONS_KEPT = 20;
type Read = Extract<AppRequest, { readonly op: 'read' }>;

export class Resource implements Context {
  readonly config: MirrorConfig;
  readonly volumes: readonly Volume[];
  readonly #host: ResourceHost;
  readonly #parts: Parts;
  #effects: ResourceEffect[] = [];
  #now: Microseconds = us(0);
  #nextTag = 1;
  readonly #pieces = new Pieces();
  readonly #running = new Map<number, { readonly volume: number; readonly then: (result: number) => void }>();
  #nextRead = 1n;
  readonly #remote = new Map<bigint, { readonly volume: Volume; readonly read: Read }>();
  #reasons: MirrorReason[] = [];
  readonly #paces = new Paces();

  constructor(config: MirrorConfig, devices: readonly Devices[], host: ResourceHost) {
    this.config = config;
    this.#host = host;
    this.volumes = config.volumes.map((v) => {
      const d = devices.find((one) => one.volume === v.number);
      const none = { volume: v.number, placement: { kind: 'internal' as const }, data: sector(0), metadata: sector(0) };
      return new Volume(this, v, d ?? none);
    });
    const sender = new Sender(this, {
      protocol: PROTOCOL_NUMBER[config.net.protocol],
      maxEpochSize: config.net.maxEpochSize,
      features: () => this.#parts.link.dialect.features,
    });
    const parts = { config, c: this, volumes: this.volumes, sender, receiver: new Receiver(this) } as unknown as {
      -readonly [K in keyof Parts]: Parts[K];
    };
    parts.link = new Link(parts, () => host.challenge(), host.secret);
    parts.syncs = new Syncs(parts);
    parts.steps = new ResyncSteps(parts, parts.syncs);
    parts.peerStates = new PeerStates(parts, parts.syncs);
    parts.roles = new Roles(parts);
    parts.verifies = new Verifies(parts);
    parts.fullSyncs = new FullSyncs(parts);
    parts.pauses = new Pauses(parts);
    parts.patience = new Patience(parts);
    parts.resizes = new Resizes(parts);
    parts.congestion = new Congestion(parts);
    this.#parts = parts;
    sender.onIdle = () => parts.roles.idle();
    sender.beforeSend = (v) => parts.congestion.consider(v);
    sender.onEpoch = () => parts.congestion.acknowledged();
    for (const v of this.volumes) {
      v.onReady = () => sender.ready(v);
      v.onReleased = () => {
        sender.released(v);
        parts.roles.idle();
      };
      v.onBroken = () => this.#broken(v);
      v.onRoles = () => parts.syncs.rolesChanged(v);
      v.onResized = () => this.emit({ kind: 'resized', volume: v.number });
    }
  }

  // ------------------------------------------------------------------------------------------ Context

  get now(): Microseconds {
    return this.#now;
  }
  random64(): bigint {
    return this.#host.random64();
  }
  emit(e: ResourceEffect): void {
    if (e.kind === 'done' && e.tag < 0) {
      const whole = this.#pieces.done(e.tag, e.result);
      if (whole !== undefined) this.#effects.push({ ...e, ...whole });
    } else this.#effects.push(e);
  }
  disk(volume: number, on: 'data' | 'metadata', operation: DiskOperation, then: (result: number) => void): void {
    const tag = this.#nextTag;
    this.#nextTag = (this.#nextTag + 1) & 0x7fff_ffff;
    this.#running.set(tag, { volume, then });
    this.emit({ kind: 'disk', tag, volume, on, operation });
  }
  send(socket: DrbdSocket, packet: DrbdPacket): void {
    this.emit({ kind: 'send', socket, packet: signed(packet, this.config.net.dataIntegrity) });
  }
  reason(code: string, volume: number | undefined, words: Text): void {
    const reason = { at: this.#host.wall(), code, volume, text: words };
    this.#reasons = [...this.#reasons, reason].slice(-REASONS_KEPT);
    this.emit({ kind: 'reason', reason });
  }

  // ------------------------------------------------------------------------------------------ machine

  handle(e: ResourceEvent, now: Microseconds): void {
    this.#now = now;
    const { link, syncs } = this.#parts;
    switch (e.kind) {
      case 'request':
        this.#request(e.id, e.request);
        return;
      case 'app':
        this.#app(this.volume(e.volume), e.request);
        return;
      case 'disk': {
        const running = this.#running.get(e.tag);
        this.#running.delete(e.tag);
        running?.then(e.result);
        return;
      }
      case 'socket':
        link.socket(e.socket, e.opened);
        return;
      case 'packet':
        this.#packet(e.socket, e.packet);
        return;
      case 'closed':
        link.closed(e.because);
        return;
      case 'measured':
        this.#parts.resizes.measured(e.volume, e);
        return;
      case 'handled':
        return;
      case 'tick':
        link.tick();
        syncs.tick();
        this.#parts.patience.tick();
        this.#parts.congestion.tick();
    }
  }
  takeEffects(): ResourceEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
  /** When the next tick is due. */
  deadline(): Microseconds | undefined {
    const { link, patience, congestion, syncs } = this.#parts;
    let least: number | undefined;
    for (const d of [link.deadline, patience.deadline, congestion.deadline, ...syncs.deadlines])
      if (d !== undefined && (least === undefined || d < least)) least = d;
    return least === undefined ? undefined : us(least);
  }
  volume(n: number): Volume {
    const v = this.volumes.find((one) => one.number === n);
    if (v === undefined) throw new Error(`bug: no volume ${n}`);
    return v;
  }
  status(): MirrorStatus {
    return statusOf(this.#parts, this.#reasons, this.#now, this.#paces);
  }
  get connection(): Link['state'] {
    return this.#parts.link.state;
  }
  get primary(): boolean {
    return this.#parts.roles.primary;
  }
  /** Nothing is under way: no request, no change, no write of metadata. */
  get quiet(): boolean {
    return this.#running.size === 0 && this.#parts.sender.inFlight === 0;
  }

  // ------------------------------------------------------------------------------------------ operators

  #request(id: number, r: MirrorRequest): void {
    const { link, roles } = this.#parts;
    const answer = (a: import('../status.ts').MirrorAnswer): void => this.emit({ kind: 'answer', id, answer: a });
    switch (r.verb) {
      case 'up':
        this.#attachAll((failed) => {
          if (failed !== undefined) return answer({ ok: false, code: 'no-local-disk', text: failed });
          if (link.state === 'StandAlone') link.seek();
          answer(done('up', '已启动'));
        });
        return;
      case 'attach':
        this.#attachAll((failed) =>
          answer(
            failed === undefined ? done('attached', '已挂接') : { ok: false, code: 'no-local-disk', text: failed },
          ),
        );
        return;
      case 'down':
        roles.demote((a) => {
          if (!a.ok) return answer(a);
          roles.disconnect(false, (b) => {
            if (!b.ok) return answer(b);
            for (const v of this.volumes) v.dropBacking();
            answer(done('down', '已停止'));
          });
        });
        return;
      case 'connect':
        if (link.state !== 'StandAlone') {
          answer(done('it is connecting already', '已在连接', false));
          return;
        }
        link.discardMyData = r.discardMyData;
        link.seek();
        answer(done('connecting', '正在连接'));
        return;
      case 'disconnect':
        roles.disconnect(r.force, answer);
        return;
      case 'primary':
        roles.promote(r.force, answer);
        return;
      case 'secondary':
        roles.demote(answer);
        return;
      case 'verify':
        eachVolume(this.volumes, r.volume, (v, a) => this.#parts.verifies.start(v, r.start, r.stop, a), answer);
        return;
      case 'invalidate':
        eachVolume(this.volumes, r.volume, (v, a) => this.#parts.fullSyncs.invalidate(v, a), answer);
        return;
      case 'invalidate-remote':
        eachVolume(this.volumes, r.volume, (v, a) => this.#parts.fullSyncs.invalidateRemote(v, a), answer);
        return;
      case 'pause-sync':
      case 'resume-sync':
        eachVolume(this.volumes, r.volume, (v, a) => this.#parts.pauses.set(v, r.verb === 'pause-sync', a), answer);
        return;
      case 'resize':
        eachVolume(this.volumes, r.volume, (v, a) => this.#parts.resizes.resize(v, r, a), answer);
        return;
      default:
        answer(refused('not-supported', `${r.verb} is not known to this machine`, `不支持 ${r.verb}`));
        return;
    }
  }
  #attachAll(then: (failed: Text | undefined) => void): void {
    const todo = this.volumes.filter((v) => v.backing === undefined && v.config.disk !== undefined);
    let left = todo.length;
    let failed: Text | undefined;
    if (left === 0) {
      then(undefined);
      return;
    }
    for (const v of todo) {
      v.disk = 'Attaching';
      attach(
        this,
        v.devices,
        this.config.volumes.every((one) => one.options.fencing === 'dont-care'),
        (r) => {
          if (r.ok) {
            v.take(r.value);
            this.reason(
              'mirror.attached',
              v.number,
              text(
                `attached: ${v.disk}${r.value.crashedPrimary ? `, was primary when it stopped, ${r.value.marked * 4} KiB marked` : ''}`,
                `已挂接：${v.disk}${r.value.crashedPrimary ? `，停止时为主节点，标记 ${r.value.marked * 4} KiB` : ''}`,
              ),
            );
          } else {
            v.disk = 'Diskless';
            failed = r.error.text;
            this.reason('mirror.disk', v.number, r.error.text);
          }
          if (--left === 0) then(failed);
        },
      );
    }
  }
  #broken(v: Volume): void {
    if (v.backing === undefined) return;
    this.reason('mirror.disk', v.number, text('the disk failed and was detached', '磁盘故障，已卸离'));
    this.#parts.syncs.stop(v);
    v.dropBacking();
    if (v.connected) v.connection = 'Connected';
    if (this.#parts.link.established) this.#parts.syncs.tell(v);
    this.#parts.sender.released(v);
  }

  // ------------------------------------------------------------------------------------------ applications

  #app(v: Volume, r: AppRequest): void {
    const fail = (result: number): void => this.emit({ kind: 'done', volume: v.number, tag: r.tag, result });
    if (!v.primary) {
      fail(EROFS);
      return;
    }
    if (r.op !== 'read' && this.#parts.roles.demoting) {
      fail(EROFS);
      return;
    }
    if (r.op === 'flush') {
      v.counters.ap++;
      this.#parts.sender.submit(v, r);
      return;
    }
    const length = r.op === 'write' ? r.bytes.length : r.op === 'read' ? r.into.length : r.length;
    const fits = r.offset % 512 === 0 && length % 512 === 0 && length > 0 && r.offset + length <= v.size * 512;
    if (!fits) {
      fail(EINVAL);
      return;
    }
    if (r.op === 'read') {
      this.#read(v, r);
      return;
    }
    for (const one of r.op === 'zero' ? this.#pieces.cut(r, this.#longest(v)) : [r]) {
      v.counters.ap++;
      this.#parts.sender.submit(v, one);
    }
  }
  #longest(v: Volume): number {
    return v.connected && (this.#parts.link.dialect.features & DRBD_FEATURE.writeSame) === 0
      ? SHORT_PIECE
      : LONGEST_PIECE;
  }
  /** From the own disk where it is good there, else from the peer. */
  #read(v: Volume, r: Read): void {
    const done = (result: number): void => this.emit({ kind: 'done', volume: v.number, tag: r.tag, result });
    const local =
      v.backing !== undefined &&
      (v.disk === 'UpToDate' ||
        (v.disk === 'Inconsistent' && v.bitmap.countIn(bitsTouched(r.offset, r.into.length)) === 0));
    if (local) {
      v.counters.dr += r.into.length;
      this.disk(v.number, 'data', { op: 'read', offset: r.offset, into: r.into }, (result) => {
        if (result === 0) return done(0);
        v.onBroken();
        this.#read(v, r);
      });
      return;
    }
    if (!this.#parts.link.established || v.peerDisk !== 'UpToDate') {
      done(EIO);
      return;
    }
    const id = this.#nextRead++ as BlockId;
    this.#remote.set(id, { volume: v, read: r });
    const packet = { volume: v.number, sector: sector(r.offset / 512), id, size: r.into.length, pad: 0 };
    this.send('data', { kind: 'P_DATA_REQUEST', ...packet });
  }

  // ------------------------------------------------------------------------------------------ reads for the peer

  #packet(socket: DrbdSocket, p: DrbdPacket): void {
    const { link } = this.#parts;
    const wrong = tampered(p, this.config.net.dataIntegrity);
    if (wrong !== undefined) {
      link.closed(wrong);
      return;
    }
    if (!link.established) {
      link.packet(socket, p);
      return;
    }
    if (p.kind === 'P_DATA_REPLY' || p.kind === 'P_NEG_DREPLY') {
      const asked = this.#remote.get(p.id);
      if (asked === undefined || asked.volume.number !== p.volume) {
        link.closed(text('the peer answered a read that nobody asked for', '对端应答了未请求的读'));
        return;
      }
      this.#remote.delete(p.id);
      const good = p.kind === 'P_DATA_REPLY' && p.data.length === asked.read.into.length;
      if (good) asked.read.into.set(p.data);
      this.emit({ kind: 'done', volume: p.volume, tag: asked.read.tag, result: good ? 0 : EIO });
      return;
    }
    if (p.kind !== 'P_DATA_REQUEST') {
      link.packet(socket, p);
      return;
    }
    const v = this.volumes.find((one) => one.number === p.volume);
    if (v === undefined) {
      link.closed(text(`a volume ${p.volume} is not known here`, `本机没有卷 ${p.volume}`));
      return;
    }
    const { era } = link;
    const block = { volume: p.volume, sector: p.sector, id: p.id };
    const into = new Uint8Array(Math.min(p.size, 1 << 20));
    const reply = (result: number): void => {
      if (era !== link.era) return;
      if (result === 0)
        this.send('data', { kind: 'P_DATA_REPLY', ...block, seq: 0, flags: 0, digest: NOTHING, data: into });
      else this.send('meta', { kind: 'P_NEG_DREPLY', ...block, size: p.size, seq: ++v.seq });
    };
    if (v.backing === undefined || v.disk !== 'UpToDate' || p.sector * 512 + p.size > v.size * 512) {
      reply(EIO);
      return;
    }
    // Writes that came before the request are seen by it.
    const lock = v.locks.acquire(p.sector * 512, p.sector * 512 + p.size, () =>
      this.disk(v.number, 'data', { op: 'read', offset: p.sector * 512, into }, (result) => {
        v.locks.release(lock);
        reply(result);
      }),
    );
  }
}
const NOTHING = new Uint8Array(0);
