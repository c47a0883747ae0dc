/** A mirror's volumes as NBD exports: usable while this host is primary, else each handshake is refused with what to type. */
import { type Text, text } from '../../base/index.ts';
import type { ExportServer } from '../../exports/index.ts';
import type { MirrorConfig } from '../../mirror/index.ts';
import type { MirrorProcess } from './process.ts';

/** Volumes of a mirror of several have their number behind the name: `data.0`. */
export const exportName = (c: MirrorConfig, volume: number): string =>
  c.volumes.length === 1 ? c.name : `${c.name}.${volume}`;

export class Offered {
  readonly #server: ExportServer;
  readonly #mirror: MirrorProcess;
  readonly #config: MirrorConfig;
  #primary = false;

  constructor(server: ExportServer, mirror: MirrorProcess, config: MirrorConfig) {
    this.#server = server;
    this.#mirror = mirror;
    this.#config = config;
    this.#add();
  }
  /** After each turn of the mirror: who used it as primary cannot go on as secondary. */
  look(): void {
    if (this.#primary === this.#mirror.primary) return;
    this.#primary = this.#mirror.primary;
    if (this.#primary) return;
    for (const v of this.#config.volumes) this.#server.remove(exportName(this.#config, v.number));
    this.#add();
  }
  /** Clients that use a volume now. */
  get clients(): readonly string[] {
    const names = new Set(this.#config.volumes.map((v) => exportName(this.#config, v.number)));
    return this.#server.clients().flatMap((c) => (c.export !== undefined && names.has(c.export) ? [c.peer] : []));
  }
  #add(): void {
    for (const v of this.#config.volumes)
      this.#server.add({
        name: exportName(this.#config, v.number),
        description: '',
        readOnly: false,
        backend: this.#mirror.backend(v.number),
        clients: undefined,
        refuses: () => (this.#mirror.primary ? undefined : secondaryWords(this.#config)),
      });
  }
}
const secondaryWords = (c: MirrorConfig): Text =>
  text(
    `${c.name} is secondary on ${c.host}: nobody may read or write it here; holdfast mirror primary ${c.name} makes it primary`,
    `${c.name} 在 ${c.host} 上为从节点，不可读写；可执行 holdfast mirror primary ${c.name} 提升为主`,
  );
