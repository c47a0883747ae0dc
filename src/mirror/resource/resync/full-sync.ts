/**
 * A full resync that an operator asks for: `invalidate` (the own data is thrown away) and `invalidate-remote` (the peer's is).
 * Both sides agree, mark every block, and begin without an exchange of bitmaps.
 */
import { text } from '../../../base/index.ts';
import type { MirrorRefusal } from '../../status.ts';
import type { Answer } from '../asking.ts';
import type { Parts } from '../parts.ts';
import { done, no, type Refused } from '../reasons.ts';
import { atLeast, type Volume } from '../volume.ts';

type Side = 'StartingSyncS' | 'StartingSyncT';

export class FullSyncs {
  readonly #p: Parts;
  /** Volumes whose peer is being asked, and what came from it before its answer did, which travels on the other socket. */
  readonly #asked = new Map<Volume, (() => void)[]>();

  constructor(p: Parts) {
    this.#p = p;
  }

  invalidate(v: Volume, answer: Answer): void {
    if (this.#p.link.state === 'StandAlone' && !v.primary && v.backing !== undefined) {
      v.disk = 'Inconsistent';
      v.bitmap.setAll();
      v.save(true, () =>
        answer(done('invalidated: all is copied when the peer is back', '已作废：对端恢复后全部复制')),
      );
      return;
    }
    this.#start(v, 'StartingSyncT', answer);
  }
  invalidateRemote(v: Volume, answer: Answer): void {
    this.#start(v, 'StartingSyncS', answer);
  }
  #start(v: Volume, side: Side, answer: Answer): void {
    const not = this.#refusal(v, side);
    if (not !== undefined) {
      answer({ ok: false, ...not });
      return;
    }
    this.#asked.set(v, []);
    const early = (): readonly (() => void)[] => {
      const kept = this.#asked.get(v) ?? [];
      this.#asked.delete(v);
      return kept;
    };
    const refused: Answer = (a) => {
      for (const k of early()) k();
      answer(a);
    };
    this.#p.agreements.askConnection(v, side, refused, () => {
      const now = this.#refusal(v, side);
      const kept = early();
      if (now !== undefined) {
        this.#p.link.lose(now.text, true);
        answer({ ok: false, ...now });
        return;
      }
      this.#become(v, side, () => {
        for (const k of kept) k();
      });
      answer(done('the full resync begins', '全量同步开始'));
    });
  }
  /** The peer wants a full resync, in which it is `peer`. Undefined: so it is. */
  agree(v: Volume, peer: Side): MirrorRefusal | undefined {
    const side = peer === 'StartingSyncS' ? 'StartingSyncT' : 'StartingSyncS';
    const not = this.#refusal(v, side);
    if (not !== undefined) return not.code;
    this.#become(v, side, () => {});
    return undefined;
  }
  /** P_SYNC_UUID or a P_STATE that tells of a resync came before the peer's answer: `later` is called behind that. */
  asked(v: Volume, later: () => void): boolean {
    const kept = this.#asked.get(v);
    if (kept === undefined) return false;
    const { link } = this.#p;
    const unblock = link.block();
    const { era } = link;
    kept.push(() => {
      if (era === link.era) later();
      unblock();
    });
    return true;
  }
  #refusal(v: Volume, side: Side): Refused | undefined {
    const { peer } = this.#p.config;
    if (!v.connected) return no('needs-connection', `${peer} is not connected`, `未连接 ${peer}`);
    if (v.connection !== 'Connected')
      return no('resync-running', `volume ${v.number} is ${v.connection}`, `卷 ${v.number} 处于 ${v.connection}`);
    const [source, target] = side === 'StartingSyncS' ? [v.disk, v.peerDisk] : [v.peerDisk, v.disk];
    if (source !== 'UpToDate') return no('no-good-disk', `the source would be ${source}`, `同步源的磁盘为 ${source}`);
    if (!atLeast(target, 'Inconsistent') || target === 'DUnknown')
      return side === 'StartingSyncS'
        ? no('no-remote-disk', `the peer's disk is ${target}`, `对端磁盘为 ${target}`)
        : no('no-local-disk', `the own disk is ${target}`, `本机磁盘为 ${target}`);
    return undefined;
  }
  /** Every bit is durable before the resync begins; on the target also that it is Inconsistent. */
  #become(v: Volume, side: Side, then: () => void): void {
    const { link, syncs, steps, c } = this.#p;
    const { era } = link;
    const unblock = link.block();
    syncs.go(v, side);
    v.bitmap.setAll();
    if (side === 'StartingSyncT') v.disk = 'Inconsistent';
    c.reason(
      'mirror.resync',
      v.number,
      side === 'StartingSyncS'
        ? text('a full resync was asked for: the peer is the target', '请求了全量同步：对端为目标')
        : text('a full resync was asked for: this side is the target', '请求了全量同步：本机为目标'),
    );
    v.save(true, () => {
      if (era !== link.era || v.connection !== side) return;
      const end = (): void => {
        then();
        unblock();
      };
      if (side === 'StartingSyncS') {
        steps.beginSource(v, end);
        return;
      }
      syncs.go(v, 'WFSyncUUID');
      end();
    });
  }
}
