/**
 * One resource over real disks and sockets: does what the machine says, and tells it what happened. It decides nothing;
 * what a turn led to is sent together.
 */
import { randomBytes } from 'node:crypto';
import { type Bytes, bytes, err, type Microseconds, ok, type Result, text } from '../../base/index.ts';
import type { ExportBackend } from '../../exports/index.ts';
import type {
  BlockDevice,
  BlockQueue,
  Cancel,
  Clock,
  HostError,
  Log,
  Processes,
  StreamListener,
  StreamServer,
} from '../../host/index.ts';
import {
  type Adjusted,
  type AdjustPlan,
  type Devices,
  type MirrorAnswer,
  type MirrorConfig,
  type MirrorDifferences,
  type MirrorRequest,
  type MirrorStatus,
  placementOf,
  Resource,
  type ResourceEffect,
  type ResourceEvent,
  type VolumeConfig,
} from '../../mirror/index.ts';
import { sector } from '../../wire/index.ts';
import { DISK_NEEDS, MirrorDisk } from './disk.ts';
import { HandlerRunner, handlerCommand } from './handlers.ts';
import { PeerSockets } from './peer.ts';
import { UndoFiles } from './undo-files.ts';

export type MirrorHost = {
  readonly blocks: BlockQueue;
  /** Another queue with room for so many disks: of volumes that are added, so that nobody else pays for them. */
  readonly moreBlocks: (disks: number) => Result<BlockQueue, HostError>;
  readonly streams: StreamServer;
  readonly clock: Clock;
  readonly log: Log;
  readonly processes: Pick<Processes, 'run'>;
};
/** `file`: of the configuration, as handlers are told it. */
export type MirrorGiven = { readonly secret: Uint8Array | undefined; readonly file: string | undefined };
/** Bytes that the peer has not taken; beyond it writes of applications wait. */
const MOST_UNTAKEN = 4 << 20;
type Disks = { readonly data: MirrorDisk; readonly metadata: MirrorDisk };
function closeDisks(d: Disks): void {
  d.data.close();
  if (d.metadata !== d.data) d.metadata.close();
}
/** How many a volume lies on. */
export const disksOf = (v: VolumeConfig): number => (v.metadata.kind === 'internal' ? 1 : 2);
const devicesOf = (v: VolumeConfig, d: Disks): Devices => ({
  volume: v.number,
  placement: placementOf(v.metadata),
  data: sector(d.data.sectors),
  metadata: sector(d.metadata.sectors),
});

function beginReads({ data, metadata }: Disks): void {
  data.begin();
  metadata.begin();
}

const NOTHING = new Uint8Array(0);
/** The mirror's own unit: places and sizes of DRBD are in sectors. */
const SECTOR_BYTES = 512;
/** Past the page cache, which would only keep a second copy; but a file whose file system wants larger units goes through it. */
function openDevice(blocks: BlockQueue, path: string): Result<BlockDevice, HostError> {
  const options = { readOnly: false, exclusive: true } as const;
  const device = blocks.open(path, { ...options, direct: 'auto' });
  if (!device.ok || device.value.isBlockDevice || device.value.unit <= SECTOR_BYTES) return device;
  device.value.close();
  return blocks.open(path, { ...options, direct: 'no' });
}
/** Opens what a volume lies on. */
function openVolume(blocks: BlockQueue, v: VolumeConfig): Result<Disks, HostError> {
  const open = (path: string): Result<MirrorDisk, HostError> => {
    const device = openDevice(blocks, path);
    if (!device.ok) return device;
    const region = blocks.reserve(DISK_NEEDS.requests, DISK_NEEDS.bytes);
    if (region === undefined) {
      device.value.close();
      return err({ code: 'ENOMEM', doing: text('reserve memory for a mirror', '为镜像预留内存') });
    }
    return ok(new MirrorDisk(blocks, device.value, region, v.options.diskTimeout !== undefined));
  };
  if (v.disk === undefined)
    return err({ code: 'ENODEV', doing: text(`open volume ${v.number}`, `打开卷 ${v.number}`) });
  const data = open(v.disk);
  if (!data.ok || v.metadata.kind === 'internal')
    return data.ok ? ok({ data: data.value, metadata: data.value }) : data;
  const metadata = open(v.metadata.device);
  if (metadata.ok) return ok({ data: data.value, metadata: metadata.value });
  data.value.close();
  return metadata;
}

