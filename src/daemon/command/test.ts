/** `-t`: everything that is wrong with a file, with its place, and an exit status. */
import { writeFileSync } from 'node:fs';
import type { Language } from '../../base/index.ts';
import type { KeepalivedConfig } from '../../config/keepalived/index.ts';
import { readFile, render } from '../reader/read.ts';
import type { Reading } from '../reader/reading.ts';
import { systemAccounts } from '../scripts/accounts.ts';
import { runsUnguarded, systemPaths } from '../scripts/check.ts';
import { EXIT, KEEPALIVED_TEST } from './exit-codes.ts';
import type { KeepalivedOptions } from './options.ts';

/** Ours: wrong or not. With `--lenient` keepalived's own, which tells more and means less. */
export function testStatus(
  r: Pick<Reading, 'config' | 'diagnostics'>,
  lenient: boolean,
  unguarded: (c: KeepalivedConfig) => boolean,
): number {
  if (!lenient) return r.config === undefined ? EXIT.wrong : EXIT.done;
  if (r.config === undefined) return KEEPALIVED_TEST.cannotRun;
  if (r.diagnostics.length > 0) return KEEPALIVED_TEST.complaints;
  return unguarded(r.config) ? KEEPALIVED_TEST.scriptSecurity : KEEPALIVED_TEST.clean;
}

export function testConfiguration(o: KeepalivedOptions, language: Language): number {
  const r = readFile({ ...o, describe: false });
  const output = render(r, language)
    .map((d) => `${d}\n`)
    .join('');
  if (o.testOutput === undefined) process.stderr.write(output);
  else {
    try {
      writeFileSync(o.testOutput, output);
    } catch (e) {
      process.stderr.write(`holdfast keepalived: ${(e as Error).message}\n`);
      return EXIT.failed;
    }
  }
  return testStatus(r, o.lenient, (c) => runsUnguarded(c, systemAccounts, systemPaths));
}
