/** Online verify, its steps: asked for, agreed to by the peer, begun, ended, and gone on with where it was interrupted. */
import { text } from '../../../base/index.ts';
import type { BlockAckPacket, DigestPacket, RequestPacket } from '../../../wire/index.ts';
import type { MirrorRefusal } from '../../status.ts';
import type { Answer } from '../asking.ts';
import { BIT_BYTES } from '../bits.ts';
import type { Parts } from '../parts.ts';
import { done, no, type Refused, refused } from '../reasons.ts';
import type { Volume } from '../volume.ts';
import { VerifySource, VerifyTarget, type VerifyWorld } from './verify.ts';

export class Verifies {
  readonly #p: Parts;
  /** The bit at which the last one was interrupted. */
  readonly #next = new Map<Volume, number>();

  constructor(p: Parts) {
    this.#p = p;
  }

  /** `start` and `stop` are bytes. */
  start(v: Volume, start: number | undefined, stop: number | undefined, answer: Answer): void {
    const not = this.#refusal(v);
    if (not !== undefined) {
      answer({ ok: false, ...not });
      return;
    }
    const from = start === undefined ? (this.#next.get(v) ?? 0) : Math.floor(start / BIT_BYTES);
    const to = Math.min(v.bitmap.bits, stop === undefined ? Number.POSITIVE_INFINITY : Math.ceil(stop / BIT_BYTES));
    const { version } = this.#p.link.dialect;
    if (to < v.bitmap.bits && (version < 97 || version === 100)) {
      answer(
        refused(
          'not-supported',
          `a peer of protocol ${version} knows no end before the end of the disk`,
          `对端协议 ${version} 不支持提前结束`,
        ),
      );
      return;
    }
    if (from >= to) {
      answer(refused('not-supported', 'there is nothing between start and stop', '起点与终点之间没有数据'));
      return;
    }
    this.#p.agreements.askConnection(v, 'VerifyS', answer, () => {
      const now = this.#refusal(v);
      if (now !== undefined) {
        this.#p.syncs.tell(v);
        answer({ ok: false, ...now });
        return;
      }
      const source = new VerifySource(this.#world(v), from, to);
      this.#p.syncs.go(v, 'VerifyS');
      this.#p.syncs.set(v, { is: 'verify-source', source });
      source.onEnd = () => this.#finished(v, source);
      this.#p.c.reason(
        'mirror.verify',
        v.number,
        text(`verify begins at ${from * 4} KiB`, `校验开始于 ${from * 4} KiB`),
      );
      answer(done('verifying', '正在校验'));
    });
  }
  /** The peer wants to verify, and this side to be VerifyT. Undefined: so it is. */
  agree(v: Volume): MirrorRefusal | undefined {
    const not = this.#refusal(v);
    if (not !== undefined) return not.code;
    this.#target(v);
    this.#p.c.reason('mirror.verify', v.number, text('the peer verifies', '对端正在校验'));
    return undefined;
  }
  #target(v: Volume): VerifyTarget {
    const target = new VerifyTarget(this.#world(v));
    this.#p.syncs.go(v, 'VerifyT');
    this.#p.syncs.set(v, { is: 'verify-target', target });
    return target;
  }
  #refusal(v: Volume): Refused | undefined {
    const { config } = this.#p;
    if (config.net.verify === undefined)
      return no('no-verify-alg', 'verify-alg is not set in net', 'net 中未设置 verify-alg');
    if (!v.connected) return no('needs-connection', `${config.peer} is not connected`, `未连接 ${config.peer}`);
    if (v.connection !== 'Connected')
      return no('resync-running', `volume ${v.number} is ${v.connection}`, `卷 ${v.number} 处于 ${v.connection}`);
    if (v.backing === undefined || v.disk !== 'UpToDate')
      return no('no-local-disk', `the own disk is ${v.disk}`, `本机磁盘为 ${v.disk}`);
    if (v.peerDisk !== 'UpToDate')
      return no('no-remote-disk', `the peer's disk is ${v.peerDisk}`, `对端磁盘为 ${v.peerDisk}`);
    return undefined;
  }
  #world(v: Volume): VerifyWorld {
    const { c, config } = this.#p;
    return { c, volume: v, algorithm: config.net.verify ?? '' };
  }

  requested(v: Volume, p: RequestPacket): void {
    const s = this.#p.syncs.of(v);
    if (s?.is === 'verify-target') s.target.requested(p);
    // A P_STATE that crossed the agreement ended it here, and the source does not know.
    else if (this.#refusal(v) === undefined) this.#target(v).requested(p);
    else {
      const { volume, sector, id, size } = p;
      this.#p.c.send('meta', { kind: 'P_NEG_RS_DREPLY', volume, sector, id, size, seq: v.nextSeq() });
    }
  }
  replied(v: Volume, p: DigestPacket): void {
    const s = this.#p.syncs.of(v);
    if (s?.is === 'verify-source') s.source.replied(p);
  }
  judged(v: Volume, p: BlockAckPacket): void {
    const s = this.#p.syncs.of(v);
    if (s?.is === 'verify-target' && s.target.judged(p)) this.peerEnded(v);
  }
  /** The source says that it is through, or has come to the end of the device. */
  peerEnded(v: Volume): void {
    const s = this.#p.syncs.of(v);
    if (s?.is !== 'verify-target') return;
    this.#end(v, s.target.found);
  }
  /** The ping goes behind the last verdict: when it is answered, the target has marked its bits too. */
  #finished(v: Volume, source: VerifySource): void {
    const { link, syncs } = this.#p;
    const { era } = link;
    link.ping(() => {
      const s = syncs.of(v);
      if (era !== link.era || s?.is !== 'verify-source' || s.source !== source) return;
      this.#end(v, source.found);
      syncs.tell(v);
    });
  }
  #end(v: Volume, found: number): void {
    const { syncs, c } = this.#p;
    this.#next.delete(v);
    syncs.drop(v);
    syncs.go(v, 'Connected');
    v.save(true);
    c.reason(
      'mirror.verify',
      v.number,
      found > 0
        ? text(
            `verify finished: ${found / 1024} KiB differ and are marked; disconnect and connect to have them copied`,
            `校验完成：${found / 1024} KiB 有差异并已标记；断开后重新连接即可复制`,
          )
        : text('verify finished: no difference', '校验完成：无差异'),
    );
    if (found > 0) this.#p.handlers.call('out-of-sync', v.number);
  }
  /** The connection or a disk is lost: whoever verified goes on from `position` the next time. Called by `syncs.stop`. */
  interrupted(v: Volume, position: number | undefined): void {
    if (position !== undefined) this.#next.set(v, position);
    if (v.backing !== undefined) v.save(true);
    this.#p.c.reason('mirror.verify', v.number, text('verify was interrupted', '校验中断'));
  }
}
