/** One host of a simulated mirror: the real resource over a simulated disk, with a process that can die. */
import { text } from '../../base/index.ts';
import {
  type AppRequest,
  Bitmap,
  bitmapPageSector,
  computeLayout,
  decodeSuperblock,
  encodeSuperblock,
  freshMetadata,
  MD_FLAG,
  type MirrorAnswer,
  type MirrorConfig,
  type MirrorHandler,
  type MirrorRequest,
  Resource,
  type ResourceEvent,
} from '../../mirror/index.ts';
import { type DrbdPacket, type DrbdSocket, type GenerationId, sector } from '../../wire/index.ts';
import type { World } from '../world.ts';
import { SimDisk } from './disk.ts';
import type { Line } from './line.ts';
import { SimUndo } from './undo.ts';

/** The driver's side of the network: who is looking for the peer, and who has done with that. */
export interface Rendezvous {
  seeks(node: SimNode): void;
  opens?(node: SimNode, socket: DrbdSocket): void;
  agreed?(node: SimNode): void;
  /** It closes what it has. */
  leaves?(node: SimNode): void;
  /** Its process is gone, and with `power` its machine. */
  dies?(node: SimNode, power: boolean): void;
}
export type LineEnd = { readonly line: Line; readonly end: 0 | 1 };

/** What a program does: its exit code comes when `ended` is called; never: it hangs until it is killed. */
export type SimHandler = (name: MirrorHandler, ended: (status: number) => void) => void;

/** Microseconds. */
const UNDO_STEP = 10_000;

export class SimNode {
  readonly name: string;
  readonly index: 0 | 1;
  readonly disk: SimDisk;
  /** Of volumes beside the first, where a world has some. */
  readonly more = new Map<number, SimDisk>();
  readonly #world: World;
  #config: MirrorConfig;
  readonly #meet: Rendezvous;
  resource: Resource | undefined;
  /** Of each socket; often the same for both. */
  lines: Partial<Record<DrbdSocket, LineEnd>> = {};
  seeking = false;
  /** In this life it agreed with its peer on a protocol: what the peer wrote since may be in its memory alone. */
  met = false;
  /** A machine that is stopped for a while does nothing, and its peer hears nothing. */
  pausedUntil = 0;
  #inbox: (ResourceEvent | (() => void))[] = [];
  #cancel = (): void => {};
  #pumping = false;
  #nextRequest = 1;
  readonly #asked = new Map<number, (a: MirrorAnswer) => void>();
  #nextTag = 1;
  readonly #app = new Map<number, (result: number) => void>();
  /** Programs die with their machine. */
  #life = 0;
  /** How often it died. */
  get lives(): number {
    return this.#life;
  }
  readonly undo = new SimUndo();
  onHandler: SimHandler = (_, ended) => ended(0);

