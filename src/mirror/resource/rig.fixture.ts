/**
 * One resource over a disk in memory, with a scripted peer: it says what a test tells it to, and what the resource says is
 * kept. `connect` goes through the handshake with a peer that has the same settings and the same data.
 */
import assert from 'node:assert/strict';
import { us } from '../../base/index.ts';
import {
  DRBD_CONNECTIONS,
  DRBD_DISKS,
  type DrbdDisk,
  type DrbdPacket,
  type DrbdSocket,
  encodeState,
  type GenerationId,
  sector,
} from '../../wire/index.ts';
import type { MirrorConfig, NetOptions } from '../config.ts';
import { freshMetadata } from '../create/index.ts';
import {
  Bitmap,
  bitmapPageSector,
  computeLayout,
  decodeSuperblock,
  encodeSuperblock,
  MD_FLAG,
} from '../metadata/index.ts';
import { plainMirror } from '../plain.ts';
import type { MirrorAnswer, MirrorRequest } from '../status.ts';
import { Resource } from './resource.ts';
import { type AppRequest, type Devices, type DiskOperation, EIO, type ResourceEffect } from './types.ts';

const MIB = 1 << 20;
const EQUAL = 0x10d3_987d_4109_fda4n as GenerationId;

/** The peer has heard of what it was asked for, and agrees. */
export const AGREED: DrbdPacket = { kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 };
export const rigConfig = (net: Partial<NetOptions> = {}): MirrorConfig => plainMirror(0, { net });

export class Rig {
  readonly resource: Resource;
  /** The whole device. */
  disk: Uint8Array;
  readonly #more = new Map<number, Uint8Array>();
  /** What the resource said, since the last `said()`. */
  #said: { readonly socket: DrbdSocket; readonly packet: DrbdPacket }[] = [];
  readonly answers = new Map<number, MirrorAnswer>();
  readonly done = new Map<number, number>();
  /** Disk operations are done at once unless a test holds them. */
  holdDisk: (o: DiskOperation) => boolean = () => false;
  failDisk: (o: DiskOperation) => boolean = () => false;
  readonly held: (() => void)[] = [];
  now = 1_000_000;
  /** Somebody has it open. */
  used = false;
  #nextRequest = 1;
  readonly effects: ResourceEffect[] = [];

  /** `disk`: its size, or one that is formatted already. */
  constructor(config: MirrorConfig = rigConfig(), disk: Uint8Array | number = MIB, secret?: string) {
    this.disk = typeof disk === 'number' ? new Uint8Array(disk) : disk;
    const size = this.disk.length;
    if (typeof disk === 'number') format(this.disk);
    const whole = sector(size / 512);
    const devices = { volume: 0, placement: { kind: 'internal' as const }, data: whole, metadata: whole };
    let random = 0x0123_4567_89ab_cdefn;
    this.resource = new Resource(config, [devices], {
      random64: () => {
        random = (random * 6364136223846793005n + 1442695040888963407n) & 0xffff_ffff_ffff_ffffn;
        return random;
      },
      wall: () => this.now / 1000,
      challenge: () => new Uint8Array(64),
      used: () => this.used,
      secret: secret === undefined ? undefined : new TextEncoder().encode(secret),
    });
  }
  get volume(): Resource['volumes'][number] {
    return this.resource.volume(0);
  }
  /** The disk of another volume, which may come; with the data that the peer has, or with none. */
  moreDisk(volume: number, has: 'equal' | 'nothing', size = MIB): Devices {
    const disk = new Uint8Array(size);
    if (has === 'equal') format(disk);
    this.#more.set(volume, disk);
    const whole = sector(size / 512);
    return { volume, placement: { kind: 'internal' }, data: whole, metadata: whole };
  }

