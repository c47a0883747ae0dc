/** `holdfast export`: files and devices over NBD, in one process in the foreground. */
import { accessSync, constants } from 'node:fs';
import { languageOf, ok, type Result, text } from '../../base/index.ts';
import { DEFAULT_OPTIONS, ExportServer, type FileBackend, fileBackend, requirementsOf } from '../../exports/index.ts';
import type { BlockQueue, HostError, Log, StreamAddress } from '../../host/index.ts';
import { linuxBlocks, linuxClock, linuxLog, linuxStreamServer, loadAddon } from '../../host/linux/index.ts';
import { EXIT } from '../command/exit-codes.ts';
import { type ExportCommand, exportHelp, parseExportCommand } from './options.ts';

/** What the queue needs for itself, and a little for what else is opened in this process. */
const SPARE_REQUESTS = 12;
const SPARE_BYTES = 1 << 20;

/** Resolves with the exit status, when it has ended. */
export async function runExport(argv: readonly string[]): Promise<number> {
  const language = languageOf(process.env);
  const complain = (words: string): void => {
    process.stderr.write(`holdfast export: ${words}\n`);
  };
  const parsed = parseExportCommand(argv);
  if (!parsed.ok) {
    complain(parsed.error[language]);
    process.stderr.write(`${exportHelp[language].split('\n')[0]}\n`);
    return EXIT.wrong;
  }
  if (parsed.value === undefined) {
    process.stdout.write(`${exportHelp[language]}\n`);
    return EXIT.done;
  }
  const started = start(parsed.value, language);
  if (!started.ok) {
    complain(`${started.error.doing[language]}: ${started.error.code}`);
    return started.error.code === 'EACCES' || started.error.code === 'EPERM' ? EXIT.notPermitted : EXIT.failed;
  }
  const { server, blocks, backends, announcement } = started.value;
  return await new Promise<number>((resolve) => {
    let ending = false;
    const end = (): void => {
      // Who says it twice does not want to wait for a disk that never answers.
      if (ending) resolve(EXIT.failed);
      if (ending) return;
      ending = true;
      server.stop(() => {
        blocks.close();
        resolve(EXIT.done);
      });
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
    process.on('SIGHUP', () => {
      for (const b of backends) b.refresh();
    });
    // Whoever reads that it is ready may end it at once.
    for (const line of announcement) process.stdout.write(`${line}\n`);
  });
}

type Started = {
  readonly server: ExportServer;
  readonly blocks: BlockQueue;
  readonly backends: readonly FileBackend[];
  readonly announcement: readonly string[];
};

function start(c: ExportCommand, language: 'en' | 'zh'): Result<Started, HostError> {
  const addon = loadAddon();
  if (!addon.ok) return addon;
  const streams = linuxStreamServer();
  if (!streams.ok) return streams;
  const readable = tlsReadable(c);
  if (!readable.ok) return readable;
  const options = { ...DEFAULT_OPTIONS, tls: c.tls, list: c.list };
  const needs = requirementsOf(options);
  const blocks = linuxBlocks({
    requests: needs.requests + SPARE_REQUESTS,
    slabBytes: needs.slabBytes + SPARE_BYTES,
    engine: c.engine,
  });
  if (!blocks.ok) return blocks;
  const log: Log = linuxLog(addon.value, {
    language,
    least: c.verbose ? 'info' : 'notice',
    console: { fd: 2, details: false },
  });
  const clock = linuxClock(addon.value);
  const server = ExportServer.open({ blocks: blocks.value, streams: streams.value, clock, log }, options);
  if (!server.ok) return server;
  const backends: FileBackend[] = [];
  for (const f of c.files) {
    // A device that is mounted or held by another is never written to beside it.
    const device = blocks.value.open(f.path, { readOnly: c.readOnly, direct: c.direct, exclusive: !c.readOnly });
    if (!device.ok) return device;
    const backend = fileBackend(blocks.value, device.value);
    backends.push(backend);
    const added = server.value.add({
      name: f.name,
      description: c.description,
      readOnly: c.readOnly,
      backend,
      clients: c.clients,
    });
    if (!added.ok) return added;
  }
  const announcement: string[] = [];
  for (const address of c.listen) {
    const listener = server.value.listen(address);
    if (!listener.ok) return listener;
    for (const f of c.files) announcement.push(uri(address, listener.value.port, f.name, c.tls.mode === 'forced'));
  }
  announcement.push(text(`served by ${blocks.value.kind}`, `由 ${blocks.value.kind} 提供`)[language]);
  return ok({ server: server.value, blocks: blocks.value, backends, announcement });
}

/** Files of TLS are read for each client; that they cannot be read is told at the start. */
function tlsReadable(c: ExportCommand): Result<void, HostError> {
  const files = c.tls.files;
  for (const path of files ? [files.certificate, files.key, files.clientAuthority] : []) {
    if (path === undefined) continue;
    try {
      accessSync(path, constants.R_OK);
    } catch (e) {
      const code = e instanceof Error && 'code' in e ? String(e.code) : 'EIO';
      return { ok: false, error: { code, doing: text(`read ${path}`, `读取 ${path}`) } };
    }
  }
  return ok(undefined);
}

/** As nbdinfo, qemu and nbdcopy take it. */
function uri(a: StreamAddress, port: number, name: string, tls: boolean): string {
  const scheme = tls ? 'nbds' : 'nbd';
  const path = encodeURIComponent(name);
  if (a.kind === 'unix') return `${scheme}+unix:///${path}?socket=${encodeURI(a.path)}`;
  return `${scheme}://${a.address.includes(':') ? `[${a.address}]` : a.address}:${port}/${path}`;
}
