/** A switch with ports: carries frames and IP packets with delay, loss and duplication, and not at all where it is cut. */
import type { Random } from '../base/index.ts';
import type { World } from './world.ts';

/** Units that travel. `ip` holds protocol and addresses beside the payload, so that nobody has to parse headers again. */
export type Carried =
  | {
      readonly kind: 'ip';
      readonly family: 4 | 6;
      readonly protocol: number;
      readonly source: string;
      readonly destination: string;
      readonly ttl: number;
      readonly header: Uint8Array | undefined;
      readonly payload: Uint8Array;
    }
  | { readonly kind: 'frame'; readonly bytes: Uint8Array };

export interface Port {
  readonly name: string;
  /** False: no carrier. */
  carrier(): boolean;
  arrive(c: Carried): void;
}

export class Segment {
  readonly name: string;
  readonly #world: World;
  readonly #random: Random;
  readonly #ports: Port[] = [];
  /** `a>b`: what a sends does not reach b. */
  readonly #cuts = new Set<string>();
  readonly #last = new Map<string, number>();
  /** Of every single delivery. */
  loss = 0;
  duplicates = 0;
  /** Microseconds, one way. */
  leastDelay = 50;
  mostDelay = 500;

  constructor(name: string, world: World) {
    this.name = name;
    this.#world = world;
    this.#random = world.random;
  }
  attach(port: Port): void {
    this.#ports.push(port);
  }
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }
  heal(): void {
    this.#cuts.clear();
    this.loss = 0;
    this.duplicates = 0;
  }
  connected(from: string, to: string): boolean {
    return !this.#cuts.has(`${from}>${to}`);
  }

  send(from: Port, c: Carried): void {
    if (!from.carrier()) return;
    for (const to of this.#ports) {
      if (to === from || !this.connected(from.name, to.name)) continue;
      if (this.loss > 0 && this.#random.chance(this.loss)) continue;
      this.#deliver(from, to, c);
      if (this.duplicates > 0 && this.#random.chance(this.duplicates)) this.#deliver(from, to, c);
    }
  }
  /** What one port sends to another stays in order. */
  #deliver(from: Port, to: Port, c: Carried): void {
    const way = `${from.name}>${to.name}`;
    const arrival = Math.max(
      this.#last.get(way) ?? 0,
      this.#world.now + this.#random.between(this.leastDelay, this.mostDelay),
    );
    this.#last.set(way, arrival);
    this.#world.at(arrival, () => {
      if (to.carrier()) to.arrive(c);
    });
  }
}
