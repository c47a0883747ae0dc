/**
 * disk-timeout: a disk that answers nothing for so long is given up as if it had failed, whatever on-io-error says, and all
 * that was asked of it fails; the peer's acknowledgement is then enough. What is still under way there may reach it yet: it
 * is not taken into use again before all of that has come back.
 *
 * The limit is looked at twice: a process that was asleep itself reads first what has come meanwhile.
 */
import { type Microseconds, text, us } from '../../../base/index.ts';
import type { Parts } from '../parts.ts';
import type { Volume } from '../volume.ts';

/** Between the two looks. */
const AGAIN = 100_000;

export class DiskTimeouts {
  readonly #p: Parts;
  /** Since when each operation is under way, by its tag, oldest first; of volumes that have a limit. */
  readonly #since = new Map<Volume, Map<number, Microseconds>>();
  readonly #secondLook = new Map<Volume, Microseconds>();
  /** By tag: given up, and not back. */
  readonly #late = new Map<number, Volume>();
  readonly #giveUp: (tags: readonly number[]) => void;

  /** `giveUp`: these operations have failed, whenever they come back. */
  constructor(p: Parts, giveUp: (tags: readonly number[]) => void) {
    this.#p = p;
    this.#giveUp = giveUp;
    for (const v of p.volumes) this.watch(v);
  }
  watch(v: Volume): void {
    if (limitOf(v) !== undefined) this.#since.set(v, new Map());
  }
  /** It is taken out. */
  forget(v: Volume): void {
    this.#since.delete(v);
    this.#secondLook.delete(v);
  }
  begun(volume: number, tag: number): void {
    if (this.#since.size === 0) return;
    for (const [v, running] of this.#since) if (v.number === volume) running.set(tag, this.#p.c.now);
  }
  ended(tag: number): void {
    if (this.#since.size === 0) return;
    for (const running of this.#since.values()) running.delete(tag);
    const v = this.#late.get(tag);
    if (v === undefined) return;
    this.#late.delete(tag);
    if (this.late(v) === 0)
      this.#p.c.reason(
        'mirror.disk',
        v.number,
        text('the disk has answered all that was asked of it', '磁盘已应答全部请求'),
      );
  }
  /** Operations that were given up and are not back. */
  late(v: Volume): number {
    let n = 0;
    for (const of of this.#late.values()) if (of === v) n++;
    return n;
  }
  #due(v: Volume, running: ReadonlyMap<number, Microseconds>): Microseconds | undefined {
    const [oldest] = running.values();
    const limit = limitOf(v);
    if (oldest === undefined || limit === undefined) return undefined;
    return us(Math.max(oldest + limit, this.#secondLook.get(v) ?? 0));
  }
  get deadline(): Microseconds | undefined {
    let least: Microseconds | undefined;
    for (const [v, running] of this.#since) {
      const due = this.#due(v, running);
      if (due !== undefined && (least === undefined || due < least)) least = due;
    }
    return least;
  }
  tick(): void {
    for (const [v, running] of this.#since) {
      const due = this.#due(v, running);
      const { now } = this.#p.c;
      if (due === undefined || now < due) {
        const looking = this.#secondLook.get(v);
        if (looking !== undefined && now >= looking) this.#secondLook.delete(v);
        continue;
      }
      if (this.#secondLook.has(v)) this.#over(v, running);
      else this.#secondLook.set(v, us(now + AGAIN));
    }
  }
  #over(v: Volume, running: Map<number, Microseconds>): void {
    const { c, disks, handlers } = this.#p;
    const tags = [...running.keys()];
    running.clear();
    this.#secondLook.delete(v);
    for (const tag of tags) this.#late.set(tag, v);
    const limit = `${v.config.options.diskTimeout} ms`;
    c.reason(
      'mirror.disk',
      v.number,
      text(
        `the disk did not answer within ${limit} (disk-timeout) and was detached; ${tags.length} requests are still there`,
        `磁盘在 ${limit} 内没有应答（disk-timeout），已卸离；仍有 ${tags.length} 个请求在其中`,
      ),
    );
    if (v.config.options.onIoError === 'call-local-io-error') handlers.call('local-io-error', v.number);
    c.emit({ kind: 'abandon', volume: v.number });
    disks.drop(v);
    this.#giveUp(tags);
  }
}
function limitOf(v: Volume): Microseconds | undefined {
  const { diskTimeout } = v.config.options;
  return diskTimeout === undefined ? undefined : us(diskTimeout * 1000);
}
