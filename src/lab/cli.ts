import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { languageOf, renderDiagnostic, type Text, text } from '../base/index.ts';
import { renderLab, serveClient } from './control.ts';
import { type LabMessage, listen, onMessages, reach, tell } from './control-socket.ts';
import { checkDefinition } from './definition.ts';
import { LabError } from './error.ts';
import { Lab } from './lab.ts';
import type { Line } from './program.ts';
import type { LabDefinition } from './types.ts';
import { parseVerb, usage } from './verbs.ts';

const language = languageOf(process.env);
const complain = (t: Text): number => {
  process.stderr.write(`${t[language]}\n`);
  return 2;
};

/** `npm run lab -- ...`. Returns the exit code: 2 for what was asked wrongly or cannot be done, else the command's own. */
export async function main(words: readonly string[]): Promise<number> {
  let argv = words;
  let name = 'lab';
  if (argv[0] === '--name') {
    name = argv[1] ?? '';
    if (!/^[A-Za-z0-9-]{1,40}$/.test(name))
      return complain(text('--name takes letters, digits and -', '--name 需要字母、数字和 -'));
    argv = argv.slice(2);
  }
  try {
    if (argv[0] === 'help' || argv[0] === '--help') {
      process.stdout.write(`${usage[language]}\n`);
      return 0;
    }
    if (argv[0] !== 'up') return await ask(name, argv);
    const file = argv[1];
    if (file === undefined || argv.length > 2) return complain(usage);
    return await up(name, file);
  } catch (e) {
    if (e instanceof LabError) return complain(e.text);
    throw e;
  }
}

/** Undefined after the file's mistakes have been told. */
function readDefinition(file: string): LabDefinition | undefined {
  let input: unknown;
  try {
    input = JSON.parse(readFileSync(file, 'utf8'));
  } catch (e) {
    const why = e instanceof Error ? e.message : String(e);
    complain(text(`${file}: error: ${why}`, `${file}: 错误: ${why}`));
    return undefined;
  }
  const checked = checkDefinition(input);
  if (checked.ok) return checked.value;
  for (const d of checked.error) process.stderr.write(`${file}: ${renderDiagnostic(d, language, () => undefined)}\n`);
  return undefined;
}

async function up(name: string, file: string): Promise<number> {
  const definition = readDefinition(file);
  if (!definition) return 2;
  const end = Promise.withResolvers<void>();
  let lab: Lab | undefined;
  const server = await listen(name, (client) => {
    if (lab) serveClient(lab, client, end.resolve);
    else client.destroy();
  });
  try {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => end.resolve());
    lab = await Lab.start(definition);
    for (const h of lab.hosts.values())
      for (const p of h.started) {
        const show = (l: Line): boolean => process.stdout.write(`[${h.name}] ${l.text}\n`);
        p.lines.forEach(show); // said while other hosts were still starting
        p.onLine(show);
      }
    const also = name === 'lab' ? '' : `--name ${name} `;
    const host = [...lab.hosts.keys()][0] ?? 'HOST';
    const say = text(
      `${renderLab(lab)}\n\nIn another terminal:  npm run lab -- ${also}shell ${host}   (or: npm run lab -- help)\nCtrl-C ends the lab.`,
      `${renderLab(lab)}\n\n在另一个终端：npm run lab -- ${also}shell ${host}（或：npm run lab -- help）\nCtrl-C 结束实验环境。`,
    );
    process.stdout.write(`${say[language]}\n`);
    await end.promise;
  } finally {
    await lab?.stop();
    server.close();
  }
  return 0;
}

async function ask(name: string, argv: readonly string[]): Promise<number> {
  const verb = parseVerb(argv);
  if (!verb.ok) return complain(verb.error);
  // The lab's process has a working directory of its own.
  const words = verb.value.do === 'capture' ? argv.map((w, i) => (i === 2 ? resolve(w) : w)) : argv;
  const lab = await reach(name);
  const { stdin, stdout } = process;
  const done = Promise.withResolvers<number>();
  onMessages<LabMessage>(lab, (m) => {
    if ('exit' in m) done.resolve(m.exit);
    else if ('error' in m) complain(m.error);
    else process[m.to].write(m.text);
  });
  lab.once('close', () => done.resolve(verb.value.do === 'down' ? 0 : 1));
  lab.on('error', () => {}); // `close` follows
  tell(lab, { argv: words, ...(stdout.isTTY ? { columns: stdout.columns, rows: stdout.rows } : {}) });

  const takesInput = verb.value.do === 'shell' || (verb.value.do === 'run' && !stdin.isTTY);
  if (takesInput) {
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.setEncoding('utf8');
    stdin.on('data', (input: string) => tell(lab, { input }));
    stdin.once('end', () => tell(lab, { end: true }));
  }
  try {
    return await done.promise;
  } finally {
    if (takesInput && stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
    lab.destroy();
  }
}