export class MirrorProcess {
  readonly #h: MirrorHost;
  #config: MirrorConfig;
  readonly #file: string | undefined;
  #secret: Uint8Array | undefined;
  #adjusting = false;
  /** Of volumes that were added, by their numbers. */
  readonly #queues = new Map<number, BlockQueue>();
  /** Volumes whose disks are open, and that are about to be adopted. */
  #come: number[] = [];
  /** Of an address that is about to be adopted. */
  #listener: StreamListener | undefined;
  readonly #resource: Resource;
  readonly #handlers: HandlerRunner;
  readonly #disks = new Map<number, Disks>();
  readonly #peer: PeerSockets;
  readonly #undos: UndoFiles;
  readonly #asked = new Map<number, (a: MirrorAnswer) => void>();
  readonly #done = new Map<number, (tag: number, result: number) => void>();
  readonly #resized = new Map<number, () => void>();
  readonly #held: ResourceEvent[] = [];
  #nextId = 1;
  #cancel: Cancel = () => {};
  #armed: Microseconds | undefined;
  #pumping = false;
  #planned = false;
  /** After each turn: the export server sends what is answered. */
  settle: () => void = () => {};
  /** Whether a client has one of its volumes open. */
  used: () => boolean = () => false;
  /** Its settings are others from now on. */
  adopted: (config: MirrorConfig) => void = () => {};

