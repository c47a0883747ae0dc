/**
 * Online growth. Whoever is asked measures its device, moves its metadata, and asks the peer to do the same; the peer
 * answers with what both can offer. The new blocks count as different and are copied, unless the operator knows better.
 * No side ever shrinks.
 */
import { type Result, type Text, text } from '../../../base/index.ts';
import { type DrbdPacket, type SizesPacket, sector } from '../../../wire/index.ts';
import { agreeSize } from '../../machine/index.ts';
import type { MirrorAnswer } from '../../status.ts';
import type { Answer } from '../asking.ts';
import type { Parts } from '../parts.ts';
import { volumeFacts } from '../peer/facts.ts';
import { done, refused } from '../reasons.ts';
import { atLeast, type Volume } from '../volume.ts';
import { type Measured, relocate } from './relocate.ts';

const NO_RESYNC = 2;
const HOLD = 'resize';
const HELD = text('the size is being changed', '正在改变大小');
export type ResizeWish = {
  /** Bytes; undefined: as the configuration says, or as large as both disks allow. */
  readonly size: number | undefined;
  readonly assumeClean: boolean;
  readonly assumePeerHasSpace: boolean;
};
type Pending = { readonly answer: Answer; readonly same: boolean; readonly userSize: number };

export class Resizes {
  readonly #p: Parts;
  /** Who waits for the driver to look at a volume's devices. */
  readonly #measuring = new Map<number, ((m: Measured) => void)[]>();
  readonly #pending = new Map<Volume, Pending>();

  constructor(p: Parts) {
    this.#p = p;
  }

