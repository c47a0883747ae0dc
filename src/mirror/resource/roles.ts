/**
 * Roles, and the changes that both sides must agree to: the one who wants it asks, the other judges by its own rules and
 * answers. And what an operator asks for, with the reason where it is refused.
 */
import { text } from '../../base/index.ts';
import {
  DRBD_CONNECTIONS,
  DRBD_DISKS,
  DRBD_ROLES,
  type DrbdConnection,
  decodeState,
  STATE_BITS,
  type StateReplyPacket,
  type StateRequestPacket,
} from '../../wire/index.ts';
import { generation, withRole } from '../metadata/index.ts';
import type { MirrorAnswer } from '../status.ts';
import { MIRROR_REFUSALS, type MirrorRefusal } from '../status.ts';
import type { Parts } from './parts.ts';
import { done, refused } from './reasons.ts';
import { atLeast, type Volume } from './volume.ts';

const SUCCESS = 1;
const fieldMask = ([at, bits]: readonly [number, number]): number => ((1 << bits) - 1) << at;
const put = ([at]: readonly [number, number], n: number): number => n << at;
const ROLE = STATE_BITS.role;
const DISK = STATE_BITS.disk;
const CONNECTION = STATE_BITS.connection;

type Asked = { readonly volumes: Volume[]; left: number; readonly then: (result: number) => void };
type Answer = (a: MirrorAnswer) => void;

export class Roles {
  readonly #p: Parts;
  #asked: Asked | undefined;
  #demoting: Answer[] | undefined;
  #changing = false;

  readonly #used: () => boolean;

  /** `used`: somebody has a volume open. */
  constructor(p: Parts, used: () => boolean) {
    this.#p = p;
    this.#used = used;
  }
  get primary(): boolean {
    return this.#p.volumes.some((v) => v.primary);
  }
  /** Nobody may write any more. */
  get demoting(): boolean {
    return this.#demoting !== undefined;
  }

  // ------------------------------------------------------------------------------------------ asking the peer

