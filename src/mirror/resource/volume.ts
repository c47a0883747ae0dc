/** One volume: its states, its metadata, and what is under way on its disk. */
import { type Microseconds, type Text, text } from '../../base/index.ts';
import {
  DRBD_DISKS,
  DRBD_UUID_FLAG,
  type DrbdConnection,
  type DrbdDisk,
  type DrbdRole,
  isDrbdConnected,
  type SizesPacket,
  sector,
  type UuidSet,
  type UuidsPacket,
} from '../../wire/index.ts';
import type { VolumeConfig } from '../config.ts';
import {
  ActivityLog,
  type Bitmap,
  bitsFor,
  generation,
  MD_FLAG,
  type MetadataLayout,
  MIN_EXTENTS,
  maxExtents,
  NO_GENERATION,
  newCurrent,
  type Superblock,
  withRole,
} from '../metadata/index.ts';
import { RangeLocks } from './data/range-locks.ts';
import type { Attached } from './disks/attach.ts';
import { Store, type Stored } from './disks/store.ts';
import type { Context, Devices } from './types.ts';

export const diskRank = (d: DrbdDisk): number => DRBD_DISKS.indexOf(d);
export const atLeast = (d: DrbdDisk, least: DrbdDisk): boolean => diskRank(d) >= diskRank(least);
const NONE: UuidSet = { current: NO_GENERATION, bitmap: NO_GENERATION, history: [NO_GENERATION, NO_GENERATION] };

/** What is there only while the disk is attached. */
export type Backing = {
  layout: MetadataLayout;
  bitmap: Bitmap;
  readonly al: ActivityLog;
  readonly store: Store;
  usable: number;
};
export type Counters = { ns: number; nr: number; dw: number; dr: number; lo: number; ua: number; ap: number };

/**
 * In these a peer that is behind stays so. One that is being copied to ends by itself, and may be primary then: what this disk
 * says of it must not outlast that, or a crash would have this side count as up to date without the peer.
 */
const STAYS_BEHIND: ReadonlySet<DrbdConnection> = new Set([
  'StandAlone',
  'Disconnecting',
  'Unconnected',
  'WFConnection',
  'Connected',
  'VerifyS',
  'VerifyT',
]);

export class Volume implements Stored {
  readonly #c: Context;
  config: VolumeConfig;
  readonly devices: Devices;
  readonly locks = new RangeLocks();
  /** Ranges that a resync has asked for, of a target that is primary: its own writes wait. */
  readonly fetching = new RangeLocks();
  /** Whether a write of the application is under way in a range of bytes. */
  busy: (from: number, to: number) => boolean = () => false;
  readonly counters: Counters = { ns: 0, nr: 0, dw: 0, dr: 0, lo: 0, ua: 0, ap: 0 };
  backing: Backing | undefined;
  #superblock: Superblock | undefined;
  #generations = 0;

  disk: DrbdDisk = 'Diskless';
  /** Of this volume; WFConnection and below while there is no peer. */
  connection: DrbdConnection = 'StandAlone';
  #role: DrbdRole = 'Secondary';
  #peerRole: DrbdRole = 'Unknown';
  peerDisk: DrbdDisk = 'DUnknown';
  uuids: UuidSet = NONE;
  crashedPrimary = false;
  /** As the peer told them last. */
  peerUuids: UuidsPacket | undefined;
  /** As it told them in the last connection that has ended. */
  told: UuidsPacket | undefined;
  /** When the application wrote last, and when the present generation began; undefined: not since this process started. */
  wroteAt: Microseconds | undefined;
  generationAt: Microseconds | undefined;
  /** When an application asked for something last, on either side. */
  usedAt: Microseconds | undefined;
  peerSizes: SizesPacket | undefined;
  /** Sectors. */
  size = 0;
  userSize: number;
  /** Counts what we send of the P_DATA family and of block acks, on one connection. */
  seq = 0;
  nextSeq(): number {
    this.seq = (this.seq + 1) >>> 0;
    return this.seq;
  }
  /** Why application requests are held. */
  readonly holds = new Map<string, Text>();
  /** Told when the last hold ends; when extents became hot; when the disk cannot be used any more; when who writes changed. */
  onReleased: () => void = () => {};
  onReady: () => void = () => {};
  onBroken: () => void = () => {};
  onMetadataBroken: () => void = () => {};
  /** Told when nothing is under way on the disk; when it is gone. */
  onDrained: () => void = () => {};
  onDropped: () => void = () => {};
  onRoles: () => void = () => {};

