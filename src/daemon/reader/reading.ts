/** What came of reading a file, whichever its format. */
import type { Diagnostic } from '../../base/index.ts';
import type { KeepalivedConfig } from '../../config/keepalived/index.ts';

export type Reading = {
  readonly config: KeepalivedConfig | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;
  readonly keepServers?: boolean;
  readonly autoReload?: boolean;
};