  #ask(
    kind: StateRequestPacket['kind'],
    volumes: Volume[],
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
      this.#judgeLeaving(p);
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
  /** The peer leaves. Under fencing a primary lets it go only as Outdated; and what we are told to be we are at once. */
  #judgeLeaving(p: StateRequestPacket): void {
    const { c, volumes, fencing, link } = this.#p;
    const reply = (result: number): void => c.send('meta', { kind: 'P_CONN_ST_CHG_REPLY', volume: 0, result });
    const want = decodeState(p.value);
    const asks = (f: readonly [number, number], disk: number): boolean =>
      (p.mask & fieldMask(f)) !== 0 && DRBD_DISKS[disk] === 'Outdated';
    if (this.#asked !== undefined && link.resolver) {
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
      if (this.primary) {
        reply(MIRROR_REFUSALS['no-good-disk']);
        return;
      }
      const { era } = link;
      this.#becomeOutdated(() => {
        if (era === link.era) reply(SUCCESS);
      });
      return;
    } else if (this.primary && fencing.strict && volumes.some((v) => v.peerDisk === 'UpToDate' || v.peerMayBeDone)) {
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
  readonly #queue: (() => void)[] = [];
  #next(): void {
    while (this.#asked === undefined) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      next();
    }
  }
  /** `then`: whether the peer agrees that our disk is about to go. */
  askDetach(v: Volume, then: (agreed: boolean) => void): void {
    const { link } = this.#p;
    if (this.#asked !== undefined) {
      this.#queue.push(() => this.askDetach(v, then));
      return;
    }
    if (!link.established) {
      then(false);
      return;
    }
    link.ping(() => {});
    this.#ask('P_STATE_CHG_REQ', [v], fieldMask(DISK), put(DISK, DRBD_DISKS.indexOf('Failed')), (result) => {
      if (result === MIRROR_REFUSALS.concurrent) this.askDetach(v, then);
      else then(result >= SUCCESS);
    });
  }
  /** `then`: the peer knows of the state of our disk; or it is gone. */
  tellDisk(v: Volume, then: () => void): void {
    if (!this.#p.link.established) {
      then();
      return;
    }
    if (this.#asked !== undefined) {
      this.#queue.push(() => this.tellDisk(v, then));
      return;
    }
    const disk = v.backing === undefined ? 'Failed' : v.disk;
    this.#ask('P_STATE_CHG_REQ', [v], fieldMask(DISK), put(DISK, DRBD_DISKS.indexOf(disk)), (result) => {
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
          : 'not-supported';
    return refusal === undefined ? SUCCESS : MIRROR_REFUSALS[refusal];
  }
  /** Asks the peer to agree to what a volume's connection is to become; `then` it has, or `answer` says why not. */
  askConnection(v: Volume, connection: DrbdConnection, answer: Answer, then: () => void): void {
    const { link } = this.#p;
    if (this.#changing || this.#asked !== undefined || this.demoting || link.negotiating) {
      answer(refused('in-transient', 'another change is under way: ask again', '另一状态变更正在进行：请重试'));
      return;
    }
    const value = put(CONNECTION, DRBD_CONNECTIONS.indexOf(connection));
    this.#ask('P_STATE_CHG_REQ', [v], fieldMask(CONNECTION), value, (result) => {
      if (result >= SUCCESS && link.established) then();
      else answer(this.#peerRefused(result));
    });
  }
  /** The peer is gone: nobody will answer. */
  lost(): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.then(MIRROR_REFUSALS['failed-by-peer']);
    this.#next();
    this.idle();
  }

  // ------------------------------------------------------------------------------------------ primary

  /** `fenced`: fence-peer was asked already. */
  promote(force: boolean, answer: Answer, fenced = false): void {
    const { volumes, link, config, fencing, receiver } = this.#p;
    if (this.#changing || this.#asked !== undefined || this.demoting || link.negotiating) {
      answer(refused('in-transient', 'another change is under way: ask again', '另一状态变更正在进行：请重试'));
      return;
    }
    if (volumes.every((v) => v.primary)) {
      answer(done('it is primary already', '已是主节点', false));
      return;
    }
    for (const v of volumes) {
      if (v.connected && v.peerRole === 'Primary' && !config.net.allowTwoPrimaries) {
        answer(
          refused(
            'two-primaries',
            `${config.peer} is primary: make it secondary first`,
            `${config.peer} 为主节点：请先将其降为从节点`,
          ),
        );
        return;
      }
      // With the peer's data alone it would go on without what only its own disk may have: what protocol A left here.
      if (!force && (v.disk === 'Attaching' || v.disk === 'Negotiating') && v.connected) {
        answer(
          refused(
            'in-transient',
            `volume ${v.number} is ${v.disk}, and what it holds is not known yet: ask again, or use --force and go on with what the peer has`,
            `卷 ${v.number} 为 ${v.disk}，尚不知其内容：请重试，或使用 --force 并以对端的数据继续`,
          ),
        );
        return;
      }
      const good = v.hasGoodData || (v.disk === 'Consistent' && fencing.needed && !fenced);
      if (!good && !(force && atLeast(v.disk, 'Inconsistent'))) {
        answer(notGood(v));
        return;
      }
    }
    if (fencing.needed && !(fenced && force)) {
      if (fenced) {
        answer(
          refused(
            'fenced',
            `fence-peer could not make sure of ${config.peer}: connect it, or use --force and risk a split brain`,
            `fence-peer 未能确认 ${config.peer} 的状态：请先连接，或使用 --force 并承担脑裂风险`,
          ),
        );
        return;
      }
      this.#changing = true;
      fencing.fence((sure) => {
        this.#changing = false;
        if (sure)
          for (const v of volumes)
            if (v.disk === 'Consistent') {
              v.disk = 'UpToDate';
              v.save(false);
            }
        this.promote(force, answer, true);
      });
      return;
    }
    // What the peer's program was told of must not come behind the generation that says that all of it is here.
    if (!link.established && receiver.landing) {
      this.#changing = true;
      receiver.afterLanding(() => {
        this.#changing = false;
        this.promote(force, answer, fenced);
      });
      return;
    }
    this.#changing = true;
    const raise = volumes.filter((v) => !v.hasGoodData);
    if (!link.established) {
      this.#becomePrimary(raise, answer);
      return;
    }
    link.ping(() => {});
    const mask = fieldMask(ROLE) | (raise.length > 0 ? fieldMask(DISK) : 0);
    const value =
      put(ROLE, DRBD_ROLES.indexOf('Primary')) | (raise.length > 0 ? put(DISK, DRBD_DISKS.indexOf('UpToDate')) : 0);
    this.#ask('P_STATE_CHG_REQ', [...volumes], mask, value, (result) => {
      if (result >= SUCCESS && link.established) return this.#becomePrimary(raise, answer);
      this.#changing = false;
      answer(this.#peerRefused(result));
    });
  }
  #peerRefused(result: number): MirrorAnswer {
    const code = (Object.keys(MIRROR_REFUSALS) as MirrorRefusal[]).find((k) => MIRROR_REFUSALS[k] === result);
    return refused(
      code ?? 'failed-by-peer',
      `${this.#p.config.peer} does not agree: ${code ?? result}`,
      `${this.#p.config.peer} 不同意：${code ?? result}`,
    );
  }
  /** The role is on disk before the first write may be: after a crash the activity log counts. */
  #becomePrimary(raise: readonly Volume[], answer: Answer): void {
    const { volumes, link, syncs, c, config } = this.#p;
    let left = volumes.length;
    const { era } = link;
    // While the peer was asked it may have become a target here, or lost its disk there.
    const worse = volumes.find((v) => !v.hasGoodData && !raise.includes(v));
    if (worse !== undefined) {
      this.#staySecondary(worse, answer);
      return;
    }
    for (const v of volumes) {
      v.promoting = true;
      const forced = raise.includes(v);
      if (forced) v.disk = 'UpToDate';
      const alone = !v.connected || !atLeast(v.peerDisk, 'Inconsistent');
      if (v.backing !== undefined && (forced || (alone && v.uuids.bitmap === 0n))) v.beginGeneration();
      else v.uuids = withRole(v.uuids, true);
      v.persist(forced, () => {
        if (--left > 0) return;
        // Nor is a target promoted whose source was lost while the role was being written.
        const without = volumes.find((one) => !one.hasGoodData);
        if (without !== undefined) {
          this.#staySecondary(without, answer);
          return;
        }
        this.#changing = false;
        for (const one of volumes) {
          one.promoting = false;
          one.role = 'Primary';
          const seen = one.peerUuids?.uuids.current;
          if (one.backing === undefined && seen !== undefined) one.exposed = generation(seen);
          if (one.backing === undefined) one.mayBeBehind = true;
          if (!link.established || era !== link.era) continue;
          if (raise.includes(one)) syncs.tellUuids(one);
          syncs.tell(one);
        }
        const told = text(`${config.host} is primary`, `${config.host} 成为主节点`);
        c.reason('mirror.role', undefined, told);
        answer({ ok: true, changed: true, text: told });
      });
    }
  }
  /** The peer may have agreed, and think that this side is primary. */
  #staySecondary(without: Volume, answer: Answer): void {
    const { volumes, link, syncs } = this.#p;
    const why = notGood(without);
    let left = volumes.length;
    for (const v of volumes) {
      v.promoting = false;
      v.uuids = withRole(v.uuids, false);
      v.persist(false, () => {
        if (--left > 0) return;
        this.#changing = false;
        // In a handshake it was told so, too, and will not be told otherwise.
        if (link.negotiating) link.lose(why.text, true);
        else if (link.established) for (const one of volumes) syncs.tell(one);
        answer(why);
      });
    }
  }

  // ------------------------------------------------------------------------------------------ secondary

  demote(answer: Answer): void {
    if (this.#demoting !== undefined) {
      this.#demoting.push(answer);
      return;
    }
    if (this.#changing) {
      answer(refused('in-transient', 'it is just becoming primary', '正在成为主节点'));
      return;
    }
    if (this.#p.volumes.some((v) => v.frozen)) {
      answer(refused('device-in-use', 'its requests are frozen: resume-io first', '请求已冻结：请先执行 resume-io'));
      return;
    }
    if (!this.primary) {
      answer(done('it is secondary already', '已是从节点', false));
      return;
    }
    this.#demoting = [answer];
    this.#p.sender.close();
    this.idle();
  }
  /** Called when a request has ended: a demotion waits for the last one, and for the peer to have all on its disk. */
  idle(): void {
    if (this.#demoting === undefined || this.#changing || this.#p.link.negotiating) return;
    this.#p.sender.close();
    // Who is ahead has what the peer lacks, and nothing but marks that say so, until a resync has begun.
    const unready = this.#p.volumes.some((v) => v.held || v.connection === 'Ahead');
    if (this.#p.sender.inFlight > 0 || unready) return;
    this.#changing = true;
    const { volumes, link, syncs, c, config } = this.#p;
    let left = volumes.length;
    const end = (): void => {
      if (--left > 0) return;
      this.#changing = false;
      const told = text(`${config.host} is secondary`, `${config.host} 成为从节点`);
      c.reason('mirror.role', undefined, told);
      const answers = this.#demoting ?? [];
      this.#demoting = undefined;
      for (const v of volumes) if (link.established) syncs.tell(v);
      for (const a of answers) a({ ok: true, changed: true, text: told });
    };
    for (const v of volumes) {
      if (v.backing === undefined) {
        v.role = 'Secondary';
        end();
        continue;
      }
      // Nobody reads the activity log of a secondary: what it would have told must be durable, as data and as bits.
      v.flush(() => {
        v.role = 'Secondary';
        v.uuids = withRole(v.uuids, false);
        v.persist(true, end);
      });
    }
  }

  /** The verdict of a split brain is that this primary gives in. False: somebody is using it, and the administrator is told. */
  giveUp(v: Volume): boolean {
    if (!v.primary) return true;
    if (this.#used() || this.#p.sender.inFlight > 0 || this.#changing) {
      this.#p.handlers.call('pri-lost-after-sb', v.number);
      return false;
    }
    v.role = 'Secondary';
    v.uuids = withRole(v.uuids, false);
    v.yielded = true;
    v.persist(true, () => {
      v.yielded = false;
      v.save(false);
    });
    const { host } = this.#p.config;
    this.#p.c.reason(
      'mirror.role',
      v.number,
      text(
        `${host} is secondary: it lost the split brain, and nobody uses it (call-pri-lost-after-sb)`,
        `${host} 成为从节点：在脑裂裁决中落败，且无人使用（call-pri-lost-after-sb）`,
      ),
    );
    return true;
  }

  // ------------------------------------------------------------------------------------------ disconnect

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
    if (this.#asked !== undefined) {
      answer(refused('in-transient', 'another change is under way: ask again', '另一状态变更正在进行：请重试'));
      return;
    }
    // A primary under fencing leaves its peer as Outdated; one that is there wants us to be.
    if (this.primary && this.#p.fencing.strict) this.#leave(STATE_BITS.peerDisk, end, answer);
    else
      this.#leave(undefined, end, (a) => {
        if (a.ok || a.code !== 'fenced' || this.primary) return answer(a);
        this.#becomeOutdated(() => this.#leave(DISK, end, answer));
      });
  }
  #leave(outdated: readonly [number, number] | undefined, end: () => void, answer: Answer): void {
    const { link, volumes } = this.#p;
    if (!link.established) {
      end();
      return;
    }
    const also = outdated === undefined ? 0 : fieldMask(outdated);
    const value = outdated === undefined ? 0 : put(outdated, DRBD_DISKS.indexOf('Outdated'));
    this.#ask(
      'P_CONN_ST_CHG_REQ',
      [volumes[0] as Volume],
      fieldMask(CONNECTION) | also,
      put(CONNECTION, DRBD_CONNECTIONS.indexOf('Disconnecting')) | value,
      (result) => {
        if (result < SUCCESS && link.established) return answer(this.#peerRefused(result));
        if (outdated === STATE_BITS.peerDisk && result >= SUCCESS)
          for (const v of volumes) if (atLeast(v.peerDisk, 'Outdated') || v.peerMayBeDone) v.peerDisk = 'Outdated';
        end();
      },
    );
  }
}
const notGood = (v: Volume): MirrorAnswer =>
  refused(
    'no-good-disk',
    `volume ${v.number} is ${v.disk}, its data may be old or half copied: connect it, or use --force and lose what the peer has`,
    `卷 ${v.number} 为 ${v.disk}，数据可能陈旧或不完整：请先连接，或使用 --force 并放弃对端的数据`,
  );
