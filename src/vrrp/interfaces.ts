/** Interfaces as they count: up or down, after the delays of `interface_up_down_delays`. */
import { type Microseconds, us } from '../base/index.ts';
import type { Cancel, Clock, Network } from '../host/index.ts';
import type { VrrpConfig } from './config.ts';

export class Interfaces {
  readonly #clock: Clock;
  readonly #network: Network;
  readonly #known = new Map<string, { up: boolean; pending: Cancel | undefined }>();
  readonly #settled: (name: string) => void;
  #delays: VrrpConfig['interfaceDelays'] = [];

  constructor(clock: Clock, network: Network, settled: (name: string) => void) {
    this.#clock = clock;
    this.#network = network;
    this.#settled = settled;
  }
  use(delays: VrrpConfig['interfaceDelays']): void {
    this.#delays = delays;
    // Or the first notice of anything about the interface would pass for a change that has yet to last.
    for (const { interface: name } of delays)
      if (!this.#known.has(name)) this.#known.set(name, { up: this.isUp(name), pending: undefined });
  }
  isUp(name: string): boolean {
    return this.#known.get(name)?.up ?? this.#network.linkByName(name)?.up ?? false;
  }
  /** The kernel says so; it counts when it has stayed so for the delay. */
  changed(name: string, up: boolean): void {
    const entry = this.#known.get(name) ?? { up: !up, pending: undefined };
    this.#known.set(name, entry);
    entry.pending?.();
    entry.pending = undefined;
    const settle = (): void => {
      entry.pending = undefined;
      entry.up = up;
      this.#settled(name);
    };
    const delay = entry.up === up ? us(0) : this.#delay(name, up);
    if (delay === 0) settle();
    else entry.pending = this.#clock.at(us(this.#clock.now() + delay), settle);
  }
  stop(): void {
    for (const e of this.#known.values()) e.pending?.();
  }
  #delay(name: string, up: boolean): Microseconds {
    const d = this.#delays.find((x) => x.interface === name);
    return d === undefined ? us(0) : up ? d.up : d.down;
  }
}
