/**
 * Disks that fail, come and go at run time: what an error means by `on-io-error`, attach and detach while connected, and
 * requests for which there are no data anywhere.
 */
import { type Text, text } from '../../../base/index.ts';
import type { GenerationId } from '../../../wire/index.ts';
import { generation } from '../../metadata/index.ts';
import { bitsTouched } from '../bits.ts';
import type { Parts } from '../parts.ts';
import { atLeast, type Backing, type Volume } from '../volume.ts';
import { attach, needsNoPeer } from './attach.ts';

/** What failed. */
export type FailedIo = {
  readonly op: 'read' | 'write' | 'flush' | 'metadata';
  readonly offset: number;
  readonly length: number;
};

export class Disks {
  readonly #p: Parts;
  /** Primaries without any good data, of whom it has been told. */
  readonly #without = new Set<Volume>();

  constructor(p: Parts) {
    this.#p = p;
  }

  // ------------------------------------------------------------------------------------------ errors

  /** `on`: the disk that it was asked of; one that is gone already fails nothing more. */
  failed(v: Volume, on: Backing | undefined, io: FailedIo): void {
    if (on === undefined || v.backing !== on) return;
    const { onIoError } = v.config.options;
    if (onIoError === 'pass_on' && io.op !== 'metadata') {
      this.#passOn(v, io);
      return;
    }
    this.#p.c.reason(
      'mirror.disk',
      v.number,
      text(`the disk failed (${io.op}) and was detached`, `磁盘故障（${io.op}），已卸离`),
    );
    if (onIoError === 'call-local-io-error') this.#p.handlers.call('local-io-error', v.number);
    this.drop(v);
  }
  /** The disk stays in use, and does not count as good any more. */
  #passOn(v: Volume, io: FailedIo): void {
    if (io.op !== 'flush') v.bitmap.set(bitsTouched(io.offset, io.length));
    if (v.disk !== 'UpToDate' && v.disk !== 'Consistent' && v.disk !== 'Outdated') return;
    v.disk = 'Inconsistent';
    this.#p.c.reason(
      'mirror.disk',
      v.number,
      text(
        `the disk failed (${io.op}) and is Inconsistent (on-io-error pass_on)`,
        `磁盘故障（${io.op}），状态变为 Inconsistent（on-io-error pass_on）`,
      ),
    );
    v.save(true);
    this.check(v);
    if (!this.#p.link.established) return;
    this.#p.receiver.unsure(v);
    this.#p.syncs.tell(v);
    this.#p.agreements.tellDisk(v, () => this.#p.receiver.told(v));
  }
  /** At once: what is under way on it does not count any more. */
  drop(v: Volume): void {
    const { link, syncs, sender, receiver, reads } = this.#p;
    if (v.backing === undefined) return;
    const { ahead } = v;
    syncs.stop(v);
    sender.detached(v);
    v.dropBacking();
    if (v.connected) v.connection = 'Connected';
    this.check(v);
    // The peer has older data under the same name, and must not hear that ours are gone: it would go on from them.
    if (ahead) link.lose(AHEAD, false);
    if (link.negotiating) link.lose(text('the disk failed while connecting', '连接过程中磁盘故障'), true);
    if (link.established) {
      receiver.detached(v);
      sender.telling(v);
      syncs.tell(v);
      // What was acknowledged here and not flushed does not count as durable before the peer knows.
      this.#p.agreements.tellDisk(v, () => {
        receiver.told(v);
        sender.told(v);
      });
    }
    sender.released(v);
    reads.released(v);
    link.unblock();
    v.onDropped();
  }

  // ------------------------------------------------------------------------------------------ without data

  /** After whatever may have changed it: a primary that reaches no good data anywhere, or does again. */
  check(v: Volume): void {
    const { config, handlers, c, sender } = this.#p;
    if (v.backing === undefined && v.peerHasGoodData) v.mayBeBehind = true;
    const without = v.primary && !v.hasGoodData;
    if (without === this.#without.has(v)) {
      if (without && config.onNoDataAccessible === 'suspend-io' && !v.failing) v.hold('no-data', NO_DATA);
      return;
    }
    if (without) {
      this.#without.add(v);
      c.reason('mirror.disk', v.number, NO_DATA);
      handlers.call('pri-on-incon-degr', v.number);
      if (config.onNoDataAccessible === 'suspend-io') v.hold('no-data', NO_DATA);
      return;
    }
    this.#without.delete(v);
    if (!v.holds.has('no-data')) return;
    sender.again(v);
    v.release('no-data');
  }

  // ------------------------------------------------------------------------------------------ attach, detach

  attach(volumes: readonly Volume[], then: (failed: Text | undefined) => void): void {
    const todo = volumes.filter(
      (v) => v.backing === undefined && v.config.disk !== undefined && v.disk !== 'Attaching',
    );
    let left = todo.length;
    let failed: Text | undefined;
    if (left === 0) {
      then(undefined);
      return;
    }
    const { config, c, diskTimeouts } = this.#p;
    for (const v of todo) {
      const late = diskTimeouts.late(v);
      if (late === 0) continue;
      then(
        text(
          `${late} requests from before the detach are still at the disk of volume ${v.number}: attach it when they are over`,
          `卸离之前的 ${late} 个请求仍在卷 ${v.number} 的磁盘中：请待其结束后再挂接`,
        ),
      );
      return;
    }
    const sure = needsNoPeer(config);
    for (const v of todo) {
      v.disk = 'Attaching';
      attach(c, v.devices, sure, (r) => {
        if (r.ok) {
          failed ??= this.take(v, r.value);
        } else {
          v.disk = 'Diskless';
          failed = r.error.text;
          c.reason('mirror.disk', v.number, r.error.text);
        }
        if (--left === 0) then(failed);
      });
    }
  }
  /** The peer was lost before both had compared: as if it had been attached without the peer. */
  undecided(v: Volume): void {
    if (!v.negotiating) return;
    if (v.primary && (v.mayBeBehind || v.exposed !== generation(v.uuids.current))) {
      this.#p.sender.detached(v);
      v.dropBacking();
      this.#p.c.reason('mirror.disk', v.number, OLDER);
    } else v.negotiated();
  }
  /** The peer has no disk to compare with any more. False: ours is older than what it had, and is gone again. */
  alone(v: Volume): boolean {
    if (!v.negotiating || !v.primary || !hasSeenOther(v, v.uuids.current)) return true;
    this.#p.c.reason('mirror.disk', v.number, OLDER);
    this.drop(v);
    return false;
  }
  /** It was read, and is in use from now on; or why it cannot be. */
  take(v: Volume, a: Parameters<Volume['take']>[0]): Text | undefined {
    const { link, c } = this.#p;
    const small = v.connected && Math.min(a.usable, v.userSize || a.usable) < v.size;
    if (small) {
      v.disk = 'Diskless';
      const words = text(
        `the disk is too small: ${a.usable} sectors can be used, the volume has ${v.size}`,
        `磁盘太小：可用 ${a.usable} 扇区，卷有 ${v.size} 扇区`,
      );
      c.reason('mirror.disk', v.number, words);
      return words;
    }
    // Connected, we have heard of the generation in which a peer took writes alone, before we heard that its disk is gone.
    const behind = v.mayBeBehind && !v.connected && v.exposed !== undefined;
    const older = behind || hasSeenOther(v, a.superblock.uuids.current);
    // Connected, both compare where the peer has a disk too: it may have taken writes while it had the only one.
    const compares = v.connected && atLeast(v.peerDisk, 'Inconsistent');
    if (v.primary && !compares && older) {
      v.disk = 'Diskless';
      c.reason('mirror.disk', v.number, OLDER);
      return OLDER;
    }
    const { size } = v;
    v.take(a);
    // Its activity log counts from before the first write: that waits for a transaction, which is written after this.
    if (v.primary) v.save(false);
    c.reason(
      'mirror.attached',
      v.number,
      text(
        `attached: ${v.disk}${a.crashedPrimary ? `, was primary when it stopped, ${a.marked * 4} KiB marked` : ''}`,
        `已挂接：${v.disk}${a.crashedPrimary ? `，停止时为主节点，标记 ${a.marked * 4} KiB` : ''}`,
      ),
    );
    if (link.established && v.connected) {
      v.resize(size, v.userSize);
      this.#p.peerDisks.negotiate(v);
    } else {
      if (link.negotiating) link.lose(text('a disk came while connecting', '连接过程中挂接了磁盘'), true);
      // The generation that the loss of the peer began may never have been durable, or never begun without a disk.
      if (!v.connected) link.alone(v);
      this.check(v);
      this.#p.sender.released(v);
      this.#p.joining.tell(v);
    }
    return undefined;
  }
  /** When nothing is under way on it, all of it is durable, and the peer agrees: one that does not answer cannot take over. */
  detach(v: Volume, force: boolean, then: (done: 'detached' | 'no-good-disk') => void): void {
    const { link } = this.#p;
    if (force) {
      this.drop(v);
      then('detached');
      return;
    }
    if (onlyGood(v)) {
      then('no-good-disk');
      return;
    }
    let unblock = link.block();
    v.hold('detaching', text('the disk is being detached', '正在卸离磁盘'));
    const { backing } = v;
    let over = false;
    let agreed = false;
    const end = (how: 'detached' | 'no-good-disk'): void => {
      if (over) return;
      over = true;
      v.onDrained = () => {};
      unblock();
      v.release('detaching');
      then(how);
      // It counts on a disk that is gone, and has begun a generation: a handshake tells it otherwise.
      if (agreed && how !== 'detached' && link.established && v.connected) link.lose(STAYS, true);
    };
    const wait = (): void => {
      if (over || v.backing !== backing || backing === undefined) {
        end('detached');
        return;
      }
      if (v.counters.lo > 0) {
        v.onDrained = wait;
        return;
      }
      v.onDrained = () => {};
      backing.store.flush(() =>
        v.save(true, () => {
          if (v.counters.lo > 0) return wait();
          // The peer may have been lost while it was waited for.
          if (onlyGood(v)) return end('no-good-disk');
          if (!agreed && link.established && v.connected) {
            // Meanwhile the peer's packets are worked off: it may be asking something itself, and is answered first.
            unblock();
            return this.#p.agreements.askDetach(v, (yes) => {
              if (over) return;
              if (!yes && link.established && v.connected) return end('no-good-disk');
              agreed = true;
              unblock = link.block();
              wait();
            });
          }
          this.#p.c.reason('mirror.disk', v.number, text('detached', '已卸离'));
          this.drop(v);
          end('detached');
        }),
      );
    };
    v.onDropped = () => end('detached');
    wait();
  }
}
/** A primary, this one or the peer, would have nothing left to read. */
function onlyGood(v: Volume): boolean {
  return !v.peerHasGoodData && (v.primary || (v.connected && v.peerRole === 'Primary'));
}
const STAYS = text(
  'the peer agreed to a detach that is not to be: its own disk is about to go',
  '对端已同意卸离，但其磁盘也将离开：不再卸离',
);
const AHEAD = text(
  'the own disk is gone while the peer is behind: it stays StandAlone until that disk is back, attach it before you connect',
  '本机磁盘已离开，而对端数据落后：保持 StandAlone，请先重新挂接该磁盘再连接',
);
/** The application has seen another generation than that of this disk. DRBD calls it the exposed data identifier. */
const hasSeenOther = (v: Volume, current: GenerationId): boolean =>
  v.exposed !== undefined && ![v.exposed, v.begun].includes(generation(current));
const OLDER = text(
  'the disk has older data than the application of this primary has seen',
  '该磁盘的数据早于本主节点应用已见的数据',
);
const NO_DATA = text(
  'there are no good data: the own disk is not UpToDate, and no peer with such is connected',
  '无可用数据：本机磁盘不是 UpToDate，且没有连接到具有 UpToDate 数据的对端',
);
