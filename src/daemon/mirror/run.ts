/** `holdfast mirror run`: one resource in one process, in the foreground, asked over its control socket. */
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MIRROR_SOCKET, type MirrorAsk, type MirrorDocument } from '../../api/index.ts';
import { languageOf, renderDiagnostic, type Text, text } from '../../base/index.ts';
import { DEFAULT_OPTIONS, ExportServer, requirementsOf } from '../../exports/index.ts';
import type { HostError } from '../../host/index.ts';
import {
  linuxBlocks,
  linuxClock,
  linuxLog,
  linuxProcesses,
  linuxStreamServer,
  loadAddon,
} from '../../host/linux/index.ts';
import { type MirrorConfig, unsupported } from '../../mirror/index.ts';
import { EXIT } from '../command/exit-codes.ts';
import { serveControl } from '../control-socket.ts';
import { DEVICE_FOLDERS } from '../exports/attach/options.ts';
import { checkFile } from '../mirror-files.ts';
import { systemAccounts } from '../scripts/accounts.ts';
import { answerAdjust } from './adjust.ts';
import { Devices } from './devices.ts';
import { DISK_NEEDS } from './disk.ts';
import { Followers } from './followers.ts';
import { keepHeapSmall, letHeapGrow } from './heap.ts';
import { ExportNames } from './names.ts';
import { Offered } from './offered.ts';
import { order } from './orders.ts';
import { disksOf, MirrorProcess } from './process.ts';
import { parseMirrorAsk } from './requests.ts';
import { patienceOf, resume } from './resume.ts';
import { secretOf } from './secret.ts';
import { Stranded } from './stranded.ts';
import { Turns } from './turns.ts';

const USAGE = text(
  'usage: holdfast mirror run [RESOURCE] [-f FILE] [--host NAME] [--socket PATH] [--nbd PATH] [--attach]',
  '用法：holdfast mirror run [资源] [-f FILE] [--host 名称] [--socket 路径] [--nbd 路径] [--attach]',
);
const parse = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      file: { type: 'string', short: 'f', default: '/etc/drbd.conf' },
      host: { type: 'string' },
      socket: { type: 'string', default: MIRROR_SOCKET },
      nbd: { type: 'string' },
      // The device of a primary: /dev/holdfast/NAME, through `holdfast attach`.
      attach: { type: 'boolean', default: false },
      way: { type: 'string', default: 'auto' },
      devices: { type: 'string', default: DEVICE_FOLDERS.devices },
      run: { type: 'string', default: DEVICE_FOLDERS.run },
    },
  });

const PRIMARY = { verb: 'primary', force: false } as const;

export async function runMirror(argv: readonly string[]): Promise<number> {
  const say = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (e) {
    say(`holdfast mirror run: ${e instanceof Error ? e.message : String(e)}`);
    return EXIT.wrong;
  }
  const { values, positionals } = parsed;
  const way = WAYS.find((w) => w === values.way);
  if (positionals.length > 1 || way === undefined || (values.attach && values.nbd === undefined)) {
    say(USAGE[languageOf(process.env)]);
    return EXIT.wrong;
  }
  const host = values.host ?? hostname();
  const config = await readConfig(values.file, host, positionals[0], say);
  if (config === undefined) return EXIT.wrong;
  const folders = { devices: values.devices, run: values.run };
  const devices =
    values.attach && values.nbd !== undefined ? new Devices({ socket: values.nbd, folders, way }) : undefined;
  const names = new ExportNames(config, (name) => devices?.isThere(name) === true);
  devices?.use(names.all);
  return run(config, { file: resolve(values.file), host, socket: values.socket, nbd: values.nbd, devices, names }, say);
}
const WAYS = ['auto', 'kernel', 'fuse'] as const;
type Reach = {
  readonly file: string;
  /** As which the file is read. */
  readonly host: string;
  readonly socket: string;
  readonly nbd: string | undefined;
  readonly devices: Devices | undefined;
  readonly names: ExportNames;
};

async function readConfig(
  file: string,
  host: string,
  name: string | undefined,
  say: (l: string) => void,
): Promise<MirrorConfig | undefined> {
  const checked = await checkFile(file, host);
  const language = languageOf(process.env);
  for (const d of checked.diagnostics)
    say(renderDiagnostic(d, language, (f, line) => checked.sources.get(f)?.split('\n')[line - 1]));
  if (checked.diagnostics.some((d) => d.severity === 'error')) return undefined;
  const { mirrors } = checked;
  const found = name === undefined && mirrors.length === 1 ? mirrors[0] : mirrors.find((m) => m.name === name);
  if (found === undefined) {
    const names = mirrors.map((m) => m.name).join(', ');
    const words = text(
      `holdfast mirror run: ${name ?? 'say which'}: ${host} has ${names || 'none'}`,
      `holdfast mirror run：${name ?? '请指明'}：${host} 有 ${names || '无'}`,
    );
    say(words[language]);
  }
  return found;
}

