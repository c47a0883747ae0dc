/** A mirror's volumes as NBD exports: usable while this host is primary, else each handshake is refused with what to type. */
import { type Text, text } from '../../base/index.ts';
import type { ExportServer } from '../../exports/index.ts';
import type { MirrorConfig, VolumeConfig } from '../../mirror/index.ts';
import type { ExportNames } from './names.ts';
import type { MirrorProcess } from './process.ts';

export class Offered {
  readonly #server: ExportServer;
  readonly #mirror: MirrorProcess;
  readonly #names: ExportNames;
  #config: MirrorConfig;
  /** By volume, as the server knows it. */
  readonly #there = new Map<number, string>();
  #primary = false;

  constructor(server: ExportServer, mirror: MirrorProcess, config: MirrorConfig, names: ExportNames) {
    this.#server = server;
    this.#mirror = mirror;
    this.#names = names;
    this.#config = config;
    this.use(config);
  }
  /** From now on these volumes: nobody is disturbed who uses another. */
  use(config: MirrorConfig): void {
    this.#config = config;
    for (const n of [...this.#there.keys()]) if (!config.volumes.some((v) => v.number === n)) this.#remove(n);
    for (const v of config.volumes) if (!this.#there.has(v.number)) this.#add(v);
  }
  /** After each turn of the mirror: who used it as primary cannot go on as secondary. */
  look(): void {
    if (this.#primary === this.#mirror.primary) return;
    this.#primary = this.#mirror.primary;
    if (this.#primary) return;
    for (const n of [...this.#there.keys()]) this.#remove(n);
    this.use(this.#config);
  }
  /** Clients that use a volume now. */
  get clients(): readonly string[] {
    const names = new Set(this.#there.values());
    return this.#server.clients().flatMap((c) => (c.export !== undefined && names.has(c.export) ? [c.peer] : []));
  }
  #remove(volume: number): void {
    this.#server.remove(this.#there.get(volume) ?? '');
    this.#there.delete(volume);
  }
  #add(v: VolumeConfig): void {
    const name = this.#names.of(v.number);
    this.#there.set(v.number, name);
    this.#server.add({
      name,
      description: '',
      readOnly: false,
      backend: this.#mirror.backend(v.number),
      clients: undefined,
      refuses: () => (this.#mirror.isPrimary(v.number) ? undefined : secondaryWords(this.#config, name)),
    });
  }
}
const secondaryWords = (c: MirrorConfig, name: string): Text =>
  text(
    `${name} is secondary on ${c.host}: nobody may read or write it here; holdfast mirror primary ${c.name} makes it primary`,
    `${name} 在 ${c.host} 上为从节点，不可读写；可执行 holdfast mirror primary ${c.name} 提升为主`,
  );
