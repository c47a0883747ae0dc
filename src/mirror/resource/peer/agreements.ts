/**
 * Changes that both sides must agree to: the one who wants it asks, the other judges by its own rules and answers. One at a
 * time; where two cross, the conflict resolver's goes first.
 */
import {
  DRBD_CONNECTIONS,
  DRBD_DISKS,
  DRBD_ROLES,
  type DrbdConnection,
  decodeState,
  STATE_BITS,
  type StateReplyPacket,
  type StateRequestPacket,
} from '../../../wire/index.ts';
import type { MirrorAnswer } from '../../status.ts';
import { MIRROR_REFUSALS, type MirrorRefusal } from '../../status.ts';
import type { Answer } from '../asking.ts';
import type { Parts } from '../parts.ts';
import { refused } from '../reasons.ts';
import { atLeast, type Volume } from '../volume.ts';

export const SUCCESS = 1;
/** A field of a state, as bits to be changed; a value of it. */
export const fieldMask = ([at, bits]: readonly [number, number]): number => ((1 << bits) - 1) << at;
export const put = ([at]: readonly [number, number], n: number): number => n << at;
export const { role: ROLE, disk: DISK, connection: CONNECTION } = STATE_BITS;

type Asked = { readonly volumes: readonly Volume[]; left: number; readonly then: (result: number) => void };
export const UNDER_WAY: MirrorAnswer = refused(
  'in-transient',
  'another change is under way: ask again',
  '另一状态变更正在进行：请重试',
);

export class Agreements {
  readonly #p: Parts;
  #asked: Asked | undefined;

