/**
 * The names of a mirror's volumes, as exports and below /dev/holdfast: that of the mirror where it is the only one, else with its
 * number behind it, `data.0`. A volume keeps its name while the process runs, and while its device is there: the only volume of a
 * mirror that gets another one is still `data`.
 */
import type { MirrorConfig } from '../../mirror/index.ts';

export class ExportNames {
  readonly #mirror: string;
  readonly #names = new Map<number, string>();

  /** `there`: whether a device of that name is left of a process before this one. */
  constructor({ name, volumes }: Pick<MirrorConfig, 'name' | 'volumes'>, there: (name: string) => boolean) {
    this.#mirror = name;
    const [lowest, ...more] = volumes.map((v) => v.number).sort((a, b) => a - b);
    if (lowest === undefined) return;
    // Volumes that are added to an only one have higher numbers.
    const plain = more.length === 0 ? !there(this.#numbered(lowest)) : there(name);
    this.#names.set(lowest, plain ? name : this.#numbered(lowest));
    for (const n of more) this.#names.set(n, this.#numbered(n));
  }
  /** Some may have come, and some gone. */
  use({ volumes }: Pick<MirrorConfig, 'volumes'>): void {
    for (const n of [...this.#names.keys()]) if (!volumes.some((v) => v.number === n)) this.#names.delete(n);
    for (const { number } of volumes) if (!this.#names.has(number)) this.#names.set(number, this.#numbered(number));
  }
  of(volume: number): string {
    return this.#names.get(volume) ?? this.#numbered(volume);
  }
  get all(): readonly string[] {
    return [...this.#names.values()];
  }
  volumesOf(names: readonly string[]): readonly number[] {
    return [...this.#names].flatMap(([n, name]) => (names.includes(name) ? [n] : []));
  }
  #numbered(volume: number): string {
    return `${this.#mirror}.${volume}`;
  }
}
