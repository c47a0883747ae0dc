/** The supervisor as a process: its logs, its signals, its end. */
import { performance } from 'node:perf_hooks';
import { err, type Language, ok, type Result, type Text, us } from '../../base/index.ts';
import type { Log } from '../../host/index.ts';
import {
  type Addon,
  linuxHost,
  linuxLog,
  loadAddon,
  onRealtimeSignal,
  openNetwork,
  tellServiceManager,
} from '../../host/linux/index.ts';
import { keepCompiled } from '../channel.ts';
import { EXIT } from '../command/exit-codes.ts';
import { isLaunched, launcherLog, reportReady } from '../command/launch.ts';
import { type KeepalivedOptions, SIGNALS } from '../command/options.ts';
import { enterNamespace, failureText } from '../handover/namespace.ts';
import { allLogs, fileLog } from '../log/file.ts';
import { Supervisor } from './driver.ts';
import type { SupervisorHost } from './world.ts';

function makeLog(addon: Addon, o: KeepalivedOptions, language: Language): Log {
  const least = o.detail ? 'debug' : 'notice';
  const logs: Log[] = [
    linuxLog(addon, {
      language,
      least,
      ...(o.console ? { console: { fd: 2, details: o.detail } } : {}),
      ...(o.facility === undefined || o.console
        ? {}
        : { syslog: { facility: o.facility, name: 'keepalived', details: true } }),
    }),
  ];
  if (o.logFile !== undefined) logs.push(fileLog(o.logFile, language));
  return allLogs(logs);
}

function openHost(addon: Addon, log: Log, namespace: string | undefined): Result<SupervisorHost, Text> {
  if (namespace !== undefined) {
    const entered = enterNamespace(addon, namespace);
    if (!entered.ok) return err(failureText(entered.error));
  }
  const network = openNetwork(addon, log);
  return network.ok ? ok(linuxHost({ addon, log, network: network.value })) : err(failureText(network.error));
}

/** Resolves with the exit status when everything has ended. */
export function supervise(options: KeepalivedOptions, language: Language): Promise<number> {
  const addon = loadAddon();
  if (!addon.ok) {
    process.stderr.write(`holdfast keepalived: ${failureText(addon.error)[language]}\n`);
    return Promise.resolve(EXIT.failed);
  }
  const daemonLog = makeLog(addon.value, options, language);
  const log = isLaunched() ? allLogs([daemonLog, launcherLog]) : daemonLog;
  process.title = 'holdfast keepalived';
  return new Promise((end) => {
    const supervisor = new Supervisor(options, {
      log,
      now: () => us(Math.round(performance.now() * 1000)),
      openHost: (namespace) => openHost(addon.value, log, namespace),
      refused: (found) => {
        if (isLaunched()) for (const d of found) launcherLog.write({ level: d.severity, code: d.code, text: d.shown });
        else for (const d of found) process.stderr.write(`${d.shown[language]}\n`);
        if (options.console) return;
        for (const d of found) daemonLog.write({ level: d.severity, code: d.code, text: d.line });
      },
      ready: () => {
        reportReady();
        keepCompiled();
        tellServiceManager(addon.value, 'READY=1');
      },
      end,
    });
    process.on('SIGHUP', () => supervisor.reload());
    for (const name of ['SIGTERM', 'SIGINT'] as const)
      process.on(name, () => {
        tellServiceManager(addon.value, 'STOPPING=1');
        supervisor.stop();
      });
    process.on('SIGUSR1', () => supervisor.dump('data'));
    process.on('SIGUSR2', () => supervisor.dump('stats'));
    for (const [signal, act] of [
      [SIGNALS.JSON, () => supervisor.dump('json')],
      [SIGNALS.STATS_CLEAR, () => supervisor.clearStatistics()],
    ] as const) {
      const listening = onRealtimeSignal(signal, act);
      if (!listening.ok) log.write({ level: 'warning', code: 'daemon.signal', text: failureText(listening.error) });
    }
    supervisor.start();
  });
}
