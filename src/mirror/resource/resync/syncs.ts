/** What is under way between the two sides of each volume, what is told of it, and where each packet goes. */
import { type Microseconds, text, unreachable } from '../../../base/index.ts';
import {
  type BlockAckPacket,
  DRBD_ROLES,
  DRBD_UUID_FLAG,
  type DrbdConnection,
  type DrbdPacket,
  type UuidSet,
} from '../../../wire/index.ts';
import { fittingDisks, roleOf, stateWord } from '../../machine/index.ts';
import { generation } from '../../metadata/index.ts';
import { bitsTouched } from '../bits.ts';
import type { Parts } from '../parts.ts';
import type { Volume } from '../volume.ts';
import type { BitmapReceipt } from './bitmap-exchange.ts';
import type { ResyncSource, ResyncTarget } from './resync.ts';
import type { VerifySource, VerifyTarget } from './verify.ts';

export type Sync =
  | { readonly is: 'bitmap'; readonly receipt: BitmapReceipt }
  | { readonly is: 'source'; readonly source: ResyncSource; ending: boolean }
  | { readonly is: 'target'; readonly target: ResyncTarget; readonly sources: UuidSet; ending: boolean }
  | { readonly is: 'verify-source'; readonly source: VerifySource }
  | { readonly is: 'verify-target'; readonly target: VerifyTarget };

export class Syncs {
  readonly #p: Parts;
  readonly #all = new Map<Volume, Sync>();

