/**
 * A device that is there though this host is not primary: another process of this mirror died as primary while the peer took
 * over. Whoever uses the device waits, so it is told and shown.
 */
import { type Text, text } from '../../base/index.ts';
import type { MirrorConfig } from '../../mirror/index.ts';
import type { Devices } from './devices.ts';

/** Looking means reading files. Milliseconds. */
const LOOK_MS = 1000;
const NONE: readonly string[] = [];

export class Stranded {
  readonly #config: MirrorConfig;
  readonly #devices: Pick<Devices, 'attached'> | undefined;
  readonly #say: (t: Text) => void;
  #primary = false;
  #ending = false;
  #names = NONE;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(config: MirrorConfig, devices: Pick<Devices, 'attached'> | undefined, say: (t: Text) => void) {
    this.#config = config;
    this.#devices = devices;
    this.#say = say;
  }
  /** After each turn of the mirror. */
  look(primary: boolean): void {
    if (primary === this.#primary) return;
    this.#primary = primary;
    this.#lookedAt = Number.NEGATIVE_INFINITY;
    if (primary || this.#ending) return;
    // Whoever was asked to be secondary has taken its devices away before.
    for (const name of this.names) this.#say(strandedWords(this.#config.host, name));
  }
  get names(): readonly string[] {
    if (this.#primary || this.#devices === undefined) return NONE;
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_MS) return this.#names;
    this.#lookedAt = now;
    this.#names = this.#devices.attached;
    return this.#names;
  }
  /** This process ends, and the next one goes on: its devices are to wait. */
  end(): void {
    this.#ending = true;
  }
}
const strandedWords = (host: string, name: string): Text =>
  text(
    `${host} is no longer primary, and /dev/holdfast/${name} is still there: who uses it waits; holdfast mirror status says what to do`,
    `${host} 已不再是主节点，但 /dev/holdfast/${name} 仍在：其使用者在等待；holdfast mirror status 会说明如何处理`,
  );
