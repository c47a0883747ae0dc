/**
 * Volumes that only one side has, on a connection that works: each waits until both have it, and joins then, without the
 * others. Who adds a volume tells all of it, as at the beginning of a connection; a side that has no such volume passes over
 * that, as the kernel does, and when it has one too it tells in its turn. So what was told first may not have been heard:
 * who hears of a volume that it has waiting tells once more, and both compare.
 *
 * The state at the end of what is told says which of both it is: WFReportParams (the kernel's own word), and WFConnection for
 * the answer. StandAlone is a farewell: the volume is taken out there. A kernel asks instead whether the volume may become
 * WFReportParams (its del-minor).
 */
import { type Text, text } from '../../../base/index.ts';
import { DRBD_CONNECTIONS, DRBD_DISKS, decodeState, type StatePacket } from '../../../wire/index.ts';
import { volumePackets } from '../../machine/index.ts';
import type { Parts } from '../parts.ts';
import type { Volume } from '../volume.ts';
import { connectConfig } from './facts.ts';

export class Joining {
  readonly #p: Parts;

  constructor(p: Parts) {
    this.#p = p;
  }
  /** The connection works, and the peer has not told of this one. */
  waits(v: Volume): boolean {
    return this.#p.link.established && v.connection === 'WFReportParams';
  }
  /** Of a new connection: the peer has told of all that it has, and this one was not among them. */
  absent(v: Volume): void {
    this.#alone(v);
    v.release('connecting');
  }
  /** To a peer that may have it by now. */
  tell(v: Volume): void {
    if (this.waits(v)) this.#tell(v, 'WFReportParams');
  }
  #tell(v: Volume, as: 'WFReportParams' | 'WFConnection'): void {
    const { link, c } = this.#p;
    const config = connectConfig(this.#p.config, [v]);
    for (const facts of config.volumes)
      for (const packet of volumePackets(config, link.dialect, facts, as)) c.send('data', packet);
  }
  /** True: the state said something of this, and of nothing else. */
  heard(v: Volume, p: StatePacket): boolean {
    const theirs = DRBD_CONNECTIONS[decodeState(p.state).connection];
    if (theirs === 'StandAlone') {
      if (v.connected) this.#alone(v);
      return true;
    }
    if (v.connected) {
      // An answer to what we had told before we heard of it: both are compared already.
      if (theirs === 'WFConnection') return true;
      // Taken out and added again: a kernel waits for no agreement to that.
      if (theirs !== 'WFReportParams' || v.connection !== 'Connected' || v.peerDisk !== 'Diskless') return false;
      const { peerSizes, peerUuids } = v;
      this.#alone(v);
      v.peerSizes = peerSizes;
      // Without a disk, as a kernel's volume begins, it tells none: those that are known are of the volume that went.
      if (DRBD_DISKS.indexOf('Negotiating') <= decodeState(p.state).disk) v.peerUuids = peerUuids;
    }
    if (!this.waits(v)) return false;
    const { link } = this.#p;
    // A kernel whose volume waited has heard of ours, and does not tell once more what we had passed over.
    if (v.peerSizes === undefined) {
      if (theirs !== 'WFReportParams') link.lose(COMPARED_ALONE, true);
      return true;
    }
    if (theirs === 'WFReportParams') this.#tell(v, 'WFConnection');
    link.join(v, p);
    return true;
  }
  /** The farewell of a kernel, which asks for it when the volume has no disk any more. */
  agree(v: Volume): 'not-supported' | undefined {
    if (!v.connected || v.peerDisk !== 'Diskless' || v.peerRole === 'Primary') return 'not-supported';
    this.#alone(v);
    return undefined;
  }
  /** The peer has it no more, or not yet. */
  #alone(v: Volume): void {
    const { c, config, syncs, disks, sender } = this.#p;
    syncs.stop(v);
    v.connection = 'WFReportParams';
    v.peerDisk = 'DUnknown';
    v.peerRole = 'Unknown';
    v.told = v.peerUuids ?? v.told;
    v.peerUuids = undefined;
    v.peerSizes = undefined;
    v.considerResync = false;
    v.pause.peer = false;
    c.reason('mirror.volume', v.number, absentWords(config.peer));
    disks.check(v);
    sender.released(v);
  }
  /** It is taken out here: a peer that has it waits from then on. */
  farewell(v: Volume): void {
    const { link, syncs, c } = this.#p;
    const told = link.established && v.connected;
    v.connection = 'StandAlone';
    if (told) c.send('data', { kind: 'P_STATE', volume: v.number, state: syncs.word(v) });
  }
}
const absentWords = (peer: string): Text =>
  text(`${peer} has no such volume: this one waits for it`, `${peer} 没有此卷：本机的卷等待其出现`);
const COMPARED_ALONE = text(
  'a volume that the peer had waiting is here now: the connection is made anew to compare both',
  '对端等待的卷现已在本机出现：重新建立连接以便比较',
);