  constructor(p: Parts) {
    this.#p = p;
  }
  of(v: Volume): Sync | undefined {
    return this.#all.get(v);
  }
  set(v: Volume, s: Sync): void {
    this.#all.set(v, s);
  }
  stop(v?: Volume): void {
    for (const [of, s] of [...this.#all]) {
      if (v !== undefined && of !== v) continue;
      const position = s.is === 'verify-source' ? s.source.position : undefined;
      this.drop(of);
      if (s.is === 'verify-source' || s.is === 'verify-target') this.#p.verifies.interrupted(of, position);
    }
  }
  /** What has come to its own end. */
  drop(v: Volume): void {
    const s = this.#all.get(v);
    if (s === undefined) return;
    this.#all.delete(v);
    switch (s.is) {
      case 'source':
      case 'verify-source':
        s.source.stop();
        return;
      case 'target':
      case 'verify-target':
        s.target.stop();
        return;
      case 'bitmap':
        return;
      default:
        unreachable(s);
    }
  }
  tick(): void {
    for (const s of this.#all.values())
      if (s.is === 'target') s.target.tick();
      else if (s.is === 'verify-source') s.source.tick();
  }
  get deadline(): Microseconds | undefined {
    let least: Microseconds | undefined;
    for (const s of this.#all.values()) {
      const d = s.is === 'target' ? s.target.deadline : s.is === 'verify-source' ? s.source.deadline : undefined;
      if (d !== undefined && (least === undefined || d < least)) least = d;
    }
    return least;
  }

  /** Who writes to a volume has changed. */
  rolesChanged(v: Volume): void {
    const s = this.#all.get(v);
    if (s?.is === 'verify-source') s.source.rolesChanged();
    if (s?.is === 'target' || s?.is === 'verify-target') s.target.rolesChanged();
  }

  // ------------------------------------------------------------------------------------------ states

  tell(v: Volume): void {
    if (!v.connected) this.#p.joining.tell(v);
    else this.#p.c.send('data', { kind: 'P_STATE', volume: v.number, state: this.word(v) });
  }
  word(v: Volume): number {
    const roles = [roleOf(v.primary), DRBD_ROLES.indexOf(v.peerRole)] as const;
    return stateWord(v.connection, roles, [v.disk, v.peerDisk], v.pause);
  }
  tellUuids(v: Volume): void {
    const { uuids, bits } = v;
    if (v.backing === undefined || !v.connected) return;
    const inconsistent = v.attachedAs === 'Inconsistent' ? DRBD_UUID_FLAG.inconsistent : 0;
    const flags = (v.crashedPrimary ? DRBD_UUID_FLAG.crashedPrimary : 0) | inconsistent;
    this.#p.c.send('data', { kind: 'P_UUIDS', volume: v.number, uuids, bits, flags });
  }
  /** The connection state of a volume changes, and the disks with it. */
  go(v: Volume, connection: DrbdConnection): void {
    v.connection = connection;
    [v.disk, v.peerDisk] = fittingDisks(connection, v.disk, v.peerDisk);
  }
  fault(en: string, zh: string): void {
    this.#p.link.lose(text(en, zh), true);
  }

  packet(p: DrbdPacket): void {
    const { link, sender, receiver } = this.#p;
    if (p.kind === 'P_BARRIER') {
      receiver.barrier(p.barrier);
      return;
    }
    if (p.kind === 'P_UNPLUG_REMOTE') {
      receiver.hurry();
      return;
    }
    if (p.kind === 'P_BARRIER_ACK') {
      const wrong = sender.barrierAcknowledged(p.barrier, p.setSize);
      if (wrong !== undefined) link.lose(wrong, true);
      return;
    }
    if (p.kind === 'P_CONN_ST_CHG_REQ' || p.kind === 'P_CONN_ST_CHG_REPLY' || p.kind === 'P_STATE_CHG_REPLY') {
      this.#p.agreements.packet(p, undefined);
      return;
    }
    if (p.kind === 'P_PROTOCOL_UPDATE') {
      this.#p.settings.protocolUpdate(p);
      return;
    }
    const v = this.#p.volumes.find((one) => one.number === p.volume);
    if (v === undefined || this.#p.joining.waits(v)) {
      this.#ofOne(p, v);
      return;
    }
    switch (p.kind) {
      case 'P_DATA':
      case 'P_TRIM':
      case 'P_ZEROES':
      case 'P_WSAME':
        this.#p.peerDisks.writes(v);
        this.#p.two.write(v, p);
        return;
      case 'P_STATE':
        if (!this.#p.joining.heard(v, p)) this.#p.peerStates.heard(v, p);
        return;
      case 'P_UUIDS':
        v.peerUuids = p;
        // While its disk is what we read from, its data stay those that our application has seen, whatever they are called.
        if (v.peerDisk === 'UpToDate' && v.backing === undefined && v.primary)
          v.shown(generation(p.uuids.current), generation(p.uuids.bitmap));
        return;
      case 'P_SIZES':
        this.#p.resizes.heard(v, p);
        return;
      case 'P_STATE_CHG_REQ':
        this.#p.agreements.packet(p, v);
        return;
      case 'P_BITMAP':
      case 'P_COMPRESSED_BITMAP':
        this.#p.steps.bitmap(v, p);
        return;
      case 'P_SYNC_UUID':
        this.#p.steps.syncUuid(v, p.uuid);
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
        if (s?.is === 'verify-source') s.source.refused(p);
        if (s?.is !== 'target') return;
        p.kind === 'P_RS_IS_IN_SYNC' ? s.target.inSync(p) : s.target.refused(p);
        return;
      }
      case 'P_OV_REQUEST':
        this.#p.verifies.requested(v, p);
        return;
      case 'P_OV_REPLY':
        this.#p.verifies.replied(v, p);
        return;
      case 'P_OV_RESULT':
        this.#p.verifies.judged(v, p);
        return;
      case 'P_RECV_ACK':
      case 'P_WRITE_ACK':
      case 'P_RS_WRITE_ACK':
      case 'P_NEG_ACK':
      case 'P_SUPERSEDED':
      case 'P_RETRY_WRITE':
        this.#onAck(v, p);
        return;
      case 'P_SYNC_PARAM89':
        this.#p.settings.syncParam(p);
        return;
      case 'P_SYNC_PARAM':
      case 'P_DELAY_PROBE':
        return;
      default:
        this.fault(`${p.kind} came out of turn`, `${p.kind} 的出现不合时宜`);
        return;
    }
  }
  /** Of a volume that only one side has; `v`: this side. */
  #ofOne(p: DrbdPacket, v: Volume | undefined): void {
    switch (p.kind) {
      case 'P_SYNC_PARAM89':
        if (v !== undefined) this.#p.settings.syncParam(p);
        return;
      case 'P_SIZES':
        if (v !== undefined) v.peerSizes = p;
        return;
      case 'P_UUIDS':
        if (v !== undefined) v.peerUuids = p;
        return;
      case 'P_STATE':
        if (v !== undefined) this.#p.joining.heard(v, p);
        return;
      case 'P_STATE_CHG_REQ':
        this.#p.agreements.packet(p, undefined);
        return;
      // They may be overtaken by a farewell, which travels on the other socket.
      case 'P_RECV_ACK':
      case 'P_WRITE_ACK':
      case 'P_RS_WRITE_ACK':
      case 'P_NEG_ACK':
      case 'P_SUPERSEDED':
      case 'P_RETRY_WRITE':
        if (v !== undefined) this.#onAck(v, p);
        return;
      default:
        this.fault(
          `${p.kind} of volume ${p.volume}, which both do not have`,
          `${p.kind} 属于并非两端都有的卷 ${p.volume}`,
        );
        return;
    }
  }
  #onAck(v: Volume, p: BlockAckPacket): void {
    if (this.#p.sender.acknowledged(v, p)) return;
    const s = this.#all.get(v);
    if (s?.is === 'source') s.source.acknowledged(p);
  }
}
