/** Keeps our last will up to date: what somebody else must send and remove if this process dies without a word. */
import { type Microseconds, us } from '../base/index.ts';
import type { Cancel, Clock } from '../host/index.ts';
import type { Instance } from './config.ts';
import type { LastWill } from './contract.ts';
import type { Holdings } from './holdings.ts';
import type { VirtualRouter } from './router.ts';

const NEVER = us(Infinity);

/**
 * How long the resignation of a master stays good. With `auth_hmac` it bears a stamp, and peers accept rising stamps
 * only: it is dated ahead by this time, so that it outranks every advert that is sent before it is made anew. No more
 * than a third of the window that peers allow, and no more than the least time in which a process that starts again
 * becomes master: its first advert is younger than the will then.
 */
function goodFor(i: Instance): Microseconds {
  if (!i.hmac || i.hmac.mode === 'receive-only') return NEVER;
  return us(Math.min(i.hmac.window / 3, i.downTimerAdverts * i.advertInterval));
}

export class Wills {
  readonly #clock: Clock;
  readonly #holdings: Holdings;
  readonly #routers: ReadonlyMap<string, VirtualRouter>;
  readonly #tell: (will: LastWill) => void;
  #cancel: Cancel | undefined;
  #cancelNext: Cancel | undefined;

  constructor(
    clock: Clock,
    holdings: Holdings,
    routers: ReadonlyMap<string, VirtualRouter>,
    tell: (will: LastWill) => void,
  ) {
    this.#clock = clock;
    this.#holdings = holdings;
    this.#routers = routers;
    this.#tell = tell;
  }
  /** Once a turn: many routers may move together, and none of them may wait for it. */
  soon(): void {
    this.#cancel ??= this.#clock.at(this.#clock.now(), () => this.publish());
  }
  publish(): void {
    this.stop();
    const adverts: LastWill['adverts'][number][] = [];
    let good = NEVER;
    for (const r of this.#routers.values()) {
      if (r.state.is !== 'MASTER') continue;
      const ahead = goodFor(r.instance);
      good = us(Math.min(good, ahead));
      const protocol = r.instance.authentication.type === 'ah' ? 51 : 112;
      for (const { link, destination, bytes } of r.lastPackets(ahead === NEVER ? us(0) : ahead))
        adverts.push({
          family: r.instance.family,
          protocol,
          ifindex: link.out,
          source: link.source,
          destination,
          bytes,
        });
    }
    this.#tell({ adverts, commands: this.#holdings.removals() });
    if (good !== NEVER) this.#cancelNext = this.#clock.at(us(this.#clock.now() + good), () => this.publish());
  }
  stop(): void {
    this.#cancel?.();
    this.#cancelNext?.();
    this.#cancel = undefined;
    this.#cancelNext = undefined;
  }
}
