/** An end of the connection in order: who leaves asks, and under fencing one side stays behind as Outdated. */
import { DRBD_CONNECTIONS, DRBD_DISKS, decodeState, STATE_BITS, type StateRequestPacket } from '../../../wire/index.ts';
import { MIRROR_REFUSALS } from '../../status.ts';
import type { Answer } from '../asking.ts';
import type { Parts } from '../parts.ts';
import { done } from '../reasons.ts';
import { atLeast, type Volume } from '../volume.ts';
import { CONNECTION, DISK, fieldMask, put, SUCCESS, UNDER_WAY } from './agreements.ts';

export class Leaving {
  readonly #p: Parts;

  constructor(p: Parts) {
    this.#p = p;
  }
  /** The peer leaves. Under fencing a primary lets it go only as Outdated; and what we are told to be we are at once. */
  asked(p: StateRequestPacket): void {
    const { c, volumes, fencing, link } = this.#p;
    const reply = (result: number): void => c.send('meta', { kind: 'P_CONN_ST_CHG_REPLY', volume: 0, result });
    const want = decodeState(p.value);
    const asks = (f: readonly [number, number], disk: number): boolean =>
      (p.mask & fieldMask(f)) !== 0 && DRBD_DISKS[disk] === 'Outdated';
    if ((this.#p.agreements.pending || volumes.some((v) => v.promoting)) && link.resolver) {
      reply(MIRROR_REFUSALS.concurrent);
      return;
    }
    if (DRBD_CONNECTIONS[want.connection] !== 'Disconnecting') {
      reply(MIRROR_REFUSALS['not-supported']);
      return;
    }
    if (asks(DISK, want.disk)) {
      for (const v of volumes)
        if (atLeast(v.peerDisk, 'Outdated') || v.peerMayBeDone) {
          v.peerDisk = 'Outdated';
          v.leaving = true;
        }
    } else if (asks(STATE_BITS.peerDisk, want.peerDisk)) {
      if (this.#p.roles.primary) {
        reply(MIRROR_REFUSALS['no-good-disk']);
        return;
      }
      const { era } = link;
      this.#becomeOutdated(() => {
        if (era === link.era) reply(SUCCESS);
      });
      return;
    } else if (
      this.#p.roles.primary &&
      fencing.strict &&
      volumes.some((v) => v.peerDisk === 'UpToDate' || v.peerMayBeDone)
    ) {
      reply(MIRROR_REFUSALS.fenced);
      return;
    }
    reply(SUCCESS);
  }
  #becomeOutdated(then: () => void): void {
    const good = this.#p.volumes.filter((v) => atLeast(v.disk, 'Outdated'));
    let left = good.length;
    if (left === 0) then();
    for (const v of good) {
      v.disk = 'Outdated';
      v.leaving = true;
      v.persist(false, () => {
        if (--left === 0) then();
      });
    }
  }
  disconnect(force: boolean, answer: Answer): void {
    const { link } = this.#p;
    const end = (): void => {
      link.disconnectHere();
      answer(done('disconnected', '已断开连接'));
    };
    if (link.state === 'StandAlone') {
      answer(done('it is StandAlone already', '已处于 StandAlone', false));
      return;
    }
    if (!link.established || force) {
      end();
      return;
    }
    if (this.#p.agreements.pending) {
      answer(UNDER_WAY);
      return;
    }
    // A primary under fencing leaves its peer as Outdated; one that is there wants us to be.
    if (this.#p.roles.primary && this.#p.fencing.strict) this.#leave(STATE_BITS.peerDisk, end, answer);
    else
      this.#leave(undefined, end, (a) => {
        if (a.ok || a.code !== 'fenced' || this.#p.roles.primary) return answer(a);
        this.#becomeOutdated(() => this.#leave(DISK, end, answer));
      });
  }
  #leave(outdated: readonly [number, number] | undefined, end: () => void, answer: Answer): void {
    const { link, volumes, agreements } = this.#p;
    if (!link.established) {
      end();
      return;
    }
    const also = outdated === undefined ? 0 : fieldMask(outdated);
    const value = outdated === undefined ? 0 : put(outdated, DRBD_DISKS.indexOf('Outdated'));
    agreements.ask(
      'P_CONN_ST_CHG_REQ',
      [volumes[0] as Volume],
      fieldMask(CONNECTION) | also,
      put(CONNECTION, DRBD_CONNECTIONS.indexOf('Disconnecting')) | value,
      (result) => {
        if (result < SUCCESS && link.established) return answer(agreements.refusedByPeer(result));
        if (outdated === STATE_BITS.peerDisk && result >= SUCCESS)
          for (const v of volumes) if (atLeast(v.peerDisk, 'Outdated') || v.peerMayBeDone) v.peerDisk = 'Outdated';
        end();
      },
    );
  }
}
