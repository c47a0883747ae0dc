/** Roles: what an operator asks for, with the reason where it is refused. What the peer is asked first: agreements.ts. */
import { text } from '../../../base/index.ts';
import { DRBD_DISKS, DRBD_ROLES } from '../../../wire/index.ts';
import { generation, withRole } from '../../metadata/index.ts';
import type { MirrorAnswer } from '../../status.ts';
import type { Answer } from '../asking.ts';
import type { Parts } from '../parts.ts';
import { DISK, fieldMask, put, ROLE, SUCCESS, UNDER_WAY } from '../peer/agreements.ts';
import { done, refused } from '../reasons.ts';
import { atLeast, type Volume } from '../volume.ts';

export class Roles {
  readonly #p: Parts;
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
  /** Its own change of role is under way. */
  get changing(): boolean {
    return this.#changing || this.demoting;
  }
  /** Nobody may write any more. */
  get demoting(): boolean {
    return this.#demoting !== undefined;
  }

  // ------------------------------------------------------------------------------------------ primary

  /** `only`: these volumes; undefined: all. `fenced`: fence-peer was asked already. */
  promote(force: boolean, only: readonly number[] | undefined, answer: Answer, fenced = false): void {
    const { link, config, fencing, receiver, agreements, adoption } = this.#p;
    if (this.changing || agreements.pending || link.negotiating || adoption.removing) {
      answer(UNDER_WAY);
      return;
    }
    // One that was added while the others were primary already.
    const volumes = this.#p.volumes.filter((v) => !v.primary && (only === undefined || only.includes(v.number)));
    if (volumes.length === 0) {
      answer(done('it is primary already', '已是主节点', false));
      return;
    }
    // The connection is about to end, and one side to stay behind.
    if (volumes.some((v) => v.leaving)) {
      answer(UNDER_WAY);
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
        this.promote(force, only, answer, true);
      });
      return;
    }
    // What the peer's program was told of must not come behind the generation that says that all of it is here.
    if (!link.established && receiver.landing) {
      this.#changing = true;
      receiver.afterLanding(() => {
        this.#changing = false;
        this.promote(force, only, answer, fenced);
      });
      return;
    }
    this.#changing = true;
    const raise = volumes.filter((v) => !v.hasGoodData);
    const both = volumes.filter((v) => link.established && v.connected);
    if (both.length === 0) {
      this.#becomePrimary(volumes, raise, answer);
      return;
    }
    link.ping(() => {});
    const mask = fieldMask(ROLE) | (raise.length > 0 ? fieldMask(DISK) : 0);
    const value =
      put(ROLE, DRBD_ROLES.indexOf('Primary')) | (raise.length > 0 ? put(DISK, DRBD_DISKS.indexOf('UpToDate')) : 0);
    agreements.ask('P_STATE_CHG_REQ', both, mask, value, (result) => {
      if (result >= SUCCESS && link.established) return this.#becomePrimary(volumes, raise, answer);
      this.#changing = false;
      answer(agreements.refusedByPeer(result));
    });
  }
  /** The role is on disk before the first write may be: after a crash the activity log counts. */
  #becomePrimary(volumes: readonly Volume[], raise: readonly Volume[], answer: Answer): void {
    const { link, syncs, c, config } = this.#p;
    let left = volumes.length;
    const { era } = link;
    // While the peer was asked it may have become a target here, or lost its disk there, or begun to leave us behind.
    const worse = volumes.find((v) => v.leaving || (!v.hasGoodData && !raise.includes(v)));
    if (worse !== undefined) {
      this.#staySecondary(volumes, worse, answer);
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
        // Nor is a target promoted whose source was lost while the role was being written, nor who let the peer go meanwhile.
        const without = volumes.find((one) => one.leaving || !one.hasGoodData);
        if (without !== undefined) {
          this.#staySecondary(volumes, without, answer);
          return;
        }
        this.#changing = false;
        for (const one of volumes) {
          one.promoting = false;
          one.role = 'Primary';
          const seen = one.peerUuids?.uuids.current;
          if (one.backing === undefined && seen !== undefined) one.shown(generation(seen));
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
  #staySecondary(volumes: readonly Volume[], without: Volume, answer: Answer): void {
    const { link, syncs } = this.#p;
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
    const { volumes, link, syncs, c, config, adoption } = this.#p;
    if (this.#demoting === undefined || this.#changing || link.negotiating || adoption.removing) return;
    this.#p.sender.close();
    // Who is ahead has what the peer lacks, and nothing but marks that say so, until a resync has begun.
    const unready = this.#p.volumes.some((v) => v.held || v.ahead);
    if (this.#p.sender.inFlight > 0 || unready) return;
    this.#changing = true;
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
}
const notGood = (v: Volume): MirrorAnswer =>
  refused(
    'no-good-disk',
    `volume ${v.number} is ${v.disk}, its data may be old or half copied: connect it, or use --force and lose what the peer has`,
    `卷 ${v.number} 为 ${v.disk}，数据可能陈旧或不完整：请先连接，或使用 --force 并放弃对端的数据`,
  );
