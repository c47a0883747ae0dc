/**
 * One resource, all of it but the world: events in, effects out. An object, because the data path reuses what it holds;
 * it still opens no file and no socket, and reads no clock.
 */
import { type Microseconds, type Text, text, us } from '../../base/index.ts';
import { DRBD_FEATURE, type DrbdPacket, type DrbdSocket, sector } from '../../wire/index.ts';
import { type AdjustPlan, planAdjust } from '../adjust/index.ts';
import type { MirrorConfig } from '../config.ts';
import type { MirrorAnswer, MirrorDifferences, MirrorReason, MirrorRequest, MirrorStatus } from '../status.ts';
import { Adoption } from './adoption.ts';
import { eachVolume } from './asking.ts';
import { Congestion } from './data/congestion.ts';
import { signed, tampered } from './data/integrity.ts';
import { LONGEST_PIECE, Pieces, SHORT_PIECE } from './data/pieces.ts';
import { Reads } from './data/reads.ts';
import { Receiver } from './data/receiver.ts';
import { Sender } from './data/sender.ts';
import { TwoPrimaries } from './data/two-primaries.ts';
import { DiskTimeouts } from './disks/disk-timeout.ts';
import { Disks } from './disks/disks.ts';
import { PeerDisks } from './disks/peer-disk.ts';
import { Resizes } from './disks/resizes.ts';
import type { Parts } from './parts.ts';
import { Agreements } from './peer/agreements.ts';
import { PROTOCOL_NUMBER } from './peer/facts.ts';
import { Joining } from './peer/joining.ts';
import { Leaving } from './peer/leaving.ts';
import { Link } from './peer/link.ts';
import { Patience } from './peer/patience.ts';
import { PeerStates } from './peer/peer-state.ts';
import { done, refused } from './reasons.ts';
import { differencesOf } from './resync/differences-of.ts';
import { FullSyncs } from './resync/full-sync.ts';
import { Paces } from './resync/paces.ts';
import { Pauses } from './resync/pauses.ts';
import { ResyncSteps } from './resync/resync-steps.ts';
import { Syncs } from './resync/syncs.ts';
import { Undos } from './resync/undo.ts';
import { Verifies } from './resync/verifies.ts';
import { Fencing } from './roles/fencing.ts';
import { Handlers } from './roles/handlers.ts';
import { Roles } from './roles/roles.ts';
import { Settings } from './settings.ts';
import { statusOf } from './status-of.ts';
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
import { Volume } from './volume.ts';

export type ResourceHost = {
  /** 64 random bits, for identifiers. */
  random64(): bigint;
  /** Milliseconds since the Unix epoch: for what people read. */
  wall(): number;
  /** CHALLENGE_BYTES bytes that nobody can foresee. */
  challenge(): Uint8Array;
  /** Somebody has one of the volumes open, whether or not a request is under way. */
  used(): boolean;
  /** shared-secret, where the configuration has one. */
  readonly secret: Uint8Array | undefined;
};
const EINVAL = -22;
const devicesOf = (all: readonly Devices[], volume: number): Devices =>
  all.find((d) => d.volume === volume) ?? {
    volume,
    placement: { kind: 'internal' },
    data: sector(0),
    metadata: sector(0),
  };
const REASONS_KEPT = 20;

export class Resource implements Context {
  config: MirrorConfig;
  /** Parts see what is added and taken out. */
  readonly volumes: Volume[] = [];
  readonly #host: ResourceHost;
  readonly #parts: Parts;
  #effects: ResourceEffect[] = [];
  #now: Microseconds = us(0);
  readonly #pieces = new Pieces();
  /** By tag, who is told of the result; tags are used again. */
  readonly #running: (((result: number) => void) | undefined)[] = [];
  readonly #freeTags: number[] = [];
  #reasons: MirrorReason[] = [];
  readonly #paces = new Paces();

