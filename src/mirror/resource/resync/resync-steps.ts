/** The steps of a resync: bitmaps, the identifier that it begins with, blocks, and its end, each durable before the next. */
import { text } from '../../../base/index.ts';
import type { DrbdPacket, UuidSet } from '../../../wire/index.ts';
import { beginAsSource, beginAsTarget, endAsSource, endAsTarget } from '../../metadata/index.ts';
import type { Parts } from '../parts.ts';
import { FINISHED } from '../reasons.ts';
import type { Volume } from '../volume.ts';
import { BitmapReceipt, bitmapPackets } from './bitmap-exchange.ts';
import { ResyncSource, ResyncTarget } from './resync.ts';
import type { Sync, Syncs } from './syncs.ts';

export class ResyncSteps {
  readonly #p: Parts;
  readonly #s: Syncs;

  constructor(p: Parts, s: Syncs) {
    this.#p = p;
    this.#s = s;
  }

  /** The volume has just become what it is to the peer. */
  begin(v: Volume): void {
    if (v.connection !== 'WFBitMapS' && v.connection !== 'WFBitMapT') return;
    if (v.connection === 'WFBitMapS') this.#sendBitmap(v);
    this.#p.undos.exchanging(v);
    this.#s.set(v, { is: 'bitmap', receipt: new BitmapReceipt(v.bitmap) });
  }
  #sendBitmap(v: Volume): void {
    for (const p of bitmapPackets(v.number, v.bitmap)) this.#p.c.send('data', p);
  }
  bitmap(v: Volume, p: Extract<DrbdPacket, { kind: 'P_BITMAP' | 'P_COMPRESSED_BITMAP' }>): void {
    const s = this.#s.of(v);
    if (s?.is !== 'bitmap') {
      this.#s.fault('a bitmap came out of turn', '位图的出现不合时宜');
      return;
    }
    const got = s.receipt.take(p);
    if (!got.ok) {
      this.#s.fault(got.error, '位图与设备不符');
      return;
    }
    if (!s.receipt.done) return;
    const { link } = this.#p;
    const unblock = link.block();
    const { era } = link;
    if (v.connection === 'WFBitMapT') {
      this.#before(v, 'before-resync-target', () => {
        this.#p.undos.keep(v, () => {
          // Both bitmaps are durable here before the source may begin to clear its bits.
          v.save(true, () => {
            if (era !== link.era) return;
            this.#sendBitmap(v);
            this.#s.go(v, 'WFSyncUUID');
            unblock();
          });
        });
      });
      return;
    }
    this.#before(v, 'before-resync-source', () => this.beginSource(v, unblock));
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
  /** This side is the source from here on; every block that the target lacks is marked here. `then`: the target was told. */
  beginSource(v: Volume, then: () => void): void {
    const { link } = this.#p;
    const { era } = link;
    const begun = beginAsSource(v.uuids, this.#p.c.random64());
    v.uuids = begun.uuids;
    v.save(true, () => {
      if (era !== link.era) return;
      this.#s.go(v, 'SyncSource');
      this.#s.set(v, { is: 'source', source: new ResyncSource(this.#p.c, v), ending: false });
      this.#p.c.send('data', { kind: 'P_SYNC_UUID', volume: v.number, uuid: begun.sync });
      this.#p.c.reason(
        'mirror.resync',
        v.number,
        text(
          `resync begins, this side is the source: ${v.bits * 4} KiB differ`,
          `开始同步，本机为源：差异 ${v.bits * 4} KiB`,
        ),
      );
      this.#p.pauses.apply(v);
      then();
    });
  }
  syncUuid(v: Volume, sync: UuidSet['current']): void {
    const sources = v.peerUuids?.uuids;
    if (this.#p.fullSyncs.asked(v, () => this.syncUuid(v, sync))) return;
    if ((v.connection !== 'WFSyncUUID' && v.connection !== 'Behind') || sources === undefined) {
      this.#s.fault('P_SYNC_UUID came out of turn', 'P_SYNC_UUID 的出现不合时宜');
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
      this.#s.go(v, 'SyncTarget');
      const { checksums, checksumsAfterCrashOnly } = this.#p.config.net;
      const compares = !checksumsAfterCrashOnly || v.crashedPrimary;
      const target = new ResyncTarget(this.#p.c, v, compares ? checksums : undefined);
      this.#s.set(v, { is: 'target', target, sources, ending: false });
      target.onEnd = (failed) => this.#endTarget(v, failed);
      this.#p.c.reason(
        'mirror.resync',
        v.number,
        text(
          `resync begins, this side is the target: ${v.bits * 4} KiB differ`,
          `开始同步，本机为目标：差异 ${v.bits * 4} KiB`,
        ),
      );
      this.#p.pauses.apply(v);
      unblock();
    });
  }
  #endTarget(v: Volume, failed: number): void {
    const s = this.#s.of(v);
    if (s?.is !== 'target' || s.ending) return;
    s.ending = true;
    const { link, c } = this.#p;
    const { era } = link;
    if (failed > 0) {
      this.#s.stop(v);
      this.#s.go(v, 'Connected');
      c.reason(
        'mirror.resync',
        v.number,
        text(
          `${failed} bytes could not be resynced: the disk stays Inconsistent`,
          `${failed} 字节无法同步：磁盘保持 Inconsistent`,
        ),
      );
      this.#s.tell(v);
      return;
    }
    // The ping goes behind the last acknowledgement: when it is answered, the source has cleared its bits too.
    link.ping(() => {
      if (era !== link.era) return;
      const equal = (): void => {
        if (era !== link.era) return;
        this.#s.stop(v);
        this.#s.go(v, 'Connected');
        this.#s.tell(v);
        this.#p.peerDisks.settled(v);
        c.reason('mirror.resync', v.number, FINISHED);
        this.#p.handlers.call('after-resync-target', v.number);
      };
      v.attached.store.flush(() => {
        if (era !== link.era) return;
        v.uuids = endAsTarget(v.uuids, s.sources, v.primary);
        v.peerHasSameUuids();
        v.disk = 'UpToDate';
        v.crashedPrimary = false;
        v.save(true, equal);
      });
    });
  }
  endSource(v: Volume, s: Sync & { is: 'source' }): void {
    if (s.ending) return;
    s.ending = true;
    const { link, c } = this.#p;
    const { era } = link;
    link.ping(() => {
      if (era !== link.era) return;
      v.uuids = endAsSource(v.uuids);
      v.peerHasSameUuids();
      v.crashedPrimary = false;
      v.save(true, () => {
        if (era !== link.era) return;
        this.#s.stop(v);
        v.peerDisk = 'UpToDate';
        this.#s.go(v, 'Connected');
        c.reason('mirror.resync', v.number, FINISHED);
        // Once for all volumes, and on the source: it is who fenced.
        if (this.#p.volumes.every((one) => one.disk === 'UpToDate' && one.peerDisk === 'UpToDate'))
          this.#p.handlers.call('unfence-peer', undefined);
      });
    });
  }
}
