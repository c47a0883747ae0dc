/**
 * on-congestion, in protocol A: when more is on its way to the peer than congestion-fill, or more extents are hot than
 * congestion-extents, the primary pulls ahead (Ahead, Behind: the peer is told which blocks differ, not what is in them), or
 * disconnects. All sent before is acknowledged and a second has passed: then it comes back by a resync without bitmaps.
 *
 * It pulls ahead from Connected alone: during a resync writes wait for the peer anyway.
 */
import { type Microseconds, text, us } from '../../../base/index.ts';
import type { Parts } from '../parts.ts';
import type { Volume } from '../volume.ts';

/** As the kernel waits. */
const CALM = 1_000_000;

export class Congestion {
  readonly #p: Parts;
  /** When what is ahead may come back. */
  readonly #back = new Map<Volume, number>();
  #disconnect = false;

  constructor(p: Parts) {
    this.#p = p;
  }
  /** Before a write is sent. */
  consider(v: Volume): void {
    const { net } = this.#p.config;
    if (net.onCongestion === 'block' || net.protocol !== 'A' || this.#disconnect) return;
    if (v.connection !== 'Connected' || v.disk !== 'UpToDate' || v.peerDisk !== 'UpToDate') return;
    const { sender, c, syncs } = this.#p;
    const flying = sender.flying(v);
    const full = net.congestionFill > 0 && flying >= net.congestionFill;
    const hot = v.backing?.al.active ?? 0;
    if (!full && hot < net.congestionExtents) return;
    const why = full
      ? text(`${flying >> 10} KiB are on their way (congestion-fill)`, `${flying >> 10} KiB 在途（congestion-fill）`)
      : text(`${hot} extents are hot (congestion-extents)`, `${hot} 个活动区（congestion-extents）`);
    sender.close();
    if (net.onCongestion === 'disconnect') {
      // Not now: the write that led here is half way through.
      this.#disconnect = true;
      c.reason('mirror.congestion', v.number, text(`disconnecting: ${why.en}`, `断开连接：${why.zh}`));
      return;
    }
    syncs.go(v, 'Ahead');
    v.peerDisk = 'Consistent';
    syncs.tell(v);
    c.reason('mirror.congestion', v.number, text(`pulling ahead: ${why.en}`, `超前运行：${why.zh}`));
    if (flying === 0) this.#calm(v);
  }
  /** The peer has acknowledged an epoch. */
  acknowledged(): void {
    for (const v of this.#p.volumes) if (v.ahead && !this.#back.has(v) && this.#p.sender.flying(v) === 0) this.#calm(v);
  }
  #calm(v: Volume): void {
    this.#back.set(v, this.#p.c.now + CALM);
  }
  get deadline(): Microseconds | undefined {
    if (this.#disconnect) return us(this.#p.c.now);
    return this.#back.size === 0 ? undefined : us(Math.min(...this.#back.values()));
  }
  tick(): void {
    if (this.#disconnect) {
      this.#disconnect = false;
      this.#p.link.disconnectHere();
      return;
    }
    for (const [v, due] of [...this.#back]) {
      if (this.#p.c.now < due) continue;
      this.#back.delete(v);
      if (v.ahead) this.#p.steps.beginSource(v, () => this.#p.roles.idle());
    }
  }
  /** The peer's disk is gone: there is nothing to come back to by a resync, until that disk is attached and compared. */
  over(v: Volume): void {
    const { syncs, c } = this.#p;
    this.#back.delete(v);
    syncs.go(v, 'Connected');
    c.reason(
      'mirror.congestion',
      v.number,
      text('no longer ahead: the peer has lost its disk', '不再超前运行：对端已失去磁盘'),
    );
  }
  lost(): void {
    this.#back.clear();
    this.#disconnect = false;
  }

  /** The peer has pulled ahead: what is here is old from now on, and a resync that ran is over. */
  behind(v: Volume): void {
    const { syncs, c } = this.#p;
    // It has not heard yet that our disk is gone; of one that came back since, both compare what they have.
    if (v.backing === undefined || v.negotiating) return;
    syncs.stop(v);
    syncs.go(v, 'Behind');
    v.save(true);
    c.reason('mirror.congestion', v.number, text('the peer has pulled ahead', '对端已超前'));
  }
}
