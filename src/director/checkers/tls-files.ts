/** The certificate files that all TLS checks share, read once for each configuration. */
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import type { Files, TlsSettings } from '../../host/index.ts';
import type { DirectorConfig } from '../config.ts';

const LONGEST_FILE = 1 << 20;
type Names = Pick<TlsSettings, 'serverName' | 'protocols'>;

export class TlsFiles {
  readonly #files: Files;
  #config: DirectorConfig['tls'];
  #pem: Result<Omit<TlsSettings, 'serverName' | 'protocols'>, Text> | undefined;
  /** The host keeps what is dear by the settings' identity: the same names get the same object. */
  readonly #made = new Map<string, TlsSettings>();

  constructor(files: Files) {
    this.#files = files;
  }
  /** True where the configuration is another than before. */
  use(config: DirectorConfig['tls']): boolean {
    if (JSON.stringify(config) === JSON.stringify(this.#config)) return false;
    this.#config = config;
    this.#pem = undefined;
    this.#made.clear();
    return true;
  }
  settings(names: Names): Result<TlsSettings, Text> {
    this.#pem ??= this.#read();
    if (!this.#pem.ok) return this.#pem;
    const key = JSON.stringify(names);
    let made = this.#made.get(key);
    if (!made) {
      made = { ...this.#pem.value, ...names };
      this.#made.set(key, made);
    }
    return ok(made);
  }
  #read(): Result<Omit<TlsSettings, 'serverName' | 'protocols'>, Text> {
    const c = this.#config;
    const out: Record<string, string> = c?.password === undefined ? {} : { passphrase: c.password };
    for (const name of ['ca', 'certificate', 'key'] as const) {
      const path = c?.[name];
      if (path === undefined) continue;
      const bytes = this.#files.read(path, LONGEST_FILE);
      if (!bytes) return err(text(`${path} cannot be read`, `无法读取 ${path}`));
      out[name] = new TextDecoder().decode(bytes);
    }
    return ok(out);
  }
}
