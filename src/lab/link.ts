import { type Microseconds, text } from '../base/index.ts';
import { LabError } from './error.ts';
import type { Fabric } from './fabric.ts';
import type { Host } from './host.ts';
import { type Port, type PortState, untouched } from './plan.ts';
import type { Program } from './program.ts';
import type { Direction, Slowness } from './types.ts';

export type Capture = {
  readonly file: string;
  /** Resolves when everything captured is in the file. */
  stop(): Promise<void>;
};

/** The cable between a host's interface and its switch. What is done to it outlives a power cut of the host. */
export class Link {
  readonly name: string;
  readonly #fabric: Fabric;
  readonly #host: Host;
  readonly #port: Port;

  constructor(fabric: Fabric, host: Host, port: Port) {
    this.name = `${port.host}:${port.link}`;
    this.#fabric = fabric;
    this.#host = host;
    this.#port = port;
  }

  get state(): PortState {
    return this.#fabric.state(this.#port);
  }
  /** As the lab gave it. */
  get mac(): string {
    return this.#port.mac;
  }

  /**
   * Frames vanish, in one direction or both; the interface stays up and nobody is told (a wrong VLAN, a broken switch).
   * With `carrier`, the cable is pulled instead: the host sees its interface without carrier. Adds to earlier cuts.
   * Resolves with the moment from which it was in force.
   */
  cut(o: { readonly direction?: Direction; readonly carrier?: boolean } = {}): Promise<Microseconds> {
    const direction = o.direction ?? 'both';
    const { cut } = this.state;
    if (o.carrier === true) return this.#change({ unplugged: true });
    return this.#change({ cut: { in: cut.in || direction !== 'out', out: cut.out || direction !== 'in' } });
  }

  /** Undoes every cut of this link, and makes it fast again. A partition stays. */
  heal(): Promise<Microseconds> {
    const { segment } = this.state;
    return this.#change({ ...untouched, segment });
  }

  /**
   * Delays, loses or throttles frames, in one direction or both; replaces what was said before for that direction.
   * Rejects with LabError where a number is out of range.
   */
  slow(o: Slowness): Promise<Microseconds> {
    const ranges: readonly (readonly [string, number | undefined, number, number])[] = [
      ['delayMs', o.delayMs, 0, 60_000],
      ['jitterMs', o.jitterMs, 0, 60_000],
      ['loss', o.loss, 0, 1],
      ['rateKbit', o.rateKbit, 1, 10_000_000],
    ];
    for (const [name, value, low, high] of ranges)
      if (value !== undefined && !(value >= low && value <= high))
        return Promise.reject(
          new LabError('lab-range', text(`${name} is outside ${low}..${high}`, `${name} 超出范围 ${low}..${high}`)),
        );
    const { slow } = this.state;
    const direction = o.direction ?? 'both';
    return this.#change({
      slow: { ...slow, ...(direction !== 'out' ? { in: o } : {}), ...(direction !== 'in' ? { out: o } : {}) },
    });
  }

  /** What passes on the cable, cut or not, until `stop`. `filter` is pcap's language. Resolves when it is listening. */
  async capture(o: { readonly file: string; readonly filter?: string }): Promise<Capture> {
    const words = o.filter === undefined ? [] : [o.filter];
    const port = this.#port.name;
    const argv = ['tcpdump', '-i', port, '-U', '--immediate-mode', '-Z', 'root', '-w', o.file, ...words];
    const tcpdump: Program = this.#fabric.spawn(argv);
    try {
      await tcpdump.line(/listening on/);
    } catch {
      const why = tcpdump.text('stderr').trim();
      throw new LabError('lab-capture', text(`tcpdump failed: ${why}`, `tcpdump 失败：${why}`));
    }
    return {
      file: o.file,
      stop: async () => {
        await tcpdump.kill('SIGINT');
        await tcpdump.exited;
      },
    };
  }

  #change(change: Partial<PortState>): Promise<Microseconds> {
    return this.#fabric.change(new Map([[this.#port, { ...this.state, ...change }]]), () => this.#host.powered);
  }
}