async function run(
  config: MirrorConfig,
  { file, host, socket, nbd, devices, names }: Reach,
  say: (l: string) => void,
): Promise<number> {
  const language = languageOf(process.env);
  const { refused, idle } = unsupported(config);
  for (const words of [...refused, ...idle]) say(`holdfast mirror: ${config.name}: ${words[language]}`);
  if (refused.length > 0) return EXIT.refused;
  const failed = ({ doing, code }: HostError): number => {
    say(`holdfast mirror: ${doing[language]}: ${code}`);
    return EXIT.failed;
  };
  const addon = loadAddon();
  if (!addon.ok) return failed(addon.error);
  const streams = linuxStreamServer();
  if (!streams.ok) return failed(streams.error);
  const needs = requirementsOf(DEFAULT_OPTIONS);
  const blocksFor = (disks: number, more: { readonly requests: number; readonly slabBytes: number }) =>
    linuxBlocks({
      requests: more.requests + disks * DISK_NEEDS.requests + 12,
      slabBytes: more.slabBytes + disks * DISK_NEEDS.bytes + (1 << 20),
      engine: 'auto',
    });
  const blocks = blocksFor(
    config.volumes.reduce((n, v) => n + disksOf(v), 0),
    needs,
  );
  const moreBlocks = (disks: number) => blocksFor(disks, { requests: 0, slabBytes: 0 });
  if (!blocks.ok) return failed(blocks.error);
  const clock = linuxClock(addon.value);
  const log = linuxLog(addon.value, { language, least: 'notice', console: { fd: 2, details: false } });
  const opened = MirrorProcess.open(
    { blocks: blocks.value, moreBlocks, streams: streams.value, clock, log, processes: linuxProcesses(addon.value) },
    config,
    { secret: secretOf(config), file },
  );
  if (!opened.ok) return failed(opened.error);
  const mirror = opened.value;
  const server = ExportServer.open({ blocks: blocks.value, streams: streams.value, clock, log }, DEFAULT_OPTIONS);
  if (!server.ok) return failed(server.error);
  const stranded = new Stranded(config, devices, (t) =>
    log.write({ level: 'warning', code: 'mirror.stranded', text: t }),
  );
  const document = (): MirrorDocument => ({
    at: Date.now(),
    mirrors: [{ ...mirror.status(), stranded: stranded.names }],
  });
  const followers = new Followers(document);
  const turns = new Turns({
    socket,
    name: config.name,
    follow: (seen) => followers.add(seen),
    set: (volume, busy) => mirror.depends(volume, busy),
  });
  turns.use(config);
  const offered = new Offered(server.value, mirror, config, names);
  mirror.adopted = (next) => {
    turns.use(next);
    names.use(next);
    devices?.use(names.all);
    offered.use(next);
  };
  mirror.used = () => offered.clients.length > 0;
  mirror.settle = () => {
    offered.look();
    stranded.look(mirror.primary);
    followers.look();
    server.value.settle();
  };
  return await new Promise<number>((end) => {
    const stop = (): void => {
      stranded.end();
      server.value.stop(() =>
        mirror.ask({ verb: 'down' }, () => {
          turns.stop();
          mirror.stop();
          letHeapGrow();
          end(EXIT.done);
        }),
      );
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    mirror.listen((code) => {
      say(
        text(
          `cannot listen on ${config.local.address}:${config.local.port}: ${code}`,
          `无法监听 ${config.local.address}:${config.local.port}：${code}`,
        )[language],
      );
      end(EXIT.failed);
    });
    mirror.ask({ verb: 'up' }, (a) => {
      if (!a.ok) {
        say(`holdfast mirror: ${a.text[language]}`);
        end(EXIT.failed);
        return;
      }
      if (nbd !== undefined) {
        mkdirSync(dirname(nbd), { recursive: true });
        server.value.listen({ kind: 'unix', path: nbd });
      }
      const down = (): void => {
        process.send?.('down');
        if (process.send !== undefined) stop();
      };
      const parts = { name: config.name, mirror, offered, devices, names, down };
      const notice = (t: Text): void => log.write({ level: 'notice', code: 'mirror.resume', text: t });
      const held = devices?.attached ?? [];
      if (held.length > 0) {
        // A volume that was not primary, since it was added and nothing else, stays as it is.
        const again = { ...PRIMARY, only: names.volumesOf(held) };
        const patience = patienceOf(config.net);
        resume(
          { status: () => mirror.status(), promote: (then) => order(parts, again, then), say: notice, patience },
          () => notice(text(`${config.host} is primary again`, `${config.host} 重新成为主节点`)),
        );
      }
      // The port is ours, so nobody else runs this resource here: a socket that is left is of a process that is gone.
      const answer = (q: MirrorAsk, reply: (document: unknown) => void): void => {
        if (q.ask === 'mirrors' || q.ask === 'follow') reply(document());
        else if (q.name === config.name && q.ask === 'mirror') order(parts, q.request, reply);
        else if (q.name === config.name && q.ask === 'adjust') void answerAdjust({ file, host }, mirror, q, reply);
        else if (q.name === config.name) reply(mirror.differences());
        else
          reply({ ok: false, code: 'not-supported', text: text(`no mirror ${q.name} here`, `此处没有镜像 ${q.name}`) });
      };
      const follow = (q: MirrorAsk, send: (d: unknown) => void) =>
        q.ask === 'follow' ? followers.add(send) : undefined;
      serveControl(socket, systemAccounts, { parse: parseMirrorAsk, answer, follow }, (words) => say(words[language]));
      keepHeapSmall();
      process.stdout.write('up\n');
      process.send?.('up');
    });
  });
}