  constructor(c: Context, config: VolumeConfig, devices: Devices) {
    this.#c = c;
    this.config = config;
    this.devices = devices;
    this.userSize = config.options.size === undefined ? 0 : Math.floor(config.options.size / 512);
  }
  get number(): number {
    return this.config.number;
  }
  get layout(): MetadataLayout {
    return this.attached.layout;
  }
  get bitmap(): Bitmap {
    return this.attached.bitmap;
  }
  get al(): ActivityLog {
    return this.attached.al;
  }
  get attached(): Backing {
    if (this.backing === undefined) throw new Error('bug: the volume has no disk');
    return this.backing;
  }
  get connected(): boolean {
    return isDrbdConnected(this.connection);
  }
  get role(): DrbdRole {
    return this.#role;
  }
  set role(r: DrbdRole) {
    this.#role = r;
    this.onRoles();
  }
  get peerRole(): DrbdRole {
    return this.#peerRole;
  }
  set peerRole(r: DrbdRole) {
    this.#peerRole = r;
    this.onRoles();
  }
  get primary(): boolean {
    return this.role === 'Primary';
  }
  get peerHasGoodData(): boolean {
    return this.connected && this.peerDisk === 'UpToDate';
  }
  /** Here or at the peer. */
  get hasGoodData(): boolean {
    return this.disk === 'UpToDate' || this.peerHasGoodData;
  }
  get bits(): number {
    return this.backing?.bitmap.count ?? 0;
  }
  /** Writes go to the peer as data. */
  get mirrors(): boolean {
    if (!this.connected) return false;
    if (this.peerDisk === 'UpToDate') return this.connection !== 'WFBitMapS' && !this.ahead;
    return (
      atLeast(this.peerDisk, 'Inconsistent') &&
      [
        'WFBitMapT',
        'WFSyncUUID',
        'SyncSource',
        'SyncTarget',
        'VerifyS',
        'VerifyT',
        'PausedSyncS',
        'PausedSyncT',
      ].includes(this.connection)
    );
  }
  /** On the way to being equal again, or to where that begins. */
  get syncing(): boolean {
    return this.connection !== 'Connected' && this.connection !== 'VerifyS' && this.connection !== 'VerifyT';
  }
  /** As a source without a bit left: the peer may have finished already, and go on by itself. */
  get peerMayBeDone(): boolean {
    return (this.connection === 'SyncSource' || this.connection === 'PausedSyncS') && this.bits === 0;
  }
  /** Writes are told to the peer as blocks that differ. */
  get tells(): boolean {
    return this.connection === 'WFBitMapS' || this.ahead;
  }