  constructor(config: MirrorConfig, devices: readonly Devices[], host: ResourceHost) {
    this.config = config;
    this.#host = host;
    for (const v of config.volumes) this.volumes.push(new Volume(this, v, devicesOf(devices, v.number)));
    const parts = { config, c: this, volumes: this.volumes } as unknown as { -readonly [K in keyof Parts]: Parts[K] };
    const failed: Disks['failed'] = (v, on, io) => parts.disks.failed(v, on, io);
    const sending = ({ net }: MirrorConfig) => ({
      protocol: PROTOCOL_NUMBER[net.protocol],
      maxEpochSize: net.maxEpochSize,
      features: () => this.#parts.link.dialect.features,
    });
    const sender = new Sender(this, sending(config), failed);
    const receiver = new Receiver(this, failed);
    parts.sender = sender;
    parts.receiver = receiver;
    parts.disks = new Disks(parts);
    parts.diskTimeouts = new DiskTimeouts(parts, (tags) => this.#giveUp(tags));
    parts.reads = new Reads(parts);
    parts.handlers = new Handlers(parts);
    parts.fencing = new Fencing(parts);
    parts.peerDisks = new PeerDisks(parts);
    parts.link = new Link(parts, () => host.challenge(), host.secret);
    parts.syncs = new Syncs(parts);
    parts.steps = new ResyncSteps(parts, parts.syncs);
    parts.peerStates = new PeerStates(parts, parts.syncs);
    parts.roles = new Roles(parts, () => host.used());
    parts.agreements = new Agreements(parts);
    parts.leaving = new Leaving(parts);
    parts.two = new TwoPrimaries(parts);
    parts.verifies = new Verifies(parts);
    parts.fullSyncs = new FullSyncs(parts);
    parts.pauses = new Pauses(parts);
    parts.patience = new Patience(parts);
    parts.resizes = new Resizes(parts);
    parts.congestion = new Congestion(parts);
    parts.undos = new Undos(parts);
    parts.joining = new Joining(parts);
    parts.settings = new Settings(parts, (next) => {
      this.config = next;
      parts.config = next;
      sender.configure(sending(next));
    });
    parts.adoption = new Adoption(parts, {
      add: (v, given) => {
        const added = new Volume(this, v, devicesOf(given, v.number));
        this.volumes.push(added);
        this.volumes.sort((a, b) => a.number - b.number);
        this.#wire(added);
        return added;
      },
      remove: (v) => void this.volumes.splice(this.volumes.indexOf(v), 1),
    });
    this.#parts = parts;
    sender.onIdle = () => parts.roles.idle();
    sender.beforeSend = (v) => parts.congestion.consider(v);
    sender.onEpoch = () => parts.congestion.acknowledged();
    for (const v of this.volumes) this.#wire(v);
  }
  #wire(v: Volume): void {
    const { sender, receiver, reads, roles, syncs, disks } = this.#parts;
    v.onReady = () => {
      sender.ready(v);
      receiver.ready(v);
    };
    v.busy = (from, to) => sender.busy(v, from, to);
    v.onReleased = () => {
      sender.released(v);
      reads.released(v);
      roles.idle();
    };
    v.onBroken = () => disks.failed(v, v.backing, { op: 'read', offset: 0, length: 0 });
    v.onMetadataBroken = () => disks.failed(v, v.backing, { op: 'metadata', offset: 0, length: 0 });
    v.onRoles = () => syncs.rolesChanged(v);
    v.onResized = () => this.emit({ kind: 'resized', volume: v.number });
  }

  // ------------------------------------------------------------------------------------------ Context

