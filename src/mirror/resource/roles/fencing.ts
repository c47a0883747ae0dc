/**
 * A primary that lost its peer, or would become primary without it, makes sure first that the peer's data is not taken for
 * good: handler fence-peer, by the policy `fencing`. With resource-and-stonith requests are frozen until that is sure, so
 * that two sides never both acknowledge what the other lacks.
 */
import { type Text, text } from '../../../base/index.ts';
import type { DiskOptions } from '../../config.ts';
import type { MirrorAnswer } from '../../status.ts';
import type { Parts } from '../parts.ts';
import { done, refused } from '../reasons.ts';
import { atLeast, type Volume } from '../volume.ts';
import type { HandlerEnd } from './handlers.ts';

type Policy = DiskOptions['fencing'];
const POLICIES = ['dont-care', 'resource-only', 'resource-and-stonith'] as const;
const FROZEN = text(
  'frozen until the peer is known to be outdated: its fence-peer handler decides, or resume-io',
  '已冻结，直到确认对端已过期：由 fence-peer 处理程序或 resume-io 决定',
);
/** It may be as good as ours, or newer, for all that we know. */
const unsure = (v: Volume): boolean => atLeast(v.peerDisk, 'DUnknown');

export class Fencing {
  readonly #p: Parts;
  /** Volumes that are frozen and owe a new generation; whether also over an older one. */
  readonly #owed = new Map<Volume, boolean>();
  /** Who waits for the handler. */
  readonly #waiting = new Set<(sure: boolean) => void>();

  constructor(p: Parts) {
    this.#p = p;
  }
  /** The strictest of those volumes that have good data; undefined: none has. */
  get policy(): Policy | undefined {
    const ranks = this.#p.volumes
      .filter((v) => v.backing !== undefined && atLeast(v.disk, 'Consistent'))
      .map((v) => POLICIES.indexOf(v.config.options.fencing));
    return ranks.length === 0 ? undefined : POLICIES[Math.max(...ranks)];
  }
  /** A primary may not be without a peer of which it does not know. */
  get strict(): boolean {
    return this.policy === 'resource-only' || this.policy === 'resource-and-stonith';
  }
  get needed(): boolean {
    return !this.#p.link.established && this.strict && this.#p.volumes.some(unsure);
  }

  // ------------------------------------------------------------------------------------------ the peer is lost