  constructor(index: 0 | 1, world: World, meet: Rendezvous, config: MirrorConfig, bytes: number) {
    this.index = index;
    this.name = config.host;
    this.#world = world;
    this.#config = config;
    this.#meet = meet;
    this.disk = new SimDisk(world, bytes);
  }
  get alive(): boolean {
    return this.resource !== undefined;
  }
  get config(): MirrorConfig {
    return this.#config;
  }
  diskOf(volume: number): SimDisk {
    return this.more.get(volume) ?? this.disk;
  }
  devicesOf(volume: number) {
    const size = sector(this.diskOf(volume).bytes / 512);
    return { volume, placement: { kind: 'internal' as const }, data: size, metadata: size };
  }
  /** `generation`: both disks hold the same, zeros, as after a first copy; undefined: new metadata. */
  format(alExtents: number, generation: GenerationId | undefined, volume = 0): void {
    const disk = this.diskOf(volume);
    const { bytes } = disk;
    const made = freshMetadata({ kind: 'internal' }, { metaSize: bytes, dataSize: bytes, alExtents });
    if (!made.ok) throw new Error(made.error.kind);
    for (const w of made.value.writes) disk.put(w.at * 512, w.bytes);
    const superblock = made.value.writes.at(-1);
    if (generation === undefined || superblock === undefined) return;
    const layout = computeLayout({ kind: 'internal' }, this.devicesOf(volume).metadata);
    const fresh = decodeSuperblock(superblock.bytes);
    if (!layout.ok || !fresh.ok) throw new Error('bug: metadata that was just made');
    const bitmap = new Bitmap(layout.value.dataLimit / 8);
    for (let p = 0; p < bitmap.pages; p++) disk.put(bitmapPageSector(layout.value, p) * 512, bitmap.page(p));
    const uuids = { ...fresh.value.uuids, current: generation };
    const flags = MD_FLAG.consistent | MD_FLAG.wasUpToDate;
    disk.put(superblock.at * 512, encodeSuperblock({ ...fresh.value, uuids, flags }));
  }
  boot(): void {
    const { random: r } = this.#world;
    const devices = this.#config.volumes.map((v) => this.devicesOf(v.number));
    this.resource = new Resource(this.#config, devices, {
      random64: () => (BigInt(r.u32()) << 32n) | BigInt(r.u32()),
      wall: () => Math.floor(this.#world.now / 1000),
      challenge: () => Uint8Array.from({ length: 64 }, () => r.u32() & 255),
      used: () => false,
      secret: undefined,
    });
    this.#world.note(this.name, 'boots');
    this.ask({ verb: 'up' }, () => {});
  }
  /** A crash now interrupts something: requests, writes of the disk, a handshake, a resync. */
  atWork(power: boolean): boolean {
    const r = this.resource;
    if (r === undefined) return false;
    const between = r.volumes.some(
      (v) => v.connection !== 'Connected' && (v.connected || r.connection !== 'WFConnection'),
    );
    return !r.quiet || between || this.disk.pending(power) > 0;
  }
  kill(power: boolean): void {
    if (this.resource === undefined) return;
    this.#world.note(this.name, power ? 'power cut' : 'process killed');
    this.#cancel();
    this.resource = undefined;
    this.seeking = false;
    this.met = false;
    this.#inbox = [];
    this.#life++;
    this.#asked.clear();
    this.#app.clear();
    // A process that dies has its sockets closed by its kernel; a machine without power says nothing.
    for (const l of this.#lines()) power ? l.line.vanish(l.end) : l.line.close(l.end);
    this.lines = {};
    this.#meet.dies?.(this, power);
    for (const d of [this.disk, ...this.more.values()]) power ? d.cut() : d.kill();
  }

  #send(socket: DrbdSocket, packet: DrbdPacket): void {
    const l = this.lines[socket];
    l?.line.send(l.end, socket, packet);
  }
  #lines(): Set<LineEnd> {
    return new Set(Object.values(this.lines));
  }
  ask(request: MirrorRequest, then: (a: MirrorAnswer) => void): void {
    const id = this.#nextRequest++;
    this.#asked.set(id, then);
    this.feed({ kind: 'request', id, request });
  }
  /** Its file names other volumes; what it is told of them it keeps when it starts again. */
  adjust(config: MirrorConfig, then: (a: MirrorAnswer) => void): void {
    const id = this.#nextRequest++;
    this.#asked.set(id, then);
    const there = new Set(this.#config.volumes.map((v) => v.number));
    const devices = config.volumes.filter((v) => !there.has(v.number)).map((v) => this.devicesOf(v.number));
    const words = text('adjusted', '已调整');
    const adjusted = { config, secret: undefined, devices, reconnects: false, words };
    this.feed({ kind: 'adjust', id, adjusted });
  }
  app(request: Omit<AppRequest, 'tag'> & Record<string, unknown>, then: (result: number) => void, volume = 0): void {
    const tag = this.#nextTag++;
    this.#app.set(tag, then);
    this.feed({ kind: 'app', volume, request: { ...request, tag } as AppRequest });
  }
  feed(e: ResourceEvent | (() => void)): void {
    if (this.resource === undefined) return;
    this.#inbox.push(e);
    this.#pump();
  }
  /** From inside what `feed` was given: before anything else. */
  handle(e: ResourceEvent): void {
    this.resource?.handle(e, this.#world.now);
    this.#apply();
  }
  pause(time: number): void {
    if (!this.alive) return;
    this.pausedUntil = this.#world.now + time;
    this.#world.at(this.pausedUntil, () => this.#pump());
  }
  #pump(): void {
    if (this.#pumping || this.pausedUntil > this.#world.now) return;
    this.#pumping = true;
    for (;;) {
      this.#apply();
      const e = this.#inbox.shift();
      if (e === undefined || this.resource === undefined) break;
      if (typeof e === 'function') e();
      else this.resource.handle(e, this.#world.now);
    }
    this.#pumping = false;
    this.#arm();
  }
  #apply(): void {
    const r = this.resource;
    if (r === undefined) return;
    for (let effects = r.takeEffects(); effects.length > 0; effects = r.takeEffects())
      for (const e of effects) {
        if (this.resource !== r) break;
        switch (e.kind) {
          case 'disk':
            this.diskOf(e.volume).run(e.operation, (result) => this.feed({ kind: 'disk', tag: e.tag, result }));
            break;
          case 'send':
            this.#send(e.socket, e.packet);
            e.sent?.();
            break;
          case 'agree':
            this.met = true;
            for (const l of this.#lines()) l.line.agree(l.end, e.dialect);
            this.#meet.agreed?.(this);
            break;
          case 'open':
            this.#meet.opens?.(this, e.socket);
            break;
          case 'seek':
            this.seeking = true;
            this.#meet.seeks(this);
            break;
          case 'close':
            for (const l of this.#lines()) l.line.close(l.end);
            this.lines = {};
            this.seeking = false;
            this.#meet.leaves?.(this);
            break;
          case 'done': {
            const then = this.#app.get(e.tag);
            this.#app.delete(e.tag);
            then?.(e.result);
            break;
          }
          case 'answer': {
            const then = this.#asked.get(e.id);
            this.#asked.delete(e.id);
            this.#world.note(this.name, e.answer.text.en);
            then?.(e.answer);
            break;
          }
          case 'run': {
            const life = this.#life;
            this.onHandler(e.name, (status) => {
              if (life === this.#life) this.feed({ kind: 'handled', handler: e.handler, status });
            });
            break;
          }
          case 'undo': {
            const life = this.#life;
            const failed = this.undo.step(e.volume, e.step);
            // Files take their time: nothing of this happens within the call.
            this.#world.at(this.#world.now + UNDO_STEP, () => {
              if (life === this.#life) this.feed({ kind: 'undone', id: e.id, failed, file: this.undo.name });
            });
            break;
          }
          case 'measure': {
            const size = sector(this.disk.bytes / 512);
            this.feed({ kind: 'measured', volume: e.volume, data: size, metadata: size });
            break;
          }
          case 'adopted':
            this.#config = e.config;
            break;
          case 'reason':
            this.#world.note(this.name, e.reason.text.en);
            break;
          default:
            break;
        }
      }
  }
  #arm(): void {
    this.#cancel();
    const due = this.resource?.deadline();
    if (due === undefined) return;
    this.#cancel = this.#world.at(Math.max(due, this.#world.now + 1), () => this.feed({ kind: 'tick' }));
  }
}