  /** Attached and connected to a peer that has the same data. */
  connect(peerRole: 'Primary' | 'Secondary' = 'Secondary', features = 15): void {
    this.ask({ verb: 'up' });
    this.meet(features);
    for (const { packet } of this.said()) {
      if (packet.kind === 'P_STATE')
        this.hear({ ...packet, state: stateOf('WFConnection', [peerRole, 'Unknown'], ['UpToDate', 'DUnknown']) });
      else if (packet.kind === 'P_UUIDS' && peerRole === 'Primary')
        this.hear({ ...packet, uuids: { ...packet.uuids, current: (packet.uuids.current | 1n) as GenerationId } });
      else if (packet.kind !== 'P_CONNECTION_FEATURES' && packet.kind !== 'P_INITIAL_DATA') this.hear(packet);
    }
    this.hear({
      kind: 'P_STATE',
      volume: 0,
      state: stateOf('Connected', [peerRole, 'Secondary'], ['UpToDate', 'UpToDate']),
    });
    assert.equal(this.volume.connection, 'Connected');
    this.said();
  }
  /** Both sockets, and the peer's features: what is said then is what follows them. */
  meet(features = 15): void {
    this.resource.handle({ kind: 'socket', socket: 'data', opened: 'here' }, us(this.now));
    this.resource.handle({ kind: 'socket', socket: 'meta', opened: 'there' }, us(this.now));
    this.run();
    this.advance(600_000);
    const rest = new Uint8Array(60);
    const versions = { minVersion: 86, maxVersion: 101, features };
    this.hear({ kind: 'P_CONNECTION_FEATURES', volume: 0, ...versions, rest });
  }
  promote(): void {
    const id = this.ask({ verb: 'primary', force: false });
    this.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
    this.hear({ kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 }, 'meta');
    assert.equal(this.answers.get(id)?.ok, true);
    this.said();
  }
  ask(request: MirrorRequest): number {
    const id = this.#nextRequest++;
    this.resource.handle({ kind: 'request', id, request }, us(this.now));
    this.run();
    return id;
  }
  app(request: AppRequest, volume = 0): void {
    this.resource.handle({ kind: 'app', volume, request }, us(this.now));
    this.run();
  }
  hear(packet: DrbdPacket, socket: DrbdSocket = 'data'): void {
    this.resource.handle({ kind: 'packet', socket, packet }, us(this.now));
    this.run();
  }
  /** Time passes, with every tick that is due. */
  advance(time: number): void {
    const end = this.now + time;
    for (;;) {
      const due = this.resource.deadline();
      if (due === undefined || due > end) break;
      this.now = Math.max(this.now, due);
      this.resource.handle({ kind: 'tick' }, us(this.now));
      this.run();
    }
    this.now = end;
  }
  said(): { readonly socket: DrbdSocket; readonly packet: DrbdPacket }[] {
    return this.#said.splice(0);
  }
  packets(): DrbdPacket[] {
    return this.said().map((s) => s.packet);
  }
  run(): void {
    for (let effects = this.resource.takeEffects(); effects.length > 0; effects = this.resource.takeEffects())
      for (const e of effects) this.#apply(e);
  }
  #apply(e: ResourceEffect): void {
    this.effects.push(e);
    if (e.kind === 'send') this.#said.push({ socket: e.socket, packet: e.packet });
    else if (e.kind === 'answer') this.answers.set(e.id, e.answer);
    else if (e.kind === 'done') this.done.set(e.tag, e.result);
    else if (e.kind === 'measure') {
      const size = sector(this.disk.length / 512);
      this.resource.handle({ kind: 'measured', volume: e.volume, data: size, metadata: size }, us(this.now));
      this.run();
    } else if (e.kind === 'disk') {
      const finish = (): void => {
        const fails = this.failDisk(e.operation);
        if (!fails) perform(this.#more.get(e.volume) ?? this.disk, e.operation);
        this.resource.handle({ kind: 'disk', tag: e.tag, result: fails ? EIO : 0 }, us(this.now));
        this.run();
      };
      if (this.holdDisk(e.operation)) this.held.push(finish);
      else finish();
    }
  }
}
function perform(disk: Uint8Array, o: DiskOperation): void {
  if (o.op === 'read') o.into.set(disk.subarray(o.offset, o.offset + o.into.length));
  else if (o.op === 'write') disk.set(o.bytes, o.offset);
  else if (o.op === 'zero' || o.op === 'discard') disk.fill(0, o.offset, o.offset + o.length);
}
function format(disk: Uint8Array): void {
  const made = freshMetadata({ kind: 'internal' }, { metaSize: disk.length, dataSize: disk.length, alExtents: 67 });
  assert.ok(made.ok);
  for (const w of made.value.writes) disk.set(w.bytes, w.at * 512);
  const layout = computeLayout({ kind: 'internal' }, sector(disk.length / 512));
  const superblock = made.value.writes.at(-1);
  assert.ok(layout.ok && superblock);
  const fresh = decodeSuperblock(superblock.bytes);
  assert.ok(fresh.ok);
  const bitmap = new Bitmap(Math.ceil(made.value.usable / 8));
  for (let p = 0; p < bitmap.pages; p++) disk.set(bitmap.page(p), bitmapPageSector(layout.value, p) * 512);
  const uuids = { ...fresh.value.uuids, current: EQUAL };
  const flags = MD_FLAG.consistent | MD_FLAG.wasUpToDate;
  disk.set(encodeSuperblock({ ...fresh.value, uuids, flags }), superblock.at * 512);
}
const ROLE = { Unknown: 0, Primary: 1, Secondary: 2 } as const;
type Role = keyof typeof ROLE;
/** As the peer would say it: its own role and disk first. */
export const stateOf = (
  connection: (typeof DRBD_CONNECTIONS)[number],
  roles: readonly [Role, Role],
  disks: readonly [DrbdDisk, DrbdDisk],
  flags: { readonly userPaused?: boolean; readonly afterDependencyPaused?: boolean } = {},
): number =>
  encodeState({
    role: ROLE[roles[0]],
    peer: ROLE[roles[1]],
    connection: DRBD_CONNECTIONS.indexOf(connection),
    disk: DRBD_DISKS.indexOf(disks[0]),
    peerDisk: DRBD_DISKS.indexOf(disks[1]),
    suspended: false,
    afterDependencyPaused: flags.afterDependencyPaused ?? false,
    peerPaused: false,
    userPaused: flags.userPaused ?? false,
    suspendedNoData: false,
    suspendedFencing: false,
  });
