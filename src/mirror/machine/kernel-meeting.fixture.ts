/**
 * How DRBD 8.4 gets its two sockets, as drbd-protocol.md section 2 tells it: it calls, then takes calls for a while, and so on
 * until it has both; a newcomer takes the place of a call of its own, and a coin decides whether it takes calls or calls.
 */
import type { DrbdSocket } from '../../wire/index.ts';
import type { End, Network, Wire } from './meeting.fixture.ts';

/** Milliseconds: socket-check-timeout. */
const CHECK = 500;

export class KernelMeeting implements End {
  readonly #net: Network;
  readonly #who: 0 | 1;
  readonly #start: number;
  readonly #interval: number;
  readonly sockets: Partial<Record<DrbdSocket, Wire>> = {};
  readonly failed = false;
  crossings = 0;
  #doing: 'nothing' | 'calls' | 'takes' | 'checks' | 'done' = 'nothing';
  #round = 0;
  readonly #named: { readonly call: Wire; readonly socket: DrbdSocket }[] = [];

  constructor(net: Network, who: 0 | 1, start: number, interval: number) {
    this.#net = net;
    this.#who = who;
    this.#start = start;
    this.#interval = interval;
  }
  begin(): void {
    this.#net.at(this.#start, () => this.#call());
  }
  hears(call: Wire, what: 'end' | DrbdSocket): void {
    if (what === 'end') {
      call.open[this.#who] = false;
      return;
    }
    this.#named.push({ call, socket: what });
    if (this.#doing === 'takes') this.#take();
  }
  #call(): void {
    this.#doing = 'calls';
    this.#net.call(this.#who, (w) => {
      const which = this.sockets.data === undefined ? 'data' : 'meta';
      this.sockets[which] = w;
      w.send(this.#who, which);
      this.#next(true);
    });
  }
  /** `waits`: it takes calls before it calls again. */
  #next(waits: boolean): void {
    if (this.sockets.data !== undefined && this.sockets.meta !== undefined) {
      this.#doing = 'checks';
      this.#net.at(this.#net.now + CHECK, () => this.#check());
    } else if (waits) this.#wait();
    else this.#call();
  }
  #wait(): void {
    this.#doing = 'takes';
    const mine = ++this.#round;
    this.#net.at(this.#net.now + this.#interval, () => {
      if (this.#doing === 'takes' && mine === this.#round) this.#call();
    });
    this.#take();
  }
  #take(): void {
    const next = this.#named.shift();
    if (next === undefined) return;
    this.#drop();
    const { call, socket } = next;
    const own = this.sockets[socket];
    if (call.open[this.#who]) this.sockets[socket] = call;
    if (own === undefined || !call.open[this.#who]) {
      this.#next(false);
      return;
    }
    this.crossings++;
    own.close(this.#who);
    if (this.#net.chance() < 0.5) this.#wait();
    else this.#next(false);
  }
  /** Sockets whose other end is closed. */
  #drop(): void {
    for (const one of ['data', 'meta'] as const)
      if (this.sockets[one]?.open[this.#who] === false) delete this.sockets[one];
  }
  #check(): void {
    this.#drop();
    if (this.sockets.data !== undefined && this.sockets.meta !== undefined) this.#doing = 'done';
    else this.#next(false);
  }
}
