import type { Duplex } from 'node:stream';

const LENGTH = 4; // of a frame, big endian, before it: the stream form of QEMU's socket network

/** An Ethernet switch between guests, inside the controller: no port and no path, and nothing to be left behind. */
export class VmSwitch {
  readonly #plugs = new Set<Plug>();

  /** Of a guest that has just got its power; the plug is pulled when its end closes. */
  plug(cable: Duplex): Plug {
    const plug = new Plug(cable, (frame) => {
      for (const p of this.#plugs) if (p !== plug && !p.cut && !plug.cut) p.send(frame);
    });
    this.#plugs.add(plug);
    cable.once('close', () => this.#plugs.delete(plug));
    return plug;
  }
}

export class Plug {
  /** Nothing passes, either way, and neither end is told. */
  cut = false;
  readonly #cable: Duplex;
  #rest: Buffer = Buffer.alloc(0);

  constructor(cable: Duplex, arrived: (frame: Buffer) => void) {
    this.#cable = cable;
    cable.on('error', () => {}); // EPIPE: the guest has no power any more
    cable.on('data', (chunk: Buffer) => {
      this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
      while (this.#rest.length >= LENGTH) {
        const end = LENGTH + this.#rest.readUInt32BE(0);
        if (this.#rest.length < end) return;
        arrived(this.#rest.subarray(0, end));
        this.#rest = this.#rest.subarray(end);
      }
    });
  }
  /** With its length before it, as it arrived. */
  send(frame: Buffer): void {
    if (this.#cable.writable) this.#cable.write(Buffer.from(frame));
  }
}
