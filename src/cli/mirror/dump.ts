/** `holdfast mirror dump-md NAME -f FILE`: the text that `drbdmeta restore-md` reads. Only of a mirror that is not running. */
import { parseArgs } from 'node:util';
import { languageOf, text } from '../../base/index.ts';
import { EXIT, mirrorDump } from '../../daemon/index.ts';
import { wordsOf } from '../words.ts';
import { FILE_OPTIONS } from './file-options.ts';
import { DRBDSETUP_EXIT } from './refusals.ts';
import { running } from './running.ts';

const USAGE = text(
  'usage: holdfast mirror dump-md NAME -f FILE [--host NAME]',
  '用法：holdfast mirror dump-md 名称 -f 文件 [--host 名称]',
);
const options = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      ...FILE_OPTIONS,
      host: { type: 'string' },
      socket: { type: 'string' },
    },
  });

export async function dump(tool: 'mirror' | 'drbdadm', argv: readonly string[]): Promise<number> {
  const parsed = wordsOf(() => options(argv));
  if (parsed === undefined) return EXIT.wrong;
  const { values, positionals } = parsed;
  const language = languageOf(process.env, values.lang);
  const [name] = positionals;
  const file = values.file ?? values['config-file'] ?? (tool === 'drbdadm' ? '/etc/drbd.conf' : undefined);
  if (name === undefined || file === undefined || positionals.length > 1) {
    process.stderr.write(`${USAGE[language]}\n`);
    return EXIT.wrong;
  }
  const now = await running(values.socket);
  if (now.ok && now.value.document.mirrors.some((m) => m.name === name)) {
    const t = text(
      `${name} is running, and its metadata changes while it is read: holdfast mirror down ${name} first`,
      `${name} 正在运行，读取时其元数据会变化：请先 holdfast mirror down ${name}`,
    );
    process.stderr.write(`holdfast: ${t[language]}\n`);
    return tool === 'mirror' ? EXIT.refused : DRBDSETUP_EXIT.driver;
  }
  const { dumpMirror } = await mirrorDump();
  const texts = await dumpMirror(name, file, values.host, new Date().toISOString());
  if (!texts.ok) {
    process.stderr.write(`holdfast: ${texts.error[language]}\n`);
    return EXIT.failed;
  }
  process.stdout.write(texts.value.join('\n'));
  return EXIT.done;
}
