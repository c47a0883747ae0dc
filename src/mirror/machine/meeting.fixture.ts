/** A network for two sides that look for each other; its delays are drawn. */
import type { DrbdSocket } from '../../wire/index.ts';

/** A TCP connection: what each end sends comes in order, and whoever ends it is heard of behind that. */
export class Wire {
  readonly #net: Network;
  readonly caller: 0 | 1;
  readonly open: [boolean, boolean] = [true, true];
  readonly #last: [number, number] = [0, 0];
  constructor(net: Network, caller: 0 | 1) {
    this.#net = net;
    this.caller = caller;
  }
  send(from: 0 | 1, what: 'end' | DrbdSocket): void {
    const to = (1 - from) as 0 | 1;
    const at = Math.max(this.#last[to], this.#net.now + this.#net.delay());
    this.#last[to] = at;
    this.#net.at(at, () => {
      if (this.open[to]) this.#net.ends[to].hears(this, what);
    });
  }
  close(who: 0 | 1): void {
    if (!this.open[who]) return;
    this.open[who] = false;
    this.send(who, 'end');
  }
}
export interface End {
  begin(): void;
  hears(w: Wire, what: 'end' | DrbdSocket): void;
  readonly sockets: Readonly<Partial<Record<DrbdSocket, Wire>>>;
  readonly failed: boolean;
  /** Calls of the peer's for a socket that was there. */
  readonly crossings: number;
}
export class Network {
  now = 0;
  readonly ends: [End, End];
  readonly #draws: readonly number[];
  #drawn = 0;
  readonly #queue: { readonly at: number; readonly run: () => void }[] = [];
  constructor(draws: readonly number[], ends: (net: Network) => [End, End]) {
    this.#draws = draws;
    this.ends = ends(this);
  }
  /** 0 to 1, of what was drawn. */
  chance(): number {
    return (this.#draws[this.#drawn++ % this.#draws.length] as number) / 1000;
  }
  delay(): number {
    return 0.02 + this.chance() * 60;
  }
  at(at: number, run: () => void): void {
    const i = this.#queue.findIndex((q) => q.at > at);
    this.#queue.splice(i < 0 ? this.#queue.length : i, 0, { at, run });
  }
  /** The call arrives, and its caller hears of that. */
  call(from: 0 | 1, connected: (w: Wire) => void): void {
    const w = new Wire(this, from);
    this.at(this.now + this.delay() + this.delay(), () => connected(w));
  }
  run(until: number): void {
    for (let next = this.#queue[0]; next !== undefined && next.at <= until; next = this.#queue[0]) {
      this.#queue.shift();
      this.now = next.at;
      next.run();
    }
  }
}
