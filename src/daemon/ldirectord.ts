/** `holdfast ldirectord FILE`: the same daemon as `holdfast keepalived -C`, told by an ldirectord.cf. */
import { basename } from 'node:path';
import { languageOf, text } from '../base/index.ts';
import { EXIT } from './command/exit-codes.ts';
import { runKeepalived } from './keepalived.ts';

/** Of their own for each file, so that it does not take VRRP's for its own, and `holdfast lb -p` finds it. */
const ldirectordPidFile = (file: string): string => `/run/ldirectord.${basename(file).replace(/\.cf$/, '')}.pid`;

export function runLdirectord(argv: readonly string[], version: string): Promise<number> {
  const [file, ...options] = argv;
  if (file === undefined || file.startsWith('-')) {
    const usage = text(
      'usage: holdfast ldirectord FILE [OPTION...]; -t checks the file; the options are those of holdfast keepalived',
      '用法：holdfast ldirectord FILE [选项...]；-t 检查文件；选项与 holdfast keepalived 相同',
    );
    process.stderr.write(`${usage[languageOf(process.env)]}\n`);
    return Promise.resolve(EXIT.wrong);
  }
  return runKeepalived(['-C', '-p', ldirectordPidFile(file), '-f', file, ...options], version, 'ldirectord');
}
