/**
 * One resource over real disks and sockets: does what the machine says, and tells it what happened. It decides nothing;
 * what a turn led to is sent together.
 */
import { randomBytes } from 'node:crypto';
import { type Bytes, bytes, err, ok, type Result, text } from '../../base/index.ts';
import type { ExportBackend } from '../../exports/index.ts';
import type { BlockQueue, Cancel, Clock, HostError, Log, Processes } from '../../host/index.ts';
import {
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
  readonly clock: Clock;
  readonly log: Log;
  readonly processes: Pick<Processes, 'run'>;
};
/** `file`: of the configuration, as handlers are told it. */
export type MirrorGiven = { readonly secret: Uint8Array | undefined; readonly file: string | undefined };
type Disks = { readonly data: MirrorDisk; readonly metadata: MirrorDisk };

/** Opens what a volume lies on. */
function openVolume(h: MirrorHost, v: VolumeConfig): Result<Disks, HostError> {
  const open = (path: string): Result<MirrorDisk, HostError> => {
    // Files go through the page cache: requests of 512 bytes are as good as others there.
    const block = path.startsWith('/dev/');
    const device = h.blocks.open(path, { readOnly: false, direct: block ? 'auto' : 'no', exclusive: true });
    if (!device.ok) return device;
    const region = h.blocks.reserve(DISK_NEEDS.requests, DISK_NEEDS.bytes);
    if (region === undefined)
      return err({ code: 'ENOMEM', doing: text('reserve memory for a mirror', '为镜像预留内存') });
    return ok(new MirrorDisk(h.blocks, device.value, region));
  };
  if (v.disk === undefined)
    return err({ code: 'ENODEV', doing: text(`open volume ${v.number}`, `打开卷 ${v.number}`) });
  const data = open(v.disk);
  if (!data.ok || v.metadata.kind === 'internal')
    return data.ok ? ok({ data: data.value, metadata: data.value }) : data;
  const metadata = open(v.metadata.device);
  return metadata.ok ? ok({ data: data.value, metadata: metadata.value }) : metadata;
}

export class MirrorProcess {
  readonly #h: MirrorHost;
  readonly #config: MirrorConfig;
  readonly #file: string | undefined;
  readonly #resource: Resource;
  readonly #handlers: HandlerRunner;
  readonly #disks = new Map<number, Disks>();
  readonly #peer: PeerSockets;
  readonly #undos: UndoFiles;
  readonly #asked = new Map<number, (a: MirrorAnswer) => void>();
  readonly #done = new Map<number, (tag: number, result: number) => void>();
  readonly #resized = new Map<number, () => void>();
  /** With the time of day, which the resource does not know. */
  #nextId = 1;
  #cancel: Cancel = () => {};
  #pumping = false;
  #planned = false;
  /** After each turn: the export server sends what is answered. */
  settle: () => void = () => {};

  constructor(h: MirrorHost, config: MirrorConfig, disks: ReadonlyMap<number, Disks>, given: MirrorGiven) {
    this.#h = h;
    this.#config = config;
    this.#file = given.file;
    this.#handlers = new HandlerRunner(h.processes, (handler, status) =>
      this.#feed({ kind: 'handled', handler, status }),
    );
    this.#undos = new UndoFiles(() => h.clock.wall());
    for (const [n, d] of disks) this.#disks.set(n, d);
    const devices = config.volumes.flatMap((v): Devices[] => {
      const d = disks.get(v.number);
      if (d === undefined) return [];
      return [
        {
          volume: v.number,
          placement: placementOf(v.metadata),
          data: sector(d.data.sectors),
          metadata: sector(d.metadata.sectors),
        },
      ];
    });
    this.#resource = new Resource(config, devices, {
      random64: () => randomBytes(8).readBigUInt64LE(),
      wall: () => h.clock.wall(),
      challenge: () => new Uint8Array(randomBytes(64)),
      secret: given.secret,
    });
    this.#peer = new PeerSockets(config, {
      socket: (socket, opened) => this.#feed({ kind: 'socket', socket, opened }),
      packet: (socket, packet) => this.#feed({ kind: 'packet', socket, packet }),
      closed: (because) => this.#feed({ kind: 'closed', because }),
    });
  }
  static open(h: MirrorHost, config: MirrorConfig, given: MirrorGiven): Result<MirrorProcess, HostError> {
    const disks = new Map<number, Disks>();
    for (const v of config.volumes) {
      if (v.disk === undefined) continue;
      const opened = openVolume(h, v);
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
  status(): MirrorStatus {
    return this.#resource.status();
  }
  differences(): MirrorDifferences {
    return this.#resource.differences();
  }
  get primary(): boolean {
    return this.#resource.primary;
  }

  #feed(e: ResourceEvent): void {
    this.#resource.handle(e, this.#h.clock.now());
    this.#pump();
  }
  /** Later in this turn: who asks must not be answered before its call returns. */
  #soon(e: ResourceEvent): void {
    this.#resource.handle(e, this.#h.clock.now());
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.#pump();
    });
  }
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#peer.cork(true);
    for (let effects = this.#resource.takeEffects(); effects.length > 0; effects = this.#resource.takeEffects())
      for (const e of effects) this.#apply(e);
    this.#peer.cork(false);
    this.#pumping = false;
    this.#h.blocks.submit();
    this.settle();
    this.#cancel();
    const due = this.#resource.deadline();
    if (due !== undefined) this.#cancel = this.#h.clock.at(due, () => this.#feed({ kind: 'tick' }));
  }
  #apply(e: ResourceEffect): void {
    switch (e.kind) {
      case 'disk':
        this.#disks
          .get(e.volume)
          ?.[e.on].run(e.operation, (result) => this.#feed({ kind: 'disk', tag: e.tag, result }));
        return;
      case 'send':
        this.#peer.send(e.socket, e.packet);
        return;
      case 'agree':
        this.#peer.agree(e.dialect);
        return;
      case 'seek':
        this.#peer.seek();
        return;
      case 'open':
        this.#peer.open(e.socket);
        return;
      case 'close':
        this.#peer.close(e.verdict);
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
        app({ op: 'write', tag, offset, bytes: at(from, length), through }),
      flush: (tag) => app({ op: 'flush', tag }),
      trim: (tag, length, offset) => app({ op: 'zero', tag, offset, length, unmap: true }),
      zero: (tag, length, offset, mode) => app({ op: 'zero', tag, offset, length, unmap: !mode.keep }),
      extents: () => undefined,
      submit: () => this.#pump(),
    };
  }
}
