/** `holdfast keepalived`: the command line, and what it leads to. */
import { resolve } from 'node:path';
import { type Language, languageOf, text } from '../base/index.ts';
import type { LogEvent } from '../host/index.ts';
import { EXIT } from './command/exit-codes.ts';
import { isLaunched, launch, startDirectory } from './command/launch.ts';
import { helpText, type KeepalivedOptions, parseOptions } from './command/options.ts';
import { readPeerKey } from './command/peer-key.ts';
import { permissionProblem } from './command/permission.ts';

/** The version of keepalived whose file and options are spoken; scripts compare it. */
const SPEAKS = '2.3';

/** Resolves with the exit status; for a daemon only when it has ended. */
export async function runKeepalived(
  argv: readonly string[],
  version: string,
  format: KeepalivedOptions['format'] = 'keepalived',
): Promise<number> {
  const parsed = parseOptions(argv);
  const language = languageOf(process.env, parsed.ok ? parsed.value.language : undefined);
  if (!parsed.ok) {
    const hint = text('holdfast keepalived --help lists the options', 'holdfast keepalived --help 列出全部选项');
    process.stderr.write(`holdfast keepalived: ${parsed.error[language]}\n${hint[language]}\n`);
    return EXIT.wrong;
  }
  const options = { ...absolute(parsed.value, startDirectory()), format };
  if (typeof options.do === 'object') {
    process.stdout.write(`${options.do.signum}\n`);
    return EXIT.done;
  }
  switch (options.do) {
    case 'help':
      process.stdout.write(helpText(language));
      return EXIT.done;
    case 'version':
      process.stdout.write(`Holdfast ${version} (keepalived ${SPEAKS})\n`);
      return EXIT.done;
    case 'test':
      return (await import('./command/test.ts')).testConfiguration(options, language);
    case 'run':
      return run(options, language);
    default:
      return options.do;
  }
}

/** The daemon's working directory is /, so paths are fixed before. */
function absolute(o: KeepalivedOptions, directory: string): KeepalivedOptions {
  const fix = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : resolve(directory, path);
  return {
    ...o,
    file: resolve(directory, o.file),
    logFile: fix(o.logFile),
    pidFile: fix(o.pidFile),
    vrrpPidFile: fix(o.vrrpPidFile),
    checkersPidFile: fix(o.checkersPidFile),
    testOutput: fix(o.testOutput),
    peer: o.peer && { ...o.peer, keyFile: fix(o.peer.keyFile) },
  };
}

async function run(options: KeepalivedOptions, language: Language): Promise<number> {
  const problem = permissionProblem();
  if (problem) {
    process.stderr.write(`holdfast keepalived: ${problem[language]}\n`);
    return EXIT.notPermitted;
  }
  const key = options.peer?.keyFile === undefined ? undefined : readPeerKey(options.peer.keyFile);
  if (key?.ok === false) {
    process.stderr.write(`holdfast keepalived: ${key.error[language]}\n`);
    return EXIT.wrong;
  }
  if (!options.foreground && !isLaunched()) {
    const show = (e: LogEvent): string => e.text[language];
    return launch(show);
  }
  return (await import('./supervisor/main.ts')).supervise(options, language);
}