  /** Before anything that is under way is given up. */
  freeze(v: Volume): void {
    const strict = v.backing !== undefined && v.config.options.fencing === 'resource-and-stonith';
    if ((v.primary || v.promoting) && strict && unsure(v)) v.hold('fencing', FROZEN);
  }
  frozen(v: Volume): boolean {
    return v.holds.has('fencing');
  }
  /** A generation that is to begin when the requests go on. */
  owe(v: Volume, even: boolean): void {
    this.#owed.set(v, even || this.#owed.get(v) === true);
  }
  lost(): void {
    // Who is just becoming primary is frozen too, and nothing else would ask for it.
    if (this.#p.volumes.some((v) => v.primary || v.promoting) && this.needed) this.fence(() => {});
  }
  /** Calls the handler. `then(true)`: the peer's data is known not to be taken for good. */
  fence(then: (sure: boolean) => void): void {
    const { link, handlers, c } = this.#p;
    const { connections } = link;
    const tell = (sure: boolean): void => {
      if (this.#waiting.delete(tell)) then(sure);
    };
    this.#waiting.add(tell);
    handlers.call('fence-peer', undefined, (end) => {
      if (link.connections !== connections) {
        c.reason('mirror.fencing', undefined, CONNECTED_SINCE);
        tell(false);
        return;
      }
      c.reason('mirror.fencing', undefined, this.#apply(end));
      const sure = !this.#p.volumes.some(unsure);
      if (sure) for (const v of this.#p.volumes) this.#known(v);
      tell(sure);
    });
  }
  #apply(end: HandlerEnd): Text {
    const { volumes } = this.#p;
    const peer = (disk: 'Inconsistent' | 'Outdated'): void => {
      for (const v of volumes) if (unsure(v)) v.peerDisk = disk;
    };
    switch (end) {
      case 3:
        peer('Inconsistent');
        return text('fence-peer: the peer is Inconsistent', 'fence-peer：对端为 Inconsistent');
      case 4:
        peer('Outdated');
        return text('fence-peer: the peer is Outdated', 'fence-peer：对端为 Outdated');
      case 7:
        peer('Outdated');
        return text('fence-peer: the peer was cut off', 'fence-peer：对端已被隔离');
      case 5:
        if (!volumes.some((v) => v.disk === 'UpToDate'))
          return text(
            'fence-peer: the peer cannot be reached, and the own data is not known to be the newest: nothing follows',
            'fence-peer：无法联系对端，且不能确定本机数据最新：不采取动作',
          );
        peer('Outdated');
        return text(
          'fence-peer: the peer cannot be reached, and counts as dead',
          'fence-peer：无法联系对端，视为已停机',
        );
      case 6:
        for (const v of volumes)
          if (!v.primary && !v.promoting && atLeast(v.disk, 'Consistent')) {
            v.disk = 'Outdated';
            v.save(false);
          }
        return text(
          'fence-peer: the peer is primary: this side counts as out of date',
          'fence-peer：对端为主节点：本机视为过期',
        );
      case 'absent':
        return text('no fence-peer handler is configured', '未配置 fence-peer 处理程序');
      default:
        return text(
          'fence-peer is broken (3, 4, 5, 6 and 7 are its exit codes): nothing follows',
          'fence-peer 处理程序异常（退出码应为 3、4、5、6 或 7）：不采取动作',
        );
    }
  }
  /** The peer's data is not good any more: what was frozen goes on, in a generation of its own. */
  #known(v: Volume): void {
    this.#generation(v);
    // Until that is durable the peer may have come and gone: then it is frozen anew, and waits for the next verdict.
    v.persist(false, () => {
      if (!unsure(v)) v.release('fencing');
    });
  }
  #generation(v: Volume): void {
    if (!this.frozen(v)) return;
    this.#p.sender.giveUp(v);
    const owed = this.#owed.get(v);
    this.#owed.delete(v);
    if (owed !== undefined) this.#p.link.alone(v, owed, true);
  }

  // ------------------------------------------------------------------------------------------ the peer is back

  /**
   * While the handshake decides. False: the peer is equal by its identifiers, yet what it had not told to have cannot be
   * sent again, or it was away and may have lost what it had told: a generation begins, and the next connection is a resync.
   */
  decided(v: Volume, equal: boolean, peerUpToDate: boolean): boolean {
    if (!this.frozen(v)) return true;
    if (!equal) {
      this.#p.sender.giveUp(v);
      this.#owed.delete(v);
      return true;
    }
    if (peerUpToDate && this.#p.sender.canResend(v)) return true;
    this.#generation(v);
    return false;
  }
  /** Nobody needs to wait for the handler any more, which may take long. */
  established(): void {
    for (const tell of [...this.#waiting]) tell(false);
  }
  connected(v: Volume): void {
    if (!this.frozen(v)) return;
    if (v.peerDisk === 'UpToDate') {
      this.#owed.delete(v);
      this.#p.sender.resend(v);
    } else this.#generation(v);
    v.release('fencing');
  }

  // ------------------------------------------------------------------------------------------ operators

  /** Whatever freezes: the operator knows better, and says so. */
  resume(volumes: readonly Volume[], answer: (a: MirrorAnswer) => void): void {
    const held = volumes.filter((v) => v.frozen);
    if (held.length === 0) {
      answer(done('nothing is suspended', '没有被挂起的请求', false));
      return;
    }
    for (const v of held) {
      this.#generation(v);
      v.failing = true;
      v.persist(false, () => {
        for (const name of ['fencing', 'user', 'no-data']) v.release(name);
        v.failing = false;
      });
    }
    const told = text('requests go on', '请求继续');
    this.#p.c.reason('mirror.suspended', undefined, told);
    answer({ ok: true, changed: true, text: told });
  }
  suspend(volumes: readonly Volume[], answer: (a: MirrorAnswer) => void): void {
    for (const v of volumes) v.hold('user', text('suspended by the operator: resume-io', '由操作员挂起：resume-io'));
    answer(done('requests are suspended', '请求已挂起'));
  }
  /** As the handler on the other host asks for: this side's data does not count as good until it is connected again. */
  outdate(volumes: readonly Volume[], answer: (a: MirrorAnswer) => void): void {
    const refuse = volumes.map((v): MirrorAnswer | undefined => {
      if (v.connected)
        return refused(
          'connected-outdates',
          'it is connected: what the peer writes arrives here',
          '连接正常：对端的写入会到达本机',
        );
      if (v.primary || v.promoting)
        return refused('no-good-disk', 'it is primary: its data is what counts', '本机为主节点：以本机数据为准');
      if (!atLeast(v.disk, 'Outdated'))
        return refused('lower-than-outdated', `the disk is ${v.disk}`, `磁盘状态为 ${v.disk}`);
      return undefined;
    });
    const no = refuse.find((r) => r !== undefined);
    if (no !== undefined) {
      answer(no);
      return;
    }
    const fresh = volumes.filter((v) => v.disk !== 'Outdated');
    let left = fresh.length;
    if (left === 0) answer(done('it is Outdated already', '已为 Outdated', false));
    for (const v of fresh) {
      v.disk = 'Outdated';
      this.#p.c.reason('mirror.fencing', v.number, OUTDATED);
      v.persist(false, () => {
        if (--left === 0) answer({ ok: true, changed: true, text: OUTDATED });
      });
    }
  }
}
const OUTDATED = text('this side counts as out of date', '本机视为过期');
const CONNECTED_SINCE = text(
  'fence-peer ended after the peer had connected again: its verdict does not count',
  'fence-peer 结束前对端已重新连接：其结论不计',
);
