/** The real servers, as checkers meet them: they answer, refuse, or are silent, and a program finds their weights. */
import { text } from '../../base/index.ts';
import type { DirectorScript } from '../../director/index.ts';
import type { Exit, Running, StreamEvents, Streams, StreamTarget } from '../../host/index.ts';
import type { World } from '../world.ts';

export type Health = 'good' | 'refuses' | 'silent';
type Real = {
  health: Health;
  since: number /** Exit status of the program that asks for its weight. */;
  status: number;
};

const ROUND_TRIP = 200;
const PROGRAM_TIME = 3000;

export class Farm {
  readonly #world: World;
  readonly #servers = new Map<string, Real>();
  /** A packet of a check is lost: nothing comes back. */
  loss = 0;
  /** Somebody is not well. */
  get sick(): boolean {
    return this.#sick > 0;
  }
  #sick = 0;

  constructor(world: World) {
    this.#world = world;
  }
  at(address: string): Real {
    let r = this.#servers.get(address);
    if (!r) {
      r = { health: 'good', since: this.#world.now, status: 0 };
      this.#servers.set(address, r);
    }
    return r;
  }
  set(address: string, health: Health): void {
    const r = this.at(address);
    if (r.health === health) return;
    this.#sick += (health === 'good' ? 0 : 1) - (r.health === 'good' ? 0 : 1);
    r.health = health;
    r.since = this.#world.now;
    this.#world.note('farm', `${address} ${health}`);
  }
  heal(): void {
    this.loss = 0;
    for (const address of this.#servers.keys()) this.set(address, 'good');
  }

  /** As one process sees them: `alive` is false when it died, and nothing is delivered any more. */
  streams(alive: () => boolean): Streams {
    return {
      connect: (to: StreamTarget, _tls, on: StreamEvents) => {
        const cancel = this.#world.at(this.#world.now + ROUND_TRIP, () => {
          if (!alive() || this.#world.random.chance(this.loss)) return;
          const { health } = this.at(to.address);
          if (health === 'good') on.opened();
          else if (health === 'refuses') on.failed({ code: 'ECONNREFUSED', doing: text('connect', '连接') });
        });
        return { send: () => {}, close: cancel };
      },
      /** Nothing waits unread in this world: what comes is heard in the moment it comes. */
      drain: () => {},
      http2: () => () => {},
    };
  }
  run(s: DirectorScript, exited: (e: Exit) => void, alive: () => boolean): Running {
    const address = s.argv[1] ?? '';
    const end = (e: Exit) => (): void => {
      if (alive()) exited(e);
    };
    const r = this.at(address);
    let cancel = (): void => {};
    if (r.health !== 'silent')
      cancel = this.#world.at(this.#world.now + PROGRAM_TIME, end({ code: r.health === 'good' ? r.status : 1 }));
    return {
      pid: 1,
      signal: () => {
        cancel();
        this.#world.at(this.#world.now + 1, end({ signal: 'SIGTERM' }));
      },
    };
  }
}
