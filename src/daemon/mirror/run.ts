/** `holdfast mirror`: `run` is one resource in one process in the foreground; `create` makes its metadata; the rest asks it. */
import { readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { languageOf, renderDiagnostic, text } from '../../base/index.ts';
import { readDrbdConf } from '../../config/index.ts';
import { DEFAULT_OPTIONS, ExportServer, requirementsOf } from '../../exports/index.ts';
import { linuxBlocks, linuxClock, linuxLog, linuxStreamServer, loadAddon } from '../../host/linux/index.ts';
import type { MirrorAnswer, MirrorConfig, MirrorRequest } from '../../mirror/index.ts';
import { EXIT } from '../command/exit-codes.ts';
import { disk as files } from '../reader/disk.ts';
import { createVolumes } from './create.ts';
import { DISK_NEEDS } from './disk.ts';
import { MirrorProcess } from './process.ts';

const USAGE = `holdfast mirror run -f DRBD.CONF [--host NAME] [RESOURCE] --control PATH [--nbd PATH]
holdfast mirror create -f DRBD.CONF [--host NAME] [RESOURCE] [--force RESOURCE]
holdfast mirror status|primary|secondary|connect|disconnect|down --control PATH [--force] [--discard-my-data]
`;
const options = {
  file: { type: 'string', short: 'f', default: '/etc/drbd.conf' },
  host: { type: 'string' },
  control: { type: 'string' },
  nbd: { type: 'string' },
  force: { type: 'boolean', default: false },
  'discard-my-data': { type: 'boolean', default: false },
} as const;

export async function runMirror(argv: readonly string[]): Promise<number> {
  const say = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (e) {
    say(`holdfast mirror: ${e instanceof Error ? e.message : String(e)}`);
    return EXIT.wrong;
  }
  const { values, positionals } = parsed;
  const [verb, name] = positionals;
  switch (verb) {
    case 'run':
    case 'create': {
      const config = readConfig(values.file, values.host ?? hostname(), name, say);
      if (config === undefined) return EXIT.failed;
      if (verb === 'create') return createVolumes(config, values.force, say);
      return run(config, values.control, values.nbd, say);
    }
    case undefined:
      process.stderr.write(USAGE);
      return EXIT.wrong;
    default:
      if (values.control === undefined) {
        process.stderr.write(USAGE);
        return EXIT.wrong;
      }
      return ask(values.control, verb, values.force, values['discard-my-data'], say);
  }
}
const parse = (argv: readonly string[]) => parseArgs({ args: [...argv], options, allowPositionals: true });

function readConfig(
  file: string,
  host: string,
  name: string | undefined,
  say: (l: string) => void,
): MirrorConfig | undefined {
  const got = readDrbdConf({ file, files, options: { hostName: host } });
  const language = languageOf(process.env);
  for (const d of got.diagnostics)
    say(renderDiagnostic(d, language, (file, line) => got.sources.get(file)?.split('\n')[line - 1]));
  const mirrors = got.config?.mirrors ?? [];
  const found = name === undefined && mirrors.length === 1 ? mirrors[0] : mirrors.find((m) => m.name === name);
  if (found === undefined && got.config !== undefined)
    say(
      text(
        `holdfast mirror: ${host} runs no resource ${name ?? '(say which)'}: ${mirrors.map((m) => m.name).join(', ')}`,
        `holdfast mirror：${host} 不运行资源 ${name ?? '（请指明）'}：${mirrors.map((m) => m.name).join(', ')}`,
      )[language],
    );
  return found;
}

/** drbd.conf's own secret is read again from its place. */
function secretOf(m: MirrorConfig): Uint8Array | undefined {
  const ref = m.net.auth?.secret;
  if (ref === undefined) return undefined;
  if (ref.from === 'file') return new TextEncoder().encode(readFileSync(ref.path, 'utf8').replace(/\n$/, ''));
  const line = readFileSync(ref.file, 'utf8').split('\n')[ref.line - 1] ?? '';
  const word = line.slice(ref.column - 1, ref.column - 1 + ref.length);
  return new TextEncoder().encode(word.replace(/^"(.*)"$/, '$1'));
}

async function run(
  config: MirrorConfig,
  control: string | undefined,
  nbd: string | undefined,
  say: (l: string) => void,
): Promise<number> {
  const language = languageOf(process.env);
  const addon = loadAddon();
  const streams = linuxStreamServer();
  if (!addon.ok || !streams.ok) {
    const { doing, code } = !addon.ok
      ? addon.error
      : (streams as { error: { doing: ReturnType<typeof text>; code: string } }).error;
    say(`holdfast mirror: ${doing[language]}: ${code}`);
    return EXIT.failed;
  }
  const needs = requirementsOf(DEFAULT_OPTIONS);
  const devices = config.volumes.length * 2;
  const blocks = linuxBlocks({
    requests: needs.requests + devices * DISK_NEEDS.requests + 12,
    slabBytes: needs.slabBytes + devices * DISK_NEEDS.bytes + (1 << 20),
    engine: 'auto',
  });
  if (!blocks.ok) {
    say(`holdfast mirror: ${blocks.error.doing[language]}: ${blocks.error.code}`);
    return EXIT.failed;
  }
  const clock = linuxClock(addon.value);
  const log = linuxLog(addon.value, { language, least: 'notice', console: { fd: 2, details: false } });
  const opened = MirrorProcess.open({ blocks: blocks.value, clock, log }, config, secretOf(config));
  if (!opened.ok) {
    say(`holdfast mirror: ${opened.error.doing[language]}: ${opened.error.code}`);
    return EXIT.failed;
  }
  const mirror = opened.value;
  const server = ExportServer.open({ blocks: blocks.value, streams: streams.value, clock, log }, DEFAULT_OPTIONS);
  if (!server.ok) {
    say(`holdfast mirror: ${server.error.doing[language]}: ${server.error.code}`);
    return EXIT.failed;
  }
  mirror.settle = () => server.value.settle();
  return await new Promise<number>((resolve) => {
    mirror.listen((code) => {
      say(
        text(
          `cannot listen on ${config.local.address}:${config.local.port}: ${code}`,
          `无法监听 ${config.local.address}:${config.local.port}：${code}`,
        )[language],
      );
      resolve(EXIT.failed);
    });
    mirror.ask({ verb: 'up' }, (a) => {
      if (!a.ok) {
        say(`holdfast mirror: ${a.text[language]}`);
        resolve(EXIT.failed);
        return;
      }
      for (const v of config.volumes) {
        const id = config.volumes.length === 1 ? config.name : `${config.name}/${v.number}`;
        server.value.add({
          name: id,
          description: '',
          readOnly: false,
          backend: mirror.backend(v.number),
          clients: undefined,
        });
      }
      if (nbd !== undefined) server.value.listen({ kind: 'unix', path: nbd });
      if (control !== undefined) serveControl(control, mirror, (code) => say(`holdfast mirror: ${control}: ${code}`));
      process.stdout.write('up\n');
    });
    const end = (): void => {
      server.value.stop(() =>
        mirror.ask({ verb: 'down' }, () => {
          mirror.stop();
          resolve(EXIT.done);
        }),
      );
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
  });
}

/** One request as a line of JSON, one answer as a line. `{"verb":"status"}` is answered with the status document. */
function serveControl(path: string, mirror: MirrorProcess, failed: (code: string) => void): void {
  const server = createServer((s) => {
    let input = '';
    s.on('error', () => {});
    s.on('data', (chunk) => {
      input += chunk.toString('utf8');
      if (input.length > 65536) s.destroy();
      for (let end = input.indexOf('\n'); end >= 0; end = input.indexOf('\n')) {
        const line = input.slice(0, end);
        input = input.slice(end + 1);
        const request = requestOf(line);
        if (request === undefined) s.end('{"ok":false}\n');
        else if (request === 'status') s.write(`${JSON.stringify(mirror.status())}\n`);
        else mirror.ask(request, (a) => s.write(`${JSON.stringify(a)}\n`));
      }
    });
  });
  // The port is ours, so nobody else runs this resource here: a socket that is left is of a process that is gone.
  rmSync(path, { force: true });
  const mask = process.umask(0o177);
  server.on('error', (e: NodeJS.ErrnoException) => failed(e.code ?? 'EIO'));
  server.listen(path, () => process.umask(mask));
}
const VERBS = ['down', 'connect', 'disconnect', 'primary', 'secondary'] as const;
function requestOf(line: string): MirrorRequest | 'status' | undefined {
  try {
    const v: unknown = JSON.parse(line);
    if (typeof v !== 'object' || v === null || !('verb' in v)) return undefined;
    const flag = (name: string): boolean => (v as Record<string, unknown>)[name] === true;
    if (v.verb === 'status') return 'status';
    const verb = VERBS.find((one) => one === v.verb);
    if (verb === undefined) return undefined;
    if (verb === 'connect') return { verb, discardMyData: flag('discardMyData') };
    if (verb === 'primary' || verb === 'disconnect') return { verb, force: flag('force') };
    return { verb };
  } catch {
    return undefined;
  }
}

function ask(
  path: string,
  verb: string,
  force: boolean,
  discardMyData: boolean,
  say: (l: string) => void,
): Promise<number> {
  const language = languageOf(process.env);
  return new Promise((resolve) => {
    const s = connect(path);
    let answer = '';
    s.on('error', (e: NodeJS.ErrnoException) => {
      say(`holdfast mirror: ${path}: ${e.code ?? e.message}`);
      resolve(EXIT.failed);
    });
    s.on('connect', () => s.write(`${JSON.stringify({ verb, force, discardMyData })}\n`));
    s.on('data', (chunk) => {
      answer += chunk.toString('utf8');
      const end = answer.indexOf('\n');
      if (end < 0) return;
      s.end();
      if (verb === 'status') {
        process.stdout.write(`${answer.slice(0, end)}\n`);
        resolve(EXIT.done);
        return;
      }
      const a = JSON.parse(answer.slice(0, end)) as MirrorAnswer;
      if (a.text !== undefined) say(a.text[language]);
      resolve(a.ok ? EXIT.done : EXIT.failed);
    });
  });
}
