/** `holdfast realserver`: on real servers, one process in the foreground, or one that does it and ends. */
import { type IpAddress, type Language, languageOf, type Result } from '../../base/index.ts';
import { RealServerAgent, realServerScript } from '../../director/index.ts';
import type { HostError } from '../../host/index.ts';
import { linuxBpf, linuxHost, linuxLog, linuxNetlink, loadAddon, openNetwork } from '../../host/linux/index.ts';
import { EXIT } from '../command/exit-codes.ts';
import { parseRealServerCommand, type RealServerCommand, realServerHelp } from './options.ts';

/** Changes of links and addresses come in crowds. */
const SETTLE_MS = 50;
/** Nobody tells of settings that change. */
const LOOK_MS = 10_000;

/** Resolves with the exit status, when it has ended. */
export async function runRealServer(argv: readonly string[]): Promise<number> {
  const language = languageOf(process.env);
  const complain = (words: string): void => {
    process.stderr.write(`holdfast realserver: ${words}\n`);
  };
  const parsed = parseRealServerCommand(argv);
  if (!parsed.ok) {
    complain(parsed.error[language]);
    process.stderr.write(`${realServerHelp[language].split('\n')[0]}\n`);
    return EXIT.wrong;
  }
  const command = parsed.value;
  if (command === undefined) {
    process.stdout.write(`${realServerHelp[language]}\n`);
    return EXIT.done;
  }
  if (command.mode === 'print') {
    process.stdout.write(scriptOf(command));
    return EXIT.done;
  }
  const failed = (e: HostError): number => {
    complain(`${e.doing[language]}: ${e.code}`);
    return e.code === 'EACCES' || e.code === 'EPERM' ? EXIT.notPermitted : EXIT.failed;
  };
  const opened = open(command, language);
  if (!opened.ok) return failed(opened.error);
  const { server, watch } = opened.value;
  if (command.mode === 'undo') {
    const undone = server.undo();
    return undone.ok ? EXIT.done : failed(undone.error);
  }
  const settled = server.settle();
  if (!settled.ok) {
    if (command.mode === 'stay-and-undo') server.undo();
    return failed(settled.error);
  }
  if (command.mode === 'once') {
    server.leave();
    return EXIT.done;
  }
  return await new Promise<number>((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    let told: string | undefined;
    const look = (): void => {
      timer = undefined;
      const again = server.settle();
      const words = again.ok ? undefined : `${again.error.doing[language]}: ${again.error.code}`;
      if (words !== undefined && words !== told) complain(words);
      told = words;
    };
    const unwatch = watch(() => {
      timer ??= setTimeout(look, SETTLE_MS);
    });
    const regularly = setInterval(look, LOOK_MS);
    const end = (): void => {
      unwatch();
      clearTimeout(timer);
      clearInterval(regularly);
      if (command.mode === 'stay-and-keep') {
        server.leave();
        resolve(EXIT.done);
        return;
      }
      const undone = server.undo();
      resolve(undone.ok ? EXIT.done : failed(undone.error));
    };
    process.once('SIGTERM', end);
    process.once('SIGINT', end);
    // Whoever reads that it is ready may end it at once.
    process.stdout.write(`${command.vips.join(' ')}\n`);
  });
}

type Opened = { readonly server: RealServerAgent; readonly watch: (changed: () => void) => () => void };
function open(c: RealServerCommand, language: Language): Result<Opened, HostError> {
  const addon = loadAddon();
  if (!addon.ok) return addon;
  const log = linuxLog(addon.value, { language, least: 'notice', console: { fd: 2, details: false } });
  const network = openNetwork(addon.value, log);
  if (!network.ok) return network;
  const bpf = linuxBpf(linuxNetlink(addon.value));
  if (!bpf.ok && c.tunnel) return bpf;
  const host = linuxHost({ addon: addon.value, log, network: network.value });
  const ports = { ...host, bpf: bpf.ok ? bpf.value : undefined };
  const tunnels = c.tunnel && { guePort: c.tunnel === 'gue' ? c.guePort : 0 };
  const server = new RealServerAgent(ports, { vips: c.vips, tunnels, interfaces: c.interfaces, state: c.state });
  return { ok: true, value: { server, watch: (changed) => network.value.watch(changed) } };
}

/** Tunnels of IPv4, and of IPv6 where one of the addresses is. */
function scriptOf(c: RealServerCommand): string {
  const families = c.vips.some((v) => v.includes(':')) ? ['0.0.0.0', '::'] : ['0.0.0.0'];
  return realServerScript({ vips: c.vips, endpoints: c.tunnel ? (families as IpAddress[]) : [] }, c.tunnel, c.guePort);
}