  take(a: Attached): void {
    const extents = Math.max(MIN_EXTENTS, Math.min(this.config.options.alExtents, maxExtents(a.layout.al)));
    this.#superblock = { ...a.superblock, alExtents: extents };
    const al = new ActivityLog(extents, a.layout.al);
    this.backing = { layout: a.layout, bitmap: a.bitmap, al, store: new Store(this.#c, this), usable: a.usable };
    this.uuids = a.superblock.uuids;
    this.disk = a.disk;
    this.crashedPrimary = a.crashedPrimary;
    this.size = a.superblock.laSize === 0 ? this.capacity : a.superblock.laSize;
    if (bitsFor(this.size) !== a.bitmap.bits) this.backing.bitmap = a.bitmap.resized(bitsFor(this.size));
  }
  /** Sectors that the own disk could offer within the user's limit. */
  get capacity(): number {
    const usable = this.backing?.usable ?? 0;
    return this.userSize === 0 ? usable : Math.min(usable, this.userSize);
  }
  /** The metadata lie elsewhere from now on: the superblock there is durable. */
  relocated(layout: MetadataLayout, usable: number): void {
    const { attached } = this;
    attached.layout = layout;
    attached.usable = usable;
    const { alOffset, bmOffset, size } = layout;
    if (this.#superblock !== undefined) this.#superblock = { ...this.#superblock, alOffset, bmOffset, size };
  }
  /** The peer is told which blocks differ, not what is in them. */
  get ahead(): boolean {
    return this.connection === 'Ahead';
  }
  dropBacking(): void {
    if (this.primary && !this.negotiating) {
      const current = generation(this.uuids.current);
      const before = this.#unsaved ?? current;
      // Something was answered that the peer may not have kept: what it has is called as before, and only ours goes for it.
      const lacks = this.bits > 0;
      this.shown(lacks ? current : before);
      this.begun = lacks ? before : current;
    }
    // Nobody goes on from a target that has not had a block yet, that is behind, or that has no disk or is giving it up.
    // What was never compared is as far behind as it was.
    const misses =
      this.connected && this.connection !== 'WFBitMapS' && !this.ahead && atLeast(this.peerDisk, 'Negotiating');
    this.mayBeBehind = misses || (this.negotiating && this.mayBeBehind);
    this.#unsaved = undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.backing?.store.stop();
    this.backing = undefined;
    this.attachedAs = undefined;
    this.#superblock = undefined;
    this.disk = 'Diskless';
    for (const then of waiting) then();
  }

  superblock(): Superblock {
    const s = this.#superblock;
    if (s === undefined) throw new Error('bug: the volume has no metadata');
    let flags = 0;
    const disk = this.attachedAs ?? this.disk;
    if (atLeast(disk, 'Outdated')) flags |= MD_FLAG.consistent;
    if (disk === 'UpToDate') flags |= MD_FLAG.wasUpToDate;
    if (disk === 'Consistent') flags |= s.flags & MD_FLAG.wasUpToDate;
    // The only disk of a primary has writes on their way as a primary's own has.
    const sole = this.connected && this.peerRole === 'Primary' && !atLeast(this.peerDisk, 'Inconsistent');
    if (this.primary || this.promoting || this.yielded || sole) flags |= MD_FLAG.primary;
    if (this.connected) flags |= MD_FLAG.connected;
    const behind = this.peerDisk === 'Inconsistent' || this.peerDisk === 'Outdated';
    if (behind && STAYS_BEHIND.has(this.connection)) flags |= MD_FLAG.peerOutdated;
    if (this.crashedPrimary) flags |= MD_FLAG.crashedPrimary;
    this.#superblock = { ...s, clean: false, uuids: this.uuids, flags, laSize: sector(this.size) };
    return this.#superblock;
  }
  /** At the end of a resync the two sets are equal, but for who is primary; the peer does not tell it again. */
  peerHasSameUuids(): void {
    if (this.peerUuids !== undefined)
      this.peerUuids = {
        ...this.peerUuids,
        uuids: withRole(this.uuids, this.peerRole === 'Primary'),
        bits: 0,
        flags: 0,
      };
  }
  /** A state of the peer's disk as it told it; while Negotiating it is what its identifiers say. */
  peerDiskOf(told: number): DrbdDisk {
    const d = DRBD_DISKS[told] ?? 'DUnknown';
    if (d !== 'Negotiating') return d;
    return ((this.peerUuids?.flags ?? 0) & DRBD_UUID_FLAG.inconsistent) !== 0 ? 'Inconsistent' : 'Consistent';
  }
  /** Sectors that both sides offer from now on, and the user's limit. New blocks count as different. */
  resize(size: number, userSize: number, same = false): void {
    this.userSize = userSize;
    if (size === this.size) return;
    this.size = size;
    if (this.backing !== undefined) this.backing.bitmap = this.backing.bitmap.resized(bitsFor(size), same);
    this.onResized();
  }
  onResized: () => void = () => {};
  /** Attached while connected: it is Negotiating until both have compared; this is what its own metadata say. */
  attachedAs: DrbdDisk | undefined;
  get negotiating(): boolean {
    return this.attachedAs !== undefined;
  }
  negotiated(): void {
    if (this.attachedAs === undefined) return;
    this.disk = this.attachedAs;
    this.attachedAs = undefined;
    this.mayBeBehind = false;
  }
  /** Of a primary without a disk: the generation that its application has seen. */
  exposed: bigint | undefined;
  /** The one before, while no write was answered since the peer told of a new one: a crash there may undo that. */
  exposedBefore: bigint | undefined;
  /** The application has seen `current`; by a disk of which it is what follows `before`. */
  shown(current: bigint, before?: bigint): void {
    this.exposedBefore = before === this.exposed ? before : undefined;
    this.exposed = current;
    this.begun = undefined;
  }
  /** Also what the own disk may be called that went while the next one was being written: whether that got there is not known. */
  begun: bigint | undefined;
  /** It was without its disk while a peer was there, which may have taken writes in a generation that we have not heard of. */
  mayBeBehind = false;
  /** The peer's disk got good while ours is not: its next P_STATE may begin a resync. */
  considerResync = false;
  /** One side leaves on purpose and is out of date from here on: no state of the connection raises it again. */
  leaving = false;
  /** Why a resync stands still: an operator here, one at the peer's, another resync that goes first. */
  readonly pause = { user: false, peer: false, dependency: false };
  /** About to be primary: that is on disk before the first write may be. */
  promoting = false;
  /** Secondary all at once, by a verdict: on disk it stays primary, so that its activity log counts, until the bitmap is durable. */
  yielded = false;

  /** Calls when it is durable; at once where there is no disk. */
  save(pages: boolean, then: () => void = () => {}): void {
    if (this.backing === undefined) {
      then();
      return;
    }
    this.backing.store.save(pages, then);
  }
  readonly #waiting = new Set<() => void>();
  /** The generation before one that is not durable yet. */
  #unsaved: bigint | undefined;
  /** As `save`; `then` also when the disk is gone before: nothing is left that could be durable. */
  persist(pages: boolean, then: () => void): void {
    this.#once(then, (done) => this.save(pages, done));
  }
  /** All data that were written are durable; or the disk is gone. */
  flush(then: () => void): void {
    this.#once(then, (done) => this.attached.store.flush(done));
  }
  #once(then: () => void, begin: (done: () => void) => void): void {
    const done = (): void => {
      this.#waiting.delete(done);
      then();
    };
    this.#waiting.add(done);
    begin(done);
  }
  broken(): void {
    this.onMetadataBroken();
  }
  committed(): void {
    this.onReady();
  }

  hold(name: string, because: Text): void {
    this.holds.set(name, because);
  }
  release(name: string): void {
    if (this.holds.delete(name) && !this.held) this.onReleased();
  }
  /** A write has ended. */
  landed(): void {
    if (--this.counters.lo === 0) this.onDrained();
  }
  get held(): boolean {
    return this.holds.size > 0;
  }
  /** Held for long: reads wait too. */
  get frozen(): boolean {
    return this.holds.has('fencing') || this.holds.has('user') || this.holds.has('no-data');
  }
  /** The operator lets go what cannot be done: it fails, and is not kept for want of data once more. */
  failing = false;

  /** From now on the peer's data and ours go different ways. Writes are held until that is durable. */
  beginGeneration(): void {
    this.#unsaved ??= generation(this.uuids.current);
    this.generationAt = this.#c.now;
    this.uuids = newCurrent(this.uuids, this.#c.random64() & ~1n, this.primary || this.promoting);
    if (this.uuids.current <= 4n) {
      this.beginGeneration();
      return;
    }
    const name = `generation ${this.#generations++}`;
    this.hold(name, NEW_GENERATION);
    this.persist(false, () => {
      this.#unsaved = undefined;
      this.release(name);
    });
  }
}
const NEW_GENERATION = text('a new generation is being written to the metadata', '正在把新的数据代写入元数据');
