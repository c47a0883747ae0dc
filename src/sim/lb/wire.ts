/** The path between two directors: datagrams with delay, some of which are lost. Its chances are its own, so that it changes nothing else in a world. */
import { type IpAddress, ok, Random } from '../../base/index.ts';
import type { Datagram, Sockets } from '../../host/index.ts';
import type { World } from '../world.ts';

type Receive = (d: Datagram) => void;

export class PeerWire {
  readonly #world: World;
  readonly #random: Random;
  readonly #listeners = new Map<IpAddress, Receive>();
  loss = 0;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#random = new Random(seed);
  }
  get random(): Random {
    return this.#random;
  }
  /** A process that died hears nothing, and what it sends goes nowhere. */
  udp(own: IpAddress, alive: () => boolean): Sockets['udp'] {
    return ({ port }, receive) => {
      this.#listeners.set(own, receive);
      return ok({
        localPort: port,
        drain: () => {},
        close: () => {
          if (this.#listeners.get(own) === receive) this.#listeners.delete(own);
        },
        send: (bytes, to) => {
          if (!alive() || this.#random.chance(this.loss)) return ok(undefined);
          const copy = new Uint8Array(bytes);
          this.#world.at(this.#world.now + this.#random.between(50, 500), () => {
            const [source, destination, at] = [own, to.address, this.#world.now];
            const d = {
              bytes: copy,
              source,
              destination,
              at,
              sourcePort: port,
              header: undefined,
              ttl: 64,
              ifindex: 2,
            };
            this.#listeners.get(to.address)?.(d);
          });
          return ok(undefined);
        },
      });
    };
  }
  /** The host has no power: nobody listens. */
  silence(own: IpAddress): void {
    this.#listeners.delete(own);
  }
}
