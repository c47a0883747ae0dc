/**
 * What the peers say to each other once a volume is decided: states, bitmaps, the steps of a resync, and where each packet
 * of the data path goes.
 */
import { type Text, text } from '../../base/index.ts';
import {
  type BlockAckPacket,
  DRBD_CONNECTIONS,
  DRBD_FEATURE,
  DRBD_ROLES,
  DRBD_UUID_FLAG,
  type DrbdConnection,
  type DrbdDisk,
  type DrbdPacket,
  type DrbdRole,
  decodeState,
  type StatePacket,
  type UuidSet,
} from '../../wire/index.ts';
import { fittingDisks, roleOf, stateWord } from '../machine/index.ts';
import {
  beginAsSource,
  beginAsTarget,
  decideHandshake,
  endAsSource,
  endAsTarget,
  generation,
  type HandshakeSide,
} from '../metadata/index.ts';
import { BitmapReceipt, bitmapPackets } from './bitmap-exchange.ts';
import { connectConfig, volumeFacts } from './facts.ts';
import type { Parts } from './parts.ts';
import { ResyncSource, ResyncTarget } from './resync.ts';
import { bitsTouched } from './sender.ts';
import { soleDisk } from './sole-disk.ts';
import { atLeast, type Volume } from './volume.ts';

type Sync =
  | { readonly is: 'bitmap'; readonly receipt: BitmapReceipt }
  | { readonly is: 'source'; readonly source: ResyncSource; ending: boolean }
  | { readonly is: 'target'; readonly target: ResyncTarget; readonly sources: UuidSet; ending: boolean };

const FINISHED = text('resync finished: both disks are equal', '同步完成：两端磁盘一致');

export class Syncs {
  readonly #p: Parts;
  readonly #all = new Map<Volume, Sync>();