  constructor(p: Parts) {
    this.#p = p;
  }
  /** The peer has not answered. */
  get pending(): boolean {
    return this.#asked !== undefined;
  }
  /** `then` with what it answers for all volumes; 'failed-by-peer' when it is lost. */
  ask(
    kind: StateRequestPacket['kind'],
    volumes: readonly Volume[],
    mask: number,
    value: number,
    then: (r: number) => void,
  ): void {
    this.#asked = { volumes, left: volumes.length, then };
    for (const v of volumes)
      this.#p.c.send('data', {
        kind,
        volume: kind === 'P_CONN_ST_CHG_REQ' ? 0 : v.number,
        mask: mask >>> 0,
        value: value >>> 0,
      });
  }
  packet(p: StateRequestPacket | StateReplyPacket, v: Volume | undefined): void {
    if ('result' in p) {
      const asked = this.#asked;
      if (asked === undefined) return;
      asked.left--;
      if (p.result >= SUCCESS && asked.left > 0) return;
      this.#asked = undefined;
      asked.then(p.result);
      this.#next();
      return;
    }
    if (p.kind === 'P_CONN_ST_CHG_REQ') {
      this.#p.leaving.asked(p);
      return;
    }
    const result = this.#judge(p, v);
    this.#p.c.send('meta', { kind: 'P_STATE_CHG_REPLY', volume: p.volume, result });
  }
  #judge(p: StateRequestPacket, v: Volume | undefined): number {
    // What the peer has agreed to is under way until it is whole: DRBD holds its state mutex so long.
    const own = this.#asked !== undefined || this.#p.volumes.some((one) => one.promoting);
    if (own && this.#p.link.resolver) return MIRROR_REFUSALS.concurrent;
    const want = decodeState(p.value);
    const touches = (f: readonly [number, number]): boolean => (p.mask & fieldMask(f)) !== 0;
    if (v === undefined) return MIRROR_REFUSALS['not-supported'];
    if (touches(ROLE) && DRBD_ROLES[want.role] === 'Primary') {
      if ((v.primary || v.promoting) && !this.#p.config.net.allowTwoPrimaries) return MIRROR_REFUSALS['two-primaries'];
      this.#p.peerDisks.roleIs(v, 'Primary');
    }
    if (touches(DISK)) {
      const disk = DRBD_DISKS[want.disk] ?? 'DUnknown';
      if (!atLeast(disk, 'Inconsistent') && v.disk !== 'UpToDate' && (v.primary || v.peerRole === 'Primary'))
        return MIRROR_REFUSALS['no-good-disk'];
      if (v.disk === 'Inconsistent' && disk === 'UpToDate' && v.peerDisk !== 'UpToDate') v.considerResync = true;
      const before = v.peerDisk;
      if (!(disk === 'Failed' && before === 'Diskless')) v.peerDisk = disk;
      this.#p.peerDisks.asked(v, before);
    }
    if (touches(CONNECTION)) return this.#judgeConnection(v, DRBD_CONNECTIONS[want.connection]);
    return SUCCESS;
  }
  readonly #queue: (() => void)[] = [];
  #next(): void {
    while (this.#asked === undefined) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      next();
    }
  }
  /** When nothing that the peer was asked is open. */
  afterwards(then: () => void): void {
    if (this.#asked === undefined) then();
    else this.#queue.push(() => this.afterwards(then));
  }
  /** `then`: whether the peer agrees that our disk is about to go. */
  askDetach(v: Volume, then: (agreed: boolean) => void): void {
    const { link } = this.#p;
    if (this.#asked !== undefined) {
      this.#queue.push(() => this.askDetach(v, then));
      return;
    }
    if (!link.established || !v.connected) {
      then(false);
      return;
    }
    link.ping(() => {});
    this.ask('P_STATE_CHG_REQ', [v], fieldMask(DISK), put(DISK, DRBD_DISKS.indexOf('Failed')), (result) => {
      if (result === MIRROR_REFUSALS.concurrent) this.askDetach(v, then);
      else then(result >= SUCCESS);
    });
  }
  /** `then`: the peer knows of the state of our disk; or it is gone. */
  tellDisk(v: Volume, then: () => void): void {
    if (!this.#p.link.established || !v.connected) {
      then();
      return;
    }
    if (this.#asked !== undefined) {
      this.#queue.push(() => this.tellDisk(v, then));
      return;
    }
    const disk = v.backing === undefined ? 'Failed' : v.disk;
    this.ask('P_STATE_CHG_REQ', [v], fieldMask(DISK), put(DISK, DRBD_DISKS.indexOf(disk)), (result) => {
      // It has not looked at it.
      if (result === MIRROR_REFUSALS.concurrent) return this.tellDisk(v, then);
      if (this.#p.link.established) this.#p.syncs.tell(v);
      then();
    });
  }
  #judgeConnection(v: Volume, connection: DrbdConnection | undefined): number {
    const refusal =
      connection === 'VerifyS'
        ? this.#p.verifies.agree(v)
        : connection === 'StartingSyncS' || connection === 'StartingSyncT'
          ? this.#p.fullSyncs.agree(v, connection)
          : connection === 'WFReportParams'
            ? this.#p.joining.agree(v)
            : 'not-supported';
    return refusal === undefined ? SUCCESS : MIRROR_REFUSALS[refusal];
  }
  /** Asks the peer to agree to what a volume's connection is to become; `then` it has, or `answer` says why not. */
  askConnection(v: Volume, connection: DrbdConnection, answer: Answer, then: () => void): void {
    const { link } = this.#p;
    if (this.#p.roles.changing || this.pending || link.negotiating) {
      answer(UNDER_WAY);
      return;
    }
    const value = put(CONNECTION, DRBD_CONNECTIONS.indexOf(connection));
    this.ask('P_STATE_CHG_REQ', [v], fieldMask(CONNECTION), value, (result) => {
      if (result >= SUCCESS && link.established) then();
      else answer(this.refusedByPeer(result));
    });
  }
  /** The peer is gone: nobody will answer. */
  lost(): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.then(MIRROR_REFUSALS['failed-by-peer']);
    this.#next();
  }
  /** What an operator is told of a refusal. */
  refusedByPeer(result: number): MirrorAnswer {
    const code = (Object.keys(MIRROR_REFUSALS) as MirrorRefusal[]).find((k) => MIRROR_REFUSALS[k] === result);
    return refused(
      code ?? 'failed-by-peer',
      `${this.#p.config.peer} does not agree: ${code ?? result}`,
      `${this.#p.config.peer} 不同意：${code ?? result}`,
    );
  }
}
