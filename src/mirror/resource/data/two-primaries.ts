/**
 * Two primaries write the same place at once: both disks must end equal. As in DRBD 8.4 the side that accepted the meta
 * socket decides. It answers a write that collides with one of its own at once: superseded where its own covers it (its
 * own comes later, and overwrites), else to be tried again. The other side writes what comes when its own are decided.
 */
import { type Microseconds, text, us } from '../../../base/index.ts';
import type { DrbdPacket, DrbdSocket } from '../../../wire/index.ts';
import type { Parts } from '../parts.ts';
import type { Volume } from '../volume.ts';
import type { PeerWrite } from './receiver.ts';

const later = (a: number, b: number): boolean => ((a - b) | 0) > 0;

export class TwoPrimaries {
  readonly #p: Parts;
  /** By volume: the highest number that the peer has given to a write or to an acknowledgement, of those that came. */
  readonly #seen = new Map<Volume, number>();
  #waiting: { readonly volume: Volume; readonly packet: PeerWrite; readonly unblock: () => void } | undefined;
  #until: Microseconds | undefined;

  constructor(p: Parts) {
    this.#p = p;
    p.receiver.judge = (v, from, to) => this.#judge(v, from, to);
    p.receiver.collided = (v, from, to, then) => p.sender.afterCollisions(v, from, to, then);
  }
  get #decides(): boolean {
    return this.#p.config.net.allowTwoPrimaries && this.#p.link.resolver && this.#p.roles.primary;
  }
  #judge(v: Volume, from: number, to: number): 'P_SUPERSEDED' | 'P_RETRY_WRITE' | undefined {
    if (!this.#decides || to === from) return undefined;
    const collision = this.#p.sender.collision(v, from, to);
    if (collision === undefined) return undefined;
    this.#p.c.reason(
      'mirror.collision',
      v.number,
      text(
        `both sides wrote at ${from} at once: ${collision === 'covered' ? 'this side came last' : 'the peer tries again'}`,
        `两端同时写入 ${from}：${collision === 'covered' ? '以本机为后写者' : '对端重试'}`,
      ),
    );
    return collision === 'covered' ? 'P_SUPERSEDED' : 'P_RETRY_WRITE';
  }

  // ------------------------------------------------------------------------------------------ the order of two sockets

  get deadline(): Microseconds | undefined {
    return this.#until;
  }
  tick(): void {
    if (this.#until === undefined || this.#p.c.now < this.#until) return;
    this.#p.link.lose(text('an acknowledgement that the peer counted did not come', '对端已计数的确认未到达'), true);
  }
  lost(): void {
    this.#seen.clear();
    this.#waiting = undefined;
    this.#until = undefined;
  }
  /** Any packet of the peer's: acknowledgements share a counter with writes. */
  heard(socket: DrbdSocket, p: DrbdPacket): void {
    if (socket !== 'meta' || !('seq' in p)) return;
    const v = this.#p.volumes.find((one) => one.number === p.volume);
    if (v !== undefined) this.#count(v, p.seq);
    const w = this.#waiting;
    if (w === undefined || !this.#ready(w.volume, w.packet)) return;
    this.#waiting = undefined;
    this.#until = undefined;
    this.#take(w.volume, w.packet);
    w.unblock();
  }
  #count(v: Volume, seq: number): void {
    const seen = this.#seen.get(v) ?? 0;
    if (later(seq, seen)) this.#seen.set(v, seq);
  }
  #ready(v: Volume, p: PeerWrite): boolean {
    return !later((p.seq - 1) | 0, this.#seen.get(v) ?? 0);
  }
  /**
   * A write is judged only when all that the peer acknowledged before has come: else it would be taken for the older of two,
   * though the peer wrote it on top of ours.
   */
  write(v: Volume, p: PeerWrite): void {
    if (!this.#decides || this.#ready(v, p)) {
      this.#take(v, p);
      return;
    }
    this.#waiting = { volume: v, packet: p, unblock: this.#p.link.block() };
    this.#until = us(this.#p.c.now + this.#p.config.net.pingTimeout * 1000);
  }
  #take(v: Volume, p: PeerWrite): void {
    this.#count(v, p.seq);
    this.#p.receiver.write(v, p);
  }
}