  constructor(h: MirrorHost, config: MirrorConfig, disks: ReadonlyMap<number, Disks>, given: MirrorGiven) {
    this.#h = h;
    this.#config = config;
    this.#file = given.file;
    this.#secret = given.secret;
    this.#handlers = new HandlerRunner(h.processes, (handler, status) =>
      this.#feed({ kind: 'handled', handler, status }),
    );
    this.#undos = new UndoFiles(() => h.clock.wall());
    for (const [n, d] of disks) this.#disks.set(n, d);
    const devices = config.volumes.flatMap((v): Devices[] => {
      const d = disks.get(v.number);
      return d === undefined ? [] : [devicesOf(v, d)];
    });
    this.#resource = new Resource(config, devices, {
      random64: () => randomBytes(8).readBigUInt64LE(),
      wall: () => h.clock.wall(),
      challenge: () => new Uint8Array(randomBytes(64)),
      used: () => this.used(),
      secret: given.secret,
    });
    this.#peer = new PeerSockets(config, h.streams, {
      socket: (socket, opened) => this.#feed({ kind: 'socket', socket, opened }),
      packet: (socket, packet) => {
        this.#tell({ kind: 'packet', socket, packet });
        // How the next one is to be read, and whether there is one, may depend on what this one led to.
        if (this.#resource.connection !== 'Connected') this.#pump();
      },
      closed: (because) => this.#feed({ kind: 'closed', because }),
      settled: () => this.#later(),
    });
    h.blocks.onBatch(() => this.#later());
  }
  static open(h: MirrorHost, config: MirrorConfig, given: MirrorGiven): Result<MirrorProcess, HostError> {
    const disks = new Map<number, Disks>();
    for (const v of config.volumes) {
      if (v.disk === undefined) continue;
      const opened = openVolume(h.blocks, v);
      if (!opened.ok) return opened;
      disks.set(v.number, opened.value);
    }
    return ok(new MirrorProcess(h, config, disks, given));
  }
  /** `failed` is told when the port cannot be had. */
  listen(failed: (code: string) => void): void {
    this.#peer.listen(failed);
  }
  stop(): void {
    this.#cancel();
    this.#peer.stop();
  }
  ask(request: MirrorRequest, then: (a: MirrorAnswer) => void): void {
    const id = this.#nextId++;
    this.#asked.set(id, then);
    this.#feed({ kind: 'request', id, request });
  }
  /** What another configuration would change; nothing is changed by asking. `secret`: the one that it refers to. */
  planAdjust(want: MirrorConfig, secret: Uint8Array | undefined): AdjustPlan {
    const changed = Buffer.compare(secret ?? NOTHING, this.#secret ?? NOTHING) !== 0;
    return this.#resource.planAdjust(want, changed);
  }
  /** All of it, or nothing. */
  adjust(change: Omit<Adjusted, 'devices'>, then: (a: MirrorAnswer) => void): void {
    if (this.#adjusting) {
      then({ ok: false, code: 'in-transient', text: text('it is just being adjusted', '正在调整') });
      return;
    }
    const { local } = change.config;
    const moved = local.address !== this.#config.local.address || local.port !== this.#config.local.port;
    if (moved) {
      const listener = this.#peer.listenAs(change.config);
      if (!listener.ok) {
        const at = `${local.address}:${local.port}: ${listener.error.code}`;
        then({ ok: false, code: 'not-supported', text: text(`cannot listen on ${at}`, `无法监听 ${at}`) });
        return;
      }
      this.#listener = listener.value;
    }
    this.#adjusting = true;
    const opened = this.#openNew(change.config);
    const end = (a: MirrorAnswer): void => {
      this.#adjusting = false;
      if (a.ok) this.#secret = change.secret;
      else this.#listener?.close();
      this.#listener = undefined;
      if (!a.ok) for (const n of this.#come.splice(0)) this.#close(n);
      this.#come = [];
      then(a);
    };
    if (!opened.ok) {
      const { doing, code } = opened.error;
      const words = text(`${doing.en}: ${code}: nothing was changed`, `${doing.zh}：${code}：未作任何更改`);
      end({ ok: false, code: 'no-local-disk', text: words });
      return;
    }
    const id = this.#nextId++;
    this.#asked.set(id, end);
    this.#feed({ kind: 'adjust', id, adjusted: { ...change, devices: opened.value } });
  }
  /** What the volumes lie on that come. */
  #openNew(want: MirrorConfig): Result<Devices[], HostError> {
    const devices: Devices[] = [];
    for (const v of want.volumes) {
      if (v.disk === undefined || this.#config.volumes.some((one) => one.number === v.number)) continue;
      const blocks = this.#h.moreBlocks(disksOf(v));
      if (!blocks.ok) return blocks;
      const opened = openVolume(blocks.value, v);
      if (!opened.ok) {
        blocks.value.close();
        return opened;
      }
      blocks.value.onBatch(() => this.#later());
      this.#queues.set(v.number, blocks.value);
      this.#come.push(v.number);
      this.#disks.set(v.number, opened.value);
      devices.push(devicesOf(v, opened.value));
    }
    return ok(devices);
  }
  #close(volume: number): void {
    const d = this.#disks.get(volume);
    this.#disks.delete(volume);
    if (d !== undefined) closeDisks(d);
    this.#queues.get(volume)?.close();
    this.#queues.delete(volume);
  }
  /** Whether what a volume comes after is under way. */
  depends(volume: number, busy: boolean): void {
    if (this.#config.volumes.some((v) => v.number === volume)) this.#feed({ kind: 'dependency', volume, busy });
  }
  status(): MirrorStatus {
    return this.#resource.status();
  }
  differences(): MirrorDifferences {
    return this.#resource.differences();
  }
  get primary(): boolean {
    return this.#resource.primary;
  }
  /** One that was added while the others were primary is not, before it is asked for. */
  isPrimary(volume: number): boolean {
    return this.#resource.volume(volume).primary;
  }

  #tell(e: ResourceEvent): void {
    this.#resource.handle(e, this.#h.clock.now());
  }
  #feed(e: ResourceEvent): void {
    this.#tell(e);
    this.#pump();
  }
  /** Later in this turn: who asks must not be answered before its call returns. */
  #soon(e: ResourceEvent): void {
    this.#tell(e);
    this.#later();
  }
  #later(): void {
    if (this.#planned || this.#pumping) return;
    this.#planned = true;
    setImmediate(this.#turnEnds);
  }
  readonly #turnEnds = (): void => {
    this.#planned = false;
    this.#pump();
  };
  /** Does what the machine wants, until it wants no more: the peer's part first, since it takes longer. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    let effects = this.#resource.takeEffects();
    let released: boolean;
    do {
      for (const e of effects) this.#apply(e);
      this.#peer.flush();
      for (const d of this.#disks.values()) beginReads(d);
      // What is finished at once is told of before this returns.
      this.#h.blocks.submit();
      for (const q of this.#queues.values()) q.submit();
      released = this.#release();
      effects = this.#resource.takeEffects();
    } while (released || effects.length > 0);
    this.#peer.want(this.#resource.hungry);
    this.#pumping = false;
    this.settle();
    this.#arm();
  }
  /** A timer that is early asks in vain; so one is armed anew only where it would be late. */
  #arm(): void {
    const due = this.#resource.deadline();
    if (due === undefined || (this.#armed !== undefined && this.#armed <= due)) return;
    this.#cancel();
    this.#armed = due;
    this.#cancel = this.#h.clock.at(due, () => {
      this.#armed = undefined;
      this.#feed({ kind: 'tick' });
    });
  }
  /** Writes of applications that waited for the peer to take what was sent. True: some went on, and what they led to begins now. */
  #release(): boolean {
    const before = this.#held.length;
    while (this.#held.length > 0 && this.#peer.untaken < MOST_UNTAKEN) {
      const e = this.#held.shift();
      if (e !== undefined) this.#tell(e);
      // What it sends counts at once.
      for (const effect of this.#resource.takeEffects()) this.#apply(effect);
    }
    return this.#held.length < before;
  }
  #apply(e: ResourceEffect): void {
    switch (e.kind) {
      case 'disk':
        this.#disks.get(e.volume)?.[e.on].run(e.operation, (result) => {
          if (e.operation.op === 'write') this.#peer.release(e.operation.bytes);
          this.#tell({ kind: 'disk', tag: e.tag, result });
        });
        return;
      case 'send':
        this.#peer.send(e.socket, e.packet, e.sent);
        return;
      case 'agree':
        this.#peer.agree(e.dialect);
        return;
      case 'abandon': {
        const d = this.#disks.get(e.volume);
        d?.data.abandon();
        if (d?.metadata !== d?.data) d?.metadata.abandon();
        return;
      }
      case 'seek':
        this.#peer.seek();
        return;
      case 'open':
        this.#peer.open(e.socket);
        return;
      case 'close':
        this.#peer.close(e.verdict);
        return;
      case 'adopted':
        for (const { number } of this.#config.volumes)
          if (!e.config.volumes.some((v) => v.number === number)) {
            this.#close(number);
            this.#done.delete(number);
            this.#resized.delete(number);
          }
        this.#config = e.config;
        this.#peer.adopt(e.config, this.#listener);
        this.#listener = undefined;
        this.adopted(e.config);
        return;
      case 'done':
        this.#done.get(e.volume)?.(e.tag, e.result);
        return;
      case 'answer': {
        const then = this.#asked.get(e.id);
        this.#asked.delete(e.id);
        then?.(e.answer);
        return;
      }
      case 'reason':
        this.#h.log.write({ level: 'notice', code: e.reason.code, text: e.reason.text });
        return;
      case 'measure': {
        const d = this.#disks.get(e.volume);
        if (d === undefined) return;
        const [data, metadata] = [sector(d.data.measure()), sector(d.metadata.measure())];
        this.#feed({ kind: 'measured', volume: e.volume, data, metadata });
        return;
      }
      case 'resized':
        this.#resized.get(e.volume)?.();
        return;
      case 'undo':
        this.#undos.run(e.volume, e.step, (failed, file) => this.#feed({ kind: 'undone', id: e.id, failed, file }));
        return;
      case 'run': {
        const command = handlerCommand(this.#config, e.name, e.volume, this.#file);
        if (command !== undefined) this.#handlers.run(e.handler, command);
        return;
      }
      case 'end-run':
        this.#handlers.kill(e.handler);
    }
  }

  /** The volume as what stands behind an export. */
  backend(volume: number): ExportBackend {
    const { slab } = this.#h.blocks;
    const at = (from: number, length: number): Uint8Array => slab.subarray(from, from + length);
    const v = this.#resource.volume(volume);
    const app = (request: Extract<ResourceEvent, { kind: 'app' }>['request']): void =>
      this.#soon({ kind: 'app', volume, request });
    const change: typeof app = (request) => {
      if (this.#held.length > 0 || this.#peer.untaken >= MOST_UNTAKEN)
        this.#held.push({ kind: 'app', volume, request });
      else app(request);
    };
    return {
      get size(): Bytes {
        return bytes(v.size * 512);
      },
      unit: 512,
      preferredBlock: 4096,
      readOnly: false,
      rotational: false,
      canTrim: true,
      canCache: false,
      canMultiConn: true,
      onDone: (done) => this.#done.set(volume, done),
      onResize: (changed) => this.#resized.set(volume, changed),
      read: (tag, from, length, offset) => app({ op: 'read', tag, offset, into: at(from, length) }),
      write: (tag, from, length, offset, through) =>
        change({ op: 'write', tag, offset, bytes: at(from, length), through }),
      flush: (tag) => app({ op: 'flush', tag }),
      trim: (tag, length, offset) => change({ op: 'zero', tag, offset, length, unmap: true }),
      zero: (tag, length, offset, mode) => change({ op: 'zero', tag, offset, length, unmap: !mode.keep }),
      extents: () => undefined,
      submit: () => this.#later(),
    };
  }
}
