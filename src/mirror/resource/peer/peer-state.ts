/** What the peer's P_STATE means for a volume, and the comparison anew when one side has changed while both are connected. */
import { type Text, text } from '../../../base/index.ts';
import { DRBD_CONNECTIONS, DRBD_DISKS, DRBD_ROLES, decodeState, type StatePacket } from '../../../wire/index.ts';
import { fittingDisks } from '../../machine/index.ts';
import { decideHandshake, type HandshakeSide } from '../../metadata/index.ts';
import type { Parts } from '../parts.ts';
import { FINISHED, OTHER_DATA } from '../reasons.ts';
import type { Syncs } from '../resync/syncs.ts';
import { atLeast, type Volume } from '../volume.ts';
import { connectConfig } from './facts.ts';

export class PeerStates {
  readonly #p: Parts;
  readonly #s: Syncs;

  constructor(p: Parts, s: Syncs) {
    this.#p = p;
    this.#s = s;
  }

  heard(v: Volume, p: StatePacket): void {
    const { link } = this.#p;
    const told = decodeState(p.state);
    const theirs = DRBD_CONNECTIONS[told.connection] ?? 'StandAlone';
    // It tells of the full resync that it was asked for, on this socket; that it agrees may still be on its way on the other.
    const begun = v.connection === 'Connected' && theirs !== 'Connected';
    if (begun && this.#p.fullSyncs.asked(v, () => this.heard(v, p))) return;
    const disk = v.peerDiskOf(told.disk);
    const before = v.peerDisk;
    this.#p.peerDisks.roleIs(v, DRBD_ROLES[told.role] ?? 'Unknown');
    this.#p.pauses.heard(v, told);
    if (theirs === 'Ahead') {
      v.peerDisk = disk;
      if (v.connection !== 'Behind') this.#p.congestion.behind(v);
      return;
    }
    const s = this.#s.of(v);
    if (s?.is === 'source' && theirs === 'Connected' && disk === 'UpToDate') {
      if (v.bits > 0) {
        this.#abort(v, text('the peer says that it is equal, and blocks still differ', '对端称已一致，但仍有差异块'));
        return;
      }
      this.#p.steps.endSource(v, s);
      return;
    }
    // It was told before the peer had seen that our disk is there: what it says of that follows.
    if (
      v.negotiating &&
      !atLeast(DRBD_DISKS[told.peerDisk] ?? 'DUnknown', 'Negotiating') &&
      !isNegotiating(told.disk)
    ) {
      v.peerDisk = disk;
      this.#p.peerDisks.changed(v, before);
      return;
    }
    if (v.connection === 'Connected') {
      const negotiating = v.negotiating || isNegotiating(told.disk);
      const undecided = theirs === 'Connected' && (v.considerResync || negotiating);
      const decided = ['StartingSyncS', 'StartingSyncT', 'WFBitMapS', 'WFBitMapT'].includes(theirs);
      v.considerResync = false;
      // What it told when it still had a disk compares with nothing.
      const both = v.backing !== undefined && atLeast(disk, 'Inconsistent');
      if ((undecided || decided) && v.peerUuids !== undefined && both) {
        v.peerDisk = disk;
        this.#compareAgain(v, !decided);
        return;
      }
      if (negotiating) {
        if (disk !== 'Inconsistent' && !this.#p.peerDisks.shows(v)) {
          link.lose(OTHER_DATA, false);
          return;
        }
        // There is nothing to compare with on this side, or on that one.
        v.peerDisk = disk;
        if (!this.#p.disks.alone(v)) return;
        v.negotiated();
        [v.disk, v.peerDisk] = fittingDisks('Connected', v.disk, disk);
        v.save(false, () => this.#s.tell(v));
        this.#p.peerDisks.settled(v);
        this.#p.peerDisks.connected(v);
        return;
      }
    }
    v.peerDisk = disk;
    if (v.connection === 'Connected' && !v.leaving && this.#p.peerDisks.same(v))
      [v.disk, v.peerDisk] = fittingDisks('Connected', v.disk, disk);
    if (s?.is === 'verify-target' && theirs === 'Connected' && disk === 'UpToDate') this.#p.verifies.peerEnded(v);
    // A state that was told before the peer agreed to be verified says nothing of the verify.
    const ended = theirs === 'Connected' && (s?.is === 'source' || s?.is === 'target');
    // The target of a full resync that has not begun has no Sync yet: without the disk of its source it never will.
    const gone = !atLeast(disk, 'Inconsistent') && (s !== undefined || v.connection === 'WFSyncUUID');
    if (gone || ended) {
      this.#s.stop(v);
      v.connection = 'Connected';
    }
    this.#p.peerDisks.changed(v, before);
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
    const config = connectConfig(this.#p.config, [v]);
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
      link.lose(decision.reasons.at(-1) ?? FINISHED, false, undefined, true);
      return;
    }
    v.negotiated();
    if (outcome.do === 'connect') {
      this.#s.go(v, 'Connected');
      v.save(false, () => {
        if (!tellFirst) return;
        this.#s.tellUuids(v);
        this.#s.tell(v);
      });
      this.#p.peerDisks.settled(v);
      return;
    }
    if (outcome.full) v.bitmap.setAll();
    const connection = outcome.do === 'source' ? 'WFBitMapS' : 'WFBitMapT';
    [v.disk, v.peerDisk] = fittingDisks(connection, v.disk, v.peerDisk);
    if (tellFirst) this.#s.tellUuids(v);
    const unblock = link.block();
    const { era } = link;
    // Nothing is sent as data from here to the beginning of the resync.
    v.connection = connection;
    v.save(outcome.full, () => {
      if (era !== link.era) return;
      if (tellFirst) this.#s.tell(v);
      this.#p.steps.begin(v);
      unblock();
      // A disk that has just come may be the good one that a primary's requests wait for.
      this.#p.peerDisks.settled(v);
    });
  }
}
const isNegotiating = (disk: number): boolean => DRBD_DISKS[disk] === 'Negotiating';
