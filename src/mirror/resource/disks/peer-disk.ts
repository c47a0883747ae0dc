/** What the peer's disk and role mean for ours, and a disk of ours that comes while both are connected. */
import { DRBD_FEATURE, type DrbdDisk, type DrbdRole } from '../../../wire/index.ts';
import { generation } from '../../metadata/index.ts';
import type { Parts } from '../parts.ts';
import { volumeFacts } from '../peer/facts.ts';
import { atLeast, type Volume } from '../volume.ts';
import { soleDisk } from './sole-disk.ts';

export class PeerDisks {
  readonly #p: Parts;
  /** Of which the primary, our peer, has said that its disk is about to go; or it has none, and may refuse ours yet. */
  readonly #going = new Set<Volume>();

  constructor(p: Parts) {
    this.#p = p;
  }
  /** A disk that came while connected: the peer is told, and both compare. */
  negotiate(v: Volume): void {
    const { c, link, config, syncs } = this.#p;
    v.attachedAs = v.disk;
    v.disk = 'Negotiating';
    const { sizes } = volumeFacts(config, v);
    const limits = (link.dialect.features & DRBD_FEATURE.writeSame) === 0 ? undefined : sizes.limits;
    c.send('data', { kind: 'P_SIZES', volume: v.number, ...sizes, limits, queueOrderType: 0, growFlags: 0 });
    syncs.tellUuids(v);
    syncs.tell(v);
  }
  /** A peer without a disk that becomes primary will write what only our disk has. */
  roleIs(v: Volume, role: DrbdRole): void {
    const before = v.peerRole;
    v.peerRole = role;
    if (before !== 'Primary' && role === 'Primary' && soleDisk(v)) this.#sole(v);
  }
  /** Of a primary without a disk: whether the peer's data are those that its application has seen. */
  shows(v: Volume): boolean {
    const theirs = v.peerUuids?.uuids;
    if (!v.primary || v.backing !== undefined || theirs === undefined) return true;
    // Its bitmap identifier: it began a generation when it heard that our disk is gone, and we did not hear of that.
    const same = [theirs.current, theirs.bitmap].some((id) => generation(id) === v.exposed);
    // Or it began one, told of it, and was gone before that was durable: nothing is written in it before.
    const undone = v.exposedBefore !== undefined && generation(theirs.current) === v.exposedBefore;
    if (!same && !undone && v.exposed !== undefined) return false;
    v.shown(generation(theirs.current));
    v.mayBeBehind = true;
    return true;
  }
  /**
   * By their identifiers both have the same data, as far as that is known; else to be connected makes nobody UpToDate: the
   * disk that was to be the source may be gone before its resync began.
   */
  same(v: Volume): boolean {
    const seen = v.primary ? v.exposed : undefined;
    const mine = v.backing === undefined ? seen : generation(v.uuids.current);
    const theirs = v.peerUuids?.uuids.current;
    return mine === undefined || theirs === undefined || mine === generation(theirs);
  }
  /**
   * Met without a disk: we may have lost it before its disk was gone, and then never began what sets ours apart. It goes on
   * from ours when it says that it is connected, or writes; it leaves if its application has seen other data.
   */
  connected(v: Volume): void {
    if (v.peerRole === 'Primary' && soleDisk(v)) this.#going.add(v);
  }
  /** What a primary without a disk writes next waits until our log counts. */
  #sole(v: Volume): void {
    const { link, syncs } = this.#p;
    const unblock = link.block();
    link.alone(v);
    const { era } = link;
    // Told when it is durable: a failure of this disk would undo it, and the peer would wait for what is nowhere.
    v.save(true, () => {
      if (era === link.era && v.connected) syncs.tellUuids(v);
      unblock();
    });
  }
  /** The peer's disk may be gone: from then on we have what it has not. */
  changed(v: Volume, before: DrbdDisk): void {
    const going = this.#going.delete(v);
    const gone = !atLeast(v.peerDisk, 'Inconsistent');
    if (v.ahead && gone) {
      // What was on its way when we pulled ahead.
      this.#p.sender.peerDiskLost(v);
      this.#p.congestion.over(v);
    }
    if (atLeast(before, 'Inconsistent') && before !== 'DUnknown') {
      if (!atLeast(v.peerDisk, 'UpToDate') && before === 'UpToDate') this.#p.sender.peerDiskLost(v);
      if (gone) this.#sole(v);
    } else if (going && gone) this.#sole(v);
    this.settled(v);
  }
  /**
   * It asks before its disk goes. Where it alone is primary, ours begins a generation when it says that the disk is gone, or
   * writes: should it never hear that we agree, it keeps its disk, and begins one itself.
   */
  asked(v: Volume, before: DrbdDisk): void {
    const goes =
      before === 'UpToDate' && v.peerDisk === 'Failed' && v.peerRole === 'Primary' && !v.primary && !v.promoting;
    if (!goes) {
      this.changed(v, before);
      return;
    }
    this.#going.add(v);
    this.settled(v);
  }
  /** The peer writes. */
  writes(v: Volume): void {
    if (this.#going.delete(v) && soleDisk(v)) this.#sole(v);
  }
  lost(): void {
    this.#going.clear();
  }
  settled(v: Volume): void {
    this.#p.disks.check(v);
    this.#p.sender.released(v);
  }
}
