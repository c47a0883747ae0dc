/**
 * ko-count: a peer that takes data, answers pings, and does not acknowledge a write or an epoch within ko-count times
 * `timeout` is dropped, so that it does not hold the application for ever. An epoch that was not closed asks for nothing.
 */
import { type Microseconds, text, us } from '../../../base/index.ts';
import type { Parts } from '../parts.ts';

export class Patience {
  readonly #p: Parts;
  /** Nothing is due before. */
  #notBefore = 0;

  constructor(p: Parts) {
    this.#p = p;
  }
  get #limit(): number | undefined {
    const { koCount, timeout } = this.#p.config.net;
    return koCount === 0 ? undefined : koCount * timeout * 1000;
  }
  /** Cheap, since it is asked for after every event: the oldest epoch, not the oldest write, says when to look. */
  get deadline(): Microseconds | undefined {
    const begun = this.#p.sender.oldestEpoch;
    if (this.#limit === undefined || begun === undefined || !this.#p.link.established) return undefined;
    return us(Math.max(this.#notBefore, begun + this.#limit));
  }
  tick(): void {
    const limit = this.#limit;
    const due = this.deadline;
    const { c, link, sender, config } = this.#p;
    if (limit === undefined || due === undefined || c.now < due) return;
    const since = sender.waitingSince();
    if (since === undefined || since + limit > c.now) {
      this.#notBefore = (since ?? c.now) + limit;
      return;
    }
    const { koCount, timeout } = config.net;
    link.lose(
      text(
        `${config.peer} did not acknowledge a write within ${koCount} (ko-count) times ${timeout} ms (timeout)`,
        `${config.peer} 未在 ${koCount}（ko-count）× ${timeout} 毫秒（timeout）内确认写入`,
      ),
      true,
      'Timeout',
    );
  }
}