  get now(): Microseconds {
    return this.#now;
  }
  wall(): number {
    return this.#host.wall();
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
    const tag = this.#freeTags.pop() ?? this.#running.length;
    this.#running[tag] = then;
    this.#parts.diskTimeouts.begun(volume, tag);
    this.emit({ kind: 'disk', tag, volume, on, operation });
  }
  /** Their tags are used again when they come back. */
  #giveUp(tags: readonly number[]): void {
    for (const tag of tags) {
      const then = this.#running[tag];
      this.#running[tag] = () => {};
      then?.(EIO);
    }
  }
  send(socket: DrbdSocket, packet: DrbdPacket, sent?: () => void): void {
    this.emit({ kind: 'send', socket, packet: signed(packet, this.config.net.dataIntegrity), sent });
  }
  reason(code: string, volume: number | undefined, words: Text): void {
    const reason = { at: this.#host.wall(), code, volume, text: words };
    this.#reasons = [...this.#reasons, reason].slice(-REASONS_KEPT);
    this.emit({ kind: 'reason', reason });
  }

  // ------------------------------------------------------------------------------------------ machine

  handle(e: ResourceEvent, now: Microseconds): void {
    this.#now = now;
    const { link, syncs, sender, receiver } = this.#parts;
    switch (e.kind) {
      case 'request':
        this.#request(e.id, e.request);
        return;
      case 'app':
        this.#app(this.volume(e.volume), e.request);
        return;
      case 'adjust':
        this.#parts.adoption.begin(e.adjusted, (a) => this.emit({ kind: 'answer', id: e.id, answer: a }));
        return;
      case 'disk': {
        const then = this.#running[e.tag];
        if (then === undefined) return;
        this.#running[e.tag] = undefined;
        this.#freeTags.push(e.tag);
        this.#parts.diskTimeouts.ended(e.tag);
        then(e.result);
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
      case 'dependency':
        this.#parts.pauses.depends(this.volume(e.volume), e.busy);
        return;
      case 'measured':
        this.#parts.resizes.measured(e.volume, e);
        return;
      case 'handled':
        this.#parts.handlers.ended(e.handler, e.status);
        return;
      case 'undone':
        this.#parts.undos.answered(e.id, e.failed, e.file);
        return;
      case 'tick':
        link.tick();
        syncs.tick();
        sender.tick();
        receiver.tick();
        this.#parts.handlers.tick();
        this.#parts.two.tick();
        this.#parts.patience.tick();
        this.#parts.congestion.tick();
        this.#parts.diskTimeouts.tick();
    }
  }
  takeEffects(): ResourceEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
  /** When the next tick is due. */
  deadline(): Microseconds | undefined {
    const { link, patience, congestion, diskTimeouts, handlers, two, syncs, sender, receiver } = this.#parts;
    const slow = earlier(congestion.deadline, diskTimeouts.deadline);
    const peer = earlier(link.deadline, earlier(patience.deadline, slow));
    const others = earlier(syncs.deadline, earlier(handlers.deadline, two.deadline));
    return earlier(peer, earlier(others, earlier(sender.deadline, receiver.deadline)));
  }
  volume(n: number): Volume {
    const v = this.volumes.find((one) => one.number === n);
    if (v === undefined) throw new Error(`bug: no volume ${n}`);
    return v;
  }
  status(): MirrorStatus {
    return statusOf(this.#parts, this.#reasons, this.#now, this.#paces);
  }
  /** What `want` would change; nothing is changed by asking. */
  planAdjust(want: MirrorConfig, secretChanged: boolean): AdjustPlan {
    return planAdjust(this.config, want, secretChanged, this.status());
  }
  differences(): MirrorDifferences {
    return differencesOf(this.#parts);
  }
  get connection(): Link['state'] {
    return this.#parts.link.state;
  }
  get primary(): boolean {
    return this.#parts.roles.primary;
  }
  /**
   * More packets of the data socket may come: else they would only wait here, and take memory. Where both are primary the
   * peer's writes may wait for ours, and ours for what the peer reads: then neither stops reading.
   */
  get hungry(): boolean {
    const { link, receiver, roles } = this.#parts;
    return !link.waits && (roles.primary || receiver.held < this.config.net.maxBuffers);
  }
  /** Nothing is under way: no request, no change, no write of metadata. */
  get quiet(): boolean {
    return this.#freeTags.length === this.#running.length && this.#parts.sender.inFlight === 0;
  }

  // ------------------------------------------------------------------------------------------ operators

  #request(id: number, r: MirrorRequest): void {
    const { link, roles, disks, fencing } = this.#parts;
    const about = this.volumes.filter((v) => !('volume' in r) || r.volume === undefined || v.number === r.volume);
    const answer = (a: MirrorAnswer): void => this.emit({ kind: 'answer', id, answer: a });
    switch (r.verb) {
      case 'up':
        disks.attach(this.volumes, (failed) => {
          if (failed !== undefined) return answer({ ok: false, code: 'no-local-disk', text: failed });
          if (link.state === 'StandAlone') link.seek();
          answer(done('up', '已启动'));
        });
        return;
      case 'attach':
        disks.attach(about, (failed) =>
          answer(
            failed === undefined ? done('attached', '已挂接') : { ok: false, code: 'no-local-disk', text: failed },
          ),
        );
        return;
      case 'down':
        roles.demote((a) => {
          if (!a.ok) return answer(a);
          this.#parts.leaving.disconnect(false, (b) => {
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
      case 'resolve':
        this.#parts.undos.resolve(r.folder, answer);
        return;
      case 'detach':
        this.#detach(about, r.force, answer);
        return;
      case 'suspend-io':
        fencing.suspend(about, answer);
        return;
      case 'resume-io':
        fencing.resume(about, answer);
        return;
      case 'outdate':
        fencing.outdate(about, answer);
        return;
      case 'disconnect':
        this.#parts.leaving.disconnect(r.force, answer);
        return;
      case 'primary':
        roles.promote(r.force, r.only, answer);
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
  #detach(volumes: readonly Volume[], force: boolean, answer: (a: MirrorAnswer) => void): void {
    const todo = volumes.filter((v) => v.backing !== undefined);
    let left = todo.length;
    if (left === 0) {
      answer(done('it is Diskless already', '已为 Diskless', false));
      return;
    }
    let bad = false;
    for (const v of todo)
      this.#parts.disks.detach(v, force, (how) => {
        bad ||= how === 'no-good-disk';
        if (--left > 0) return;
        if (!bad) return answer(done('detached', '已卸离'));
        answer(refused('no-good-disk', NOTHING_ELSE.en, NOTHING_ELSE.zh));
      });
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
    v.usedAt = this.#now;
    if (r.op === 'read') {
      this.#parts.reads.read(v, r);
      return;
    }
    v.wroteAt = this.#now;
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
  #packet(socket: DrbdSocket, p: DrbdPacket): void {
    const { link, reads, two } = this.#parts;
    const wrong = tampered(p, this.config.net.dataIntegrity);
    if (wrong !== undefined) {
      link.closed(wrong);
      return;
    }
    const { era } = link;
    // What a read is answered with is in memory that is received into again; a read of the peer waits behind its writes.
    const waits = p.kind === 'P_DATA_REQUEST' && link.waits;
    if (!link.established || waits || !reads.packet(p)) link.packet(socket, p);
    // What waited for this acknowledgement is judged when it has had its effect.
    if (era === link.era) two.heard(socket, p);
  }
}
const NOTHING_ELSE = text(
  'a primary has no other good data: nothing would be left to read',
  '主节点没有其他完好数据：卸离后将无数据可读',
);
const earlier = (a: Microseconds | undefined, b: Microseconds | undefined): Microseconds | undefined =>
  a === undefined || (b !== undefined && b < a) ? b : a;