  constructor(p: Parts) {
    this.#p = p;
  }
  of(v: Volume): Sync | undefined {
    return this.#all.get(v);
  }
  stop(v?: Volume): void {
    for (const [of, s] of [...this.#all]) {
      if (v !== undefined && of !== v) continue;
      if (s.is === 'source') s.source.stop();
      if (s.is === 'target') s.target.stop();
      this.#all.delete(of);
    }
  }
  tick(): void {
    for (const s of this.#all.values()) if (s.is === 'target') s.target.tick();
  }
  get deadlines(): readonly (number | undefined)[] {
    return [...this.#all.values()].map((s) => (s.is === 'target' ? s.target.deadline : undefined));
  }

  // ------------------------------------------------------------------------------------------ states

  tell(v: Volume): void {
    this.#p.c.send('data', { kind: 'P_STATE', volume: v.number, state: this.word(v) });
  }
  word(v: Volume): number {
    return stateWord(v.connection, [roleOf(v.primary), DRBD_ROLES.indexOf(v.peerRole)], [v.disk, v.peerDisk]);
  }
  tellUuids(v: Volume): void {
    const { uuids, bits } = v;
    if (v.backing === undefined) return;
    const inconsistent = v.attachedAs === 'Inconsistent' ? DRBD_UUID_FLAG.inconsistent : 0;
    const flags = (v.crashedPrimary ? DRBD_UUID_FLAG.crashedPrimary : 0) | inconsistent;
    this.#p.c.send('data', { kind: 'P_UUIDS', volume: v.number, uuids, bits, flags });
  }
  /** A disk that came while connected: the peer is told, and both compare. */
  negotiate(v: Volume): void {
    const { c, link, config } = this.#p;
    v.attachedAs = v.disk;
    v.disk = 'Negotiating';
    const { sizes } = volumeFacts(config, v);
    const limits = (link.dialect.features & DRBD_FEATURE.writeSame) === 0 ? undefined : sizes.limits;
    c.send('data', { kind: 'P_SIZES', volume: v.number, ...sizes, limits, queueOrderType: 0, growFlags: 0 });
    this.tellUuids(v);
    this.tell(v);
  }
  /** The connection state of a volume changes, and the disks with it. */
  #go(v: Volume, connection: DrbdConnection): void {
    v.connection = connection;
    [v.disk, v.peerDisk] = fittingDisks(connection, v.disk, v.peerDisk);
  }
  #fault(en: string, zh: string): void {
    this.#p.link.lose(text(en, zh), true);
  }

  packet(p: DrbdPacket): void {
    const { link, sender, receiver } = this.#p;
    if (p.kind === 'P_BARRIER') {
      receiver.barrier(p.barrier);
      return;
    }
    if (p.kind === 'P_BARRIER_ACK') {
      const wrong = sender.barrierAcknowledged(p.barrier, p.setSize);
      if (wrong !== undefined) link.lose(wrong, true);
      return;
    }
    if (p.kind === 'P_CONN_ST_CHG_REQ' || p.kind === 'P_CONN_ST_CHG_REPLY' || p.kind === 'P_STATE_CHG_REPLY') {
      this.#p.roles.packet(p, undefined);
      return;
    }
    const v = this.#p.volumes.find((one) => one.number === p.volume);
    if (v === undefined) {
      this.#fault(`a volume ${p.volume} is not known here`, `本机没有卷 ${p.volume}`);
      return;
    }
    switch (p.kind) {
      case 'P_DATA':
      case 'P_TRIM':
      case 'P_ZEROES':
      case 'P_WSAME':
        this.#p.two.write(v, p);
        return;
      case 'P_STATE':
        this.#onState(v, p);
        return;
      case 'P_UUIDS':
        v.peerUuids = p;
        if (v.backing === undefined && v.primary) v.exposed = generation(p.uuids.current);
        return;
      case 'P_SIZES':
        v.peerSizes = p;
        return;
      case 'P_STATE_CHG_REQ':
        this.#p.roles.packet(p, v);
        return;
      case 'P_BITMAP':
      case 'P_COMPRESSED_BITMAP':
        this.#onBitmap(v, p);
        return;
      case 'P_SYNC_UUID':
        this.#onSyncUuid(v, p.uuid);
        return;
      case 'P_OUT_OF_SYNC':
        if (v.backing !== undefined) v.bitmap.set(bitsTouched(p.sector * 512, p.size));
        return;
      case 'P_RS_DATA_REQUEST':
      case 'P_RS_THIN_REQ':
      case 'P_CSUM_RS_REQUEST': {
        const s = this.#all.get(v);
        if (s?.is === 'source') s.source.requested(p, this.#p.config.net.checksums);
        return;
      }
      case 'P_RS_DATA_REPLY':
      case 'P_RS_DEALLOCATED': {
        const s = this.#all.get(v);
        if (s?.is === 'target') s.target.answered(p);
        return;
      }
      case 'P_RS_IS_IN_SYNC':
      case 'P_NEG_RS_DREPLY':
      case 'P_RS_CANCEL': {
        const s = this.#all.get(v);
        if (s?.is !== 'target') return;
        p.kind === 'P_RS_IS_IN_SYNC' ? s.target.inSync(p) : s.target.refused(p);
        return;
      }
      case 'P_RECV_ACK':
      case 'P_WRITE_ACK':
      case 'P_RS_WRITE_ACK':
      case 'P_NEG_ACK':
      case 'P_SUPERSEDED':
      case 'P_RETRY_WRITE':
        this.#onAck(v, p);
        return;
      case 'P_UNPLUG_REMOTE':
      case 'P_SYNC_PARAM89':
      case 'P_SYNC_PARAM':
      case 'P_DELAY_PROBE':
        return;
      default:
        this.#fault(`${p.kind} came out of turn`, `${p.kind} 的出现不合时宜`);
        return;
    }
  }
  #onAck(v: Volume, p: BlockAckPacket): void {
    if (this.#p.sender.acknowledged(v, p)) return;
    const s = this.#all.get(v);
    if (s?.is === 'source') s.source.acknowledged(p);
  }

  #onState(v: Volume, p: StatePacket): void {
    const told = decodeState(p.state);
    const theirs = DRBD_CONNECTIONS[told.connection] ?? 'StandAlone';
    const disk = v.peerDiskOf(told.disk);
    const before = v.peerDisk;
    this.peerRoleIs(v, DRBD_ROLES[told.role] ?? 'Unknown');
    const s = this.#all.get(v);
    if (s?.is === 'source' && theirs === 'Connected' && disk === 'UpToDate') {
      if (v.bits > 0) {
        this.#abort(v, text('the peer says that it is equal, and blocks still differ', '对端称已一致，但仍有差异块'));
        return;
      }
      this.#endSource(v, s);
      return;
    }
    if (v.connection === 'Connected') {
      const negotiating = v.negotiating || DISKS_NEGOTIATING(told.disk);
      const undecided = theirs === 'Connected' && (v.considerResync || negotiating);
      const decided = ['StartingSyncS', 'StartingSyncT', 'WFBitMapS', 'WFBitMapT'].includes(theirs);
      v.considerResync = false;
      if ((undecided || decided) && v.peerUuids !== undefined && v.backing !== undefined) {
        v.peerDisk = disk;
        this.#compareAgain(v, !decided);
        return;
      }
      if (negotiating) {
        // There is nothing to compare with on this side, or on that one.
        v.peerDisk = disk;
        v.negotiated();
        [v.disk, v.peerDisk] = fittingDisks('Connected', v.disk, disk);
        v.save(false, () => this.tell(v));
        this.#changed(v);
        return;
      }
    }
    v.peerDisk = disk;
    if (v.connection === 'Connected' && !v.leaving) [v.disk, v.peerDisk] = fittingDisks('Connected', v.disk, disk);
    if (s !== undefined && (!atLeast(disk, 'Inconsistent') || (s.is !== 'bitmap' && theirs === 'Connected'))) {
      this.stop(v);
      v.connection = 'Connected';
    }
    this.peerDiskChanged(v, before);
  }
  /** A peer without a disk that becomes primary will write what only our disk has. */
  peerRoleIs(v: Volume, role: DrbdRole): void {
    const before = v.peerRole;
    v.peerRole = role;
    if (before !== 'Primary' && role === 'Primary' && soleDisk(v)) this.#sole(v);
  }
  /** What a primary without a disk writes next waits until our log counts. */
  #sole(v: Volume): void {
    const { link } = this.#p;
    const unblock = link.block();
    link.alone(v);
    v.save(true, unblock);
    this.tellUuids(v);
  }
  /** The peer's disk is gone: from here on we have what it has not. */
  peerDiskChanged(v: Volume, before: DrbdDisk): void {
    const { sender } = this.#p;
    if (atLeast(before, 'Inconsistent') && before !== 'DUnknown') {
      if (!atLeast(v.peerDisk, 'UpToDate') && before === 'UpToDate') sender.peerDiskLost(v);
      if (!atLeast(v.peerDisk, 'Inconsistent')) this.#sole(v);
    }
    this.#changed(v);
  }
  #changed(v: Volume): void {
    this.#p.disks.check(v);
    this.#p.sender.released(v);
  }
  #abort(v: Volume, why: Text): void {
    this.#p.c.reason('mirror.resync', v.number, why);
    this.#p.link.lose(why, true);
  }
  /** Both are connected, and what one of them has changed: a forced promotion, a disk attached late. */
  #compareAgain(v: Volume, tellFirst: boolean): void {
    const { link, c } = this.#p;
    const peer = v.peerUuids;
    if (peer === undefined) return;
    const config = connectConfig(this.#p.config, [v], { secret: undefined, discardMyData: false, dryRun: false });
    const mine: HandshakeSide = {
      uuids: v.uuids,
      crashedPrimary: v.crashedPrimary,
      primary: v.primary,
      disk: v.attachedAs ?? v.disk,
      bits: v.bits,
      discardMyData: false,
      negotiating: v.negotiating,
    };
    const decision = decideHandshake({
      mine,
      peer: {
        uuids: peer.uuids,
        crashedPrimary: (peer.flags & 2) !== 0,
        primary: v.peerRole === 'Primary',
        disk: v.peerDisk,
        bits: peer.bits,
        discardMyData: false,
      },
      version: link.dialect.version,
      features: link.dialect.features,
      resolver: link.resolver,
      policies: config.policies,
      alwaysAsbp: config.alwaysAsbp,
      rrConflict: config.rrConflict,
      dryRun: false,
    });
    for (const r of decision.reasons) c.reason('mirror.decided', v.number, r);
    for (const h of decision.handlers) this.#p.handlers.call(h, v.number);
    const { outcome } = decision;
    const stays = outcome.do !== 'connect' && outcome.do !== 'drop' && outcome.demote && !this.#p.roles.giveUp(v);
    if (outcome.do === 'drop' || stays) {
      link.lose(decision.reasons.at(-1) ?? FINISHED, false);
      return;
    }
    v.negotiated();
    if (outcome.do === 'connect') {
      this.#go(v, 'Connected');
      v.save(false, () => {
        if (!tellFirst) return;
        this.tellUuids(v);
        this.tell(v);
      });
      this.#changed(v);
      return;
    }
    if (outcome.full) v.bitmap.setAll();
    const connection = outcome.do === 'source' ? 'WFBitMapS' : 'WFBitMapT';
    [v.disk, v.peerDisk] = fittingDisks(connection, v.disk, v.peerDisk);
    if (tellFirst) this.tellUuids(v);
    const unblock = link.block();
    const { era } = link;
    // Nothing is sent as data from here to the beginning of the resync.
    v.connection = connection;
    v.save(outcome.full, () => {
      if (era !== link.era) return;
      if (tellFirst) this.tell(v);
      this.begin(v);
      unblock();
    });
  }

  // ------------------------------------------------------------------------------------------ resync

  /** The volume has just become what it is to the peer. */
  begin(v: Volume): void {
    if (v.connection !== 'WFBitMapS' && v.connection !== 'WFBitMapT') return;
    if (v.connection === 'WFBitMapS') this.#sendBitmap(v);
    this.#all.set(v, { is: 'bitmap', receipt: new BitmapReceipt(v.bitmap) });
  }
  #sendBitmap(v: Volume): void {
    for (const p of bitmapPackets(v.number, v.bitmap)) this.#p.c.send('data', p);
  }
  #onBitmap(v: Volume, p: Extract<DrbdPacket, { kind: 'P_BITMAP' | 'P_COMPRESSED_BITMAP' }>): void {
    const s = this.#all.get(v);
    if (s?.is !== 'bitmap') {
      this.#fault('a bitmap came out of turn', '位图的出现不合时宜');
      return;
    }
    const got = s.receipt.take(p);
    if (!got.ok) {
      this.#fault(got.error, '位图与设备不符');
      return;
    }
    if (!s.receipt.done) return;
    const { link } = this.#p;
    const unblock = link.block();
    const { era } = link;
    if (v.connection === 'WFBitMapT') {
      this.#before(v, 'before-resync-target', () => {
        // Both bitmaps are durable here before the source may begin to clear its bits.
        v.save(true, () => {
          if (era !== link.era) return;
          this.#sendBitmap(v);
          this.#go(v, 'WFSyncUUID');
          unblock();
        });
      });
      return;
    }
    this.#before(v, 'before-resync-source', () => this.#beginSource(v, unblock));
  }
  /** The peer waits for our bitmap, and writes of either side are only told as blocks meanwhile: no application waits. */
  #before(v: Volume, handler: 'before-resync-target' | 'before-resync-source', then: () => void): void {
    const { link, handlers } = this.#p;
    const { era } = link;
    handlers.call(handler, v.number, (end) => {
      if (era !== link.era) return;
      // 3 of the source's: drbd-utils' own scripts end so when there is nothing to do.
      const good = end === 'absent' || end === 0 || (handler === 'before-resync-source' && end === 3);
      if (good) return then();
      const how =
        end === 'broken' ? text('did not end by itself', '未正常结束') : text(`ended with ${end}`, `退出码 ${end}`);
      link.lose(text(`no resync: ${handler} ${how.en}`, `不同步：${handler} ${how.zh}`), false);
    });
  }
  #beginSource(v: Volume, unblock: () => void): void {
    const { link } = this.#p;
    const { era } = link;
    const begun = beginAsSource(v.uuids, this.#p.c.random64());
    v.uuids = begun.uuids;
    v.save(true, () => {
      if (era !== link.era) return;
      this.#go(v, 'SyncSource');
      this.#all.set(v, { is: 'source', source: new ResyncSource(this.#p.c, v), ending: false });
      this.#p.c.send('data', { kind: 'P_SYNC_UUID', volume: v.number, uuid: begun.sync });
      this.#p.c.reason(
        'mirror.resync',
        v.number,
        text(
          `resync begins, this side is the source: ${v.bits * 4} KiB differ`,
          `开始同步，本机为源：差异 ${v.bits * 4} KiB`,
        ),
      );
      unblock();
    });
  }
  #onSyncUuid(v: Volume, sync: UuidSet['current']): void {
    const sources = v.peerUuids?.uuids;
    if (v.connection !== 'WFSyncUUID' || sources === undefined) {
      this.#fault('P_SYNC_UUID came out of turn', 'P_SYNC_UUID 的出现不合时宜');
      return;
    }
    const { link } = this.#p;
    const unblock = link.block();
    const { era } = link;
    v.uuids = beginAsTarget(v.uuids, sync, v.primary);
    v.disk = 'Inconsistent';
    // The disk is known to be inconsistent before the first block of the peer's is written to it.
    v.save(true, () => {
      if (era !== link.era) return;
      this.#go(v, 'SyncTarget');
      const target = new ResyncTarget(this.#p.c, v, this.#p.config.net.checksums);
      this.#all.set(v, { is: 'target', target, sources, ending: false });
      target.onEnd = (failed) => this.#endTarget(v, failed);
      this.#p.c.reason(
        'mirror.resync',
        v.number,
        text(
          `resync begins, this side is the target: ${v.bits * 4} KiB differ`,
          `开始同步，本机为目标：差异 ${v.bits * 4} KiB`,
        ),
      );
      unblock();
    });
  }
  #endTarget(v: Volume, failed: number): void {
    const s = this.#all.get(v);
    if (s?.is !== 'target' || s.ending) return;
    s.ending = true;
    const { link, c } = this.#p;
    const { era } = link;
    if (failed > 0) {
      this.stop(v);
      this.#go(v, 'Connected');
      c.reason(
        'mirror.resync',
        v.number,
        text(
          `${failed} bytes could not be resynced: the disk stays Inconsistent`,
          `${failed} 字节无法同步：磁盘保持 Inconsistent`,
        ),
      );
      this.tell(v);
      return;
    }
    // The ping goes behind the last acknowledgement: when it is answered, the source has cleared its bits too.
    link.ping(() => {
      if (era !== link.era) return;
      const equal = (): void => {
        if (era !== link.era) return;
        this.stop(v);
        this.#go(v, 'Connected');
        this.tell(v);
        this.#changed(v);
        c.reason('mirror.resync', v.number, FINISHED);
        this.#p.handlers.call('after-resync-target', v.number);
      };
      v.attached.store.flush(() => {
        if (era !== link.era) return;
        v.uuids = endAsTarget(v.uuids, s.sources, v.primary);
        v.disk = 'UpToDate';
        v.crashedPrimary = false;
        v.save(true, equal);
      });
    });
  }
  #endSource(v: Volume, s: Sync & { is: 'source' }): void {
    if (s.ending) return;
    s.ending = true;
    const { link, c } = this.#p;
    const { era } = link;
    link.ping(() => {
      if (era !== link.era) return;
      v.uuids = endAsSource(v.uuids);
      v.crashedPrimary = false;
      v.save(true, () => {
        if (era !== link.era) return;
        this.stop(v);
        v.peerDisk = 'UpToDate';
        this.#go(v, 'Connected');
        c.reason('mirror.resync', v.number, FINISHED);
        // Once for all volumes, and on the source: it is who fenced.
        if (this.#p.volumes.every((one) => one.disk === 'UpToDate' && one.peerDisk === 'UpToDate'))
          this.#p.handlers.call('unfence-peer', undefined);
      });
    });
  }
}
const DISKS_NEGOTIATING = (n: number): boolean => n === 3;