  resize(v: Volume, wish: ResizeWish, answer: Answer): void {
    const not = this.#refusal(v, wish);
    if (not !== undefined) {
      answer(not);
      return;
    }
    const userSize = Math.floor((wish.size ?? v.config.options.size ?? 0) / 512);
    this.#measure(v, (got) => {
      if (!got.ok) {
        answer({ ok: false, code: 'no-local-disk', text: got.error });
        return;
      }
      const again = this.#refusal(v, wish);
      if (again !== undefined) {
        answer(again);
        return;
      }
      if (userSize > got.value) {
        answer(refused('no-local-disk', `the own disk offers ${kib(got.value)}`, `本机磁盘仅有 ${kib(got.value)}`));
        return;
      }
      if (!v.connected) {
        this.#grow(v, userSize || got.value, userSize, false, () =>
          answer(done(`now ${kib(v.size)}; the peer must have as much`, `现为 ${kib(v.size)}；对端须有同样空间`)),
        );
        return;
      }
      this.#pending.set(v, { answer, same: wish.assumeClean, userSize });
      this.#p.syncs.tellUuids(v);
      this.#tellSizes(v, 0, userSize, wish.assumeClean ? NO_RESYNC : 0);
    });
  }
  #refusal(v: Volume, wish: ResizeWish): MirrorAnswer | undefined {
    const { peer } = this.#p.config;
    if (v.backing === undefined)
      return refused('no-local-disk', `volume ${v.number} is ${v.disk}`, `卷 ${v.number} 为 ${v.disk}`);
    if (this.#pending.has(v)) return refused('in-transient', 'it is being resized', '正在改变大小');
    if (wish.size !== undefined && wish.size < v.size * 512)
      return refused(
        'not-supported',
        `it has ${kib(v.size)}, and a smaller size would cut data off`,
        `现为 ${kib(v.size)}，缩小会截断数据`,
      );
    if (!v.connected)
      return wish.assumePeerHasSpace
        ? undefined
        : refused(
            'needs-connection',
            `${peer} is not connected: connect it, or use --assume-peer-has-space`,
            `未连接 ${peer}：请先连接，或使用 --assume-peer-has-space`,
          );
    if (v.connection !== 'Connected')
      return refused('resync-running', `volume ${v.number} is ${v.connection}`, `卷 ${v.number} 处于 ${v.connection}`);
    return undefined;
  }

  /** P_SIZES on an established connection. */
  heard(v: Volume, p: SizesPacket): void {
    v.peerSizes = p;
    const pending = this.#pending.get(v);
    if (pending !== undefined && p.currentSize > 0) {
      this.#pending.delete(v);
      this.#answered(v, p, pending);
      return;
    }
    if (v.backing === undefined) {
      this.#follow(v, p);
      return;
    }
    if (p.currentSize > 0) return;
    // The peer asks to look again. What comes behind may rely on it.
    const { link } = this.#p;
    const { era } = link;
    const unblock = link.block();
    this.#measure(v, (got) => {
      if (era !== link.era) return;
      const size = got.ok ? common(got.value, p.diskSize, p.userSize) : v.size;
      const same = (p.growFlags & NO_RESYNC) !== 0;
      const grown = size > v.size;
      v.hold(HOLD, HELD);
      this.#grow(v, Math.max(size, v.size), p.userSize, same, () => {
        if (era === link.era) {
          // DRBD goes by the flag of the answer.
          this.#tellSizes(v, v.size, v.userSize, same ? NO_RESYNC : 0);
          if (grown && !same) this.#copy(v);
          unblock();
        }
        v.release(HOLD);
      });
    });
  }
  /** Without a disk the device is as large as the peer says, and whoever asked to look again waits for an answer. */
  #follow(v: Volume, p: SizesPacket): void {
    const { config, link } = this.#p;
    const agreed = agreeSize(volumeFacts(config, v), p, v.peerDisk);
    if (!agreed.ok) {
      link.lose(agreed.error, false);
      return;
    }
    const before = v.size;
    v.resize(agreed.value.size, v.userSize);
    this.#grown(v, before);
    if (p.currentSize !== v.size) this.#tellSizes(v, v.size, 0, p.growFlags & NO_RESYNC);
  }
  #answered(v: Volume, p: SizesPacket, { answer, same, userSize }: Pending): void {
    const { link, config } = this.#p;
    const { era } = link;
    const size = common(v.backing?.usable ?? 0, p.diskSize, userSize);
    if (size <= v.size || p.currentSize < size) {
      const peers = kib(p.diskSize);
      answer(
        size < v.size || p.currentSize < size
          ? refused('no-remote-disk', `${config.peer}'s disk offers ${peers}`, `${config.peer} 的磁盘仅有 ${peers}`)
          : done(
              `it stays at ${kib(v.size)}: ${config.peer}'s disk offers ${peers}`,
              `保持 ${kib(v.size)}：${config.peer} 的磁盘为 ${peers}`,
              false,
            ),
      );
      return;
    }
    const unblock = link.block();
    this.#grow(v, size, userSize, same, () => {
      if (era === link.era) {
        if (!same) this.#copy(v);
        unblock();
      }
      answer(done(`now ${kib(v.size)}`, `现为 ${kib(v.size)}`));
    });
  }
  #grow(v: Volume, size: number, userSize: number, same: boolean, then: () => void): void {
    const before = v.size;
    v.resize(size, userSize, same);
    this.#grown(v, before);
    v.save(true, then);
  }
  #grown(v: Volume, before: number): void {
    if (v.size === before) return;
    const [was, is] = [kib(before), kib(v.size)];
    this.#p.c.reason('mirror.resize', v.number, text(`it has grown from ${was} to ${is}`, `已从 ${was} 增大到 ${is}`));
  }
  /** The primary is the source; of two equals the one that decides ties. Where a disk is missing its coming back compares. */
  #copy(v: Volume): void {
    const { link, steps, syncs } = this.#p;
    if (v.connection !== 'Connected' || !atLeast(v.peerDisk, 'Inconsistent')) return;
    const mine = v.role === v.peerRole ? link.resolver : v.primary;
    if (!mine) {
      syncs.go(v, 'WFSyncUUID');
      return;
    }
    const unblock = link.block();
    syncs.go(v, 'StartingSyncS');
    steps.beginSource(v, unblock);
  }
  #tellSizes(v: Volume, currentSize: number, userSize: number, growFlags: number): void {
    const { config, link, c } = this.#p;
    const { limits, ...sizes } = volumeFacts(config, v).sizes;
    const wanted = (link.dialect.features & 4) !== 0;
    const packet: DrbdPacket = {
      kind: 'P_SIZES',
      volume: v.number,
      ...sizes,
      userSize: sector(userSize),
      currentSize: sector(currentSize),
      queueOrderType: 0,
      growFlags,
      limits: wanted ? limits : undefined,
    };
    c.send('data', packet);
  }

  #measure(v: Volume, then: (usable: Result<number, Text>) => void): void {
    const waiting = this.#measuring.get(v.number) ?? [];
    this.#measuring.set(v.number, waiting);
    waiting.push((m) => relocate(this.#p.c, v, m, then));
    if (waiting.length === 1) this.#p.c.emit({ kind: 'measure', volume: v.number });
  }
  /** The driver has looked. */
  measured(volume: number, m: Measured): void {
    const waiting = this.#measuring.get(volume) ?? [];
    this.#measuring.delete(volume);
    for (const w of waiting) w(m);
  }
  /** The peer is gone: whoever waits for its answer is told. */
  lost(): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { answer } of all)
      answer(refused('needs-connection', 'the connection was lost meanwhile', '期间连接已断开'));
  }
}
const common = (mine: number, peers: number, limit: number): number => {
  const both = peers === 0 ? mine : Math.min(mine, peers);
  return limit === 0 ? both : Math.min(both, limit);
};
const kib = (sectors: number): string => `${Math.floor(sectors / 2)} KiB`;
