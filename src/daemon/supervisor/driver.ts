/** Does what the supervisor's machine decides: the processes, files and sockets around it, with nothing left to decide. */
import { existsSync } from 'node:fs';
import type { ControlRequest, StatusDocument } from '../../api/index.ts';
import { type Microseconds, type Result, type Text, text, unreachable, verbatim } from '../../base/index.ts';
import type { Exit, Log, Running } from '../../host/index.ts';
import type { Notification, Script } from '../../vrrp/index.ts';
import { EXIT } from '../command/exit-codes.ts';
import type { KeepalivedOptions } from '../command/options.ts';
import { pidPaths, takePidFile } from '../command/pidfile.ts';
import { executeWill } from '../handover/will.ts';
import type { BeatSnapshot, FromBeat, ReadAnswer, ReadConfig, RenderedDiagnostic } from '../messages.ts';
import { systemAccounts } from '../scripts/accounts.ts';
import { BeatLink } from './beat-link.ts';
import { DirectorLink } from './director-link.ts';
import { type DumpKind, writeDump } from './dump.ts';
import { FileWatch, logCheck, markReading, ScheduledReload, saveConfiguration } from './files.ts';
import { History, STATES } from './history.ts';
import {
  initialSupervisor,
  type SupervisorEffect,
  type SupervisorEvent,
  type SupervisorState,
  stepSupervisor,
  supervisorDeadline,
} from './machine.ts';
import { readInProcess } from './reading.ts';
import { directorSettings, notFollowed, notifyConfig } from './shares.ts';
import { type SupervisorHost, World } from './world.ts';

export type SupervisorPorts = {
  readonly log: Log;
  readonly now: () => Microseconds;
  /** The world, in the network namespace that the configuration names. Called once, when that is known. */
  readonly openHost: (namespace: string | undefined) => Result<SupervisorHost, Text>;
  /** The file was refused at the start: whoever started this waits to read why. */
  readonly refused: (found: readonly RenderedDiagnostic[]) => void;
  readonly ready: () => void;
  readonly end: (code: number) => void;
};

export class Supervisor {
  #state: SupervisorState = initialSupervisor;
  #timer: NodeJS.Timeout | undefined;
  #beat: BeatLink | undefined;
  readonly #director: DirectorLink;
  #config: ReadConfig | undefined;
  #world: World | undefined;
  #generation = 0;
  #loadedAt = 0;
  #refusedAt: number | undefined;
  /** A process died that may not be started again. */
  #failed = false;
  /** A daemon before this one was killed, and its director's work is in the kernel still, also if there is none for ours. */
  #leftBehind = false;
  /** The startup script has ended: processes may be told what to do. */
  #prepared = false;
  #stopReading: () => void = () => {};
  readonly #startedAt = Date.now();
  readonly #history = new History();
  readonly #scheduled: ScheduledReload;
  readonly #changed = new FileWatch(() => this.reload());
  readonly #options: KeepalivedOptions;
  readonly #ports: SupervisorPorts;

  constructor(options: KeepalivedOptions, ports: SupervisorPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#scheduled = new ScheduledReload(ports.log, () => this.reload());
    this.#director = new DirectorLink({
      now: ports.now,
      log: (e) => ports.log.write(e),
      notify: (n) => this.#world?.notifier.tellOfPool(n),
      started: (pid) => this.#world?.childStarted('checkers', pid),
      giveUp: () => {
        this.#failed = true;
        this.stop();
      },
    });
  }

  start(): void {
    this.#feed({ kind: 'start' });
  }
  reload(): void {
    this.#feed({ kind: 'reload' });
  }
  stop(): void {
    this.#feed({ kind: 'stop' });
  }
  dump(kind: DumpKind): void {
    const global = this.#config?.global;
    if (global === undefined) return;
    this.#document((status, snapshot) => writeDump(kind, global, status, snapshot?.statistics ?? {}, this.#ports.log));
  }
  clearStatistics(): void {
    this.#beat?.send({ kind: 'clear-statistics' });
  }

  #log(level: 'notice' | 'warning' | 'error', code: string, words: Text): void {
    this.#ports.log.write({ level, code, text: words });
  }
  #feed(e: SupervisorEvent): void {
    const childWait = this.#config?.global.childWait ?? DEFAULT_CHILD_WAIT;
    const options = { respawn: this.#options.respawn, childWait };
    const next = stepSupervisor(options, this.#state, e, this.#ports.now());
    this.#state = next.state;
    for (const effect of next.effects) this.#perform(effect);
    clearTimeout(this.#timer);
    const due = supervisorDeadline(this.#state);
    if (due === undefined) return;
    const wait = Math.max(0, Math.ceil((due - this.#ports.now()) / 1000));
    this.#timer = setTimeout(() => this.#feed({ kind: 'tick' }), wait);
  }
  #perform(e: SupervisorEffect): void {
    switch (e.do) {
      case 'read':
        this.#read(e.why);
        break;
      case 'prepare':
        this.#world?.startup(this.#config as ReadConfig, () => {
          this.#prepared = true;
          this.#configureDirector();
          this.#director.ready(() => this.#feed({ kind: 'prepared' }));
        });
        return;
      case 'start-beat':
        this.#startBeat();
        break;
      case 'configure-beat':
        this.#configureBeat();
        break;
      case 'execute-will':
        this.#executeWill();
        break;
      case 'stop-beat':
        this.#beat?.send({ kind: 'stop', keep: this.#options.keepAddresses });
        return;
      case 'kill-beat':
        this.#beat?.kill();
        return;
      case 'announce-ready':
        this.#ports.ready();
        break;
      case 'end':
        void this.#end(e.code);
        return;
      case 'log':
        this.#log(e.level, e.code, e.text);
        break;
      default:
        unreachable(e);
    }
  }

  // ---------------------------------------------------------------------------------------------- configuration

  #read(why: 'start' | 'reload'): void {
    const { file, format, lenient, configId, dumpConfig } = this.#options;
    if (why === 'reload') this.#log('notice', 'config.reading', text(`reading ${file} again`, `重新读取 ${file}`));
    const done = markReading(this.#config?.global.reloadFile, this.#ports.log);
    this.#stopReading = readInProcess({ file, format, lenient, configId, describe: dumpConfig }, (answer) => {
      done();
      this.#answered(why, answer);
    });
  }
  #answered(why: 'start' | 'reload', answer: ReadAnswer): void {
    const config = answer.config;
    if (why === 'start' && config === undefined) this.#ports.refused(answer.diagnostics);
    else for (const d of answer.diagnostics) this.#log(d.severity, d.code, d.line);
    const refuse = (code: number): void => {
      this.#refusedAt = Date.now();
      this.#feed({ kind: 'read', outcome: 'refused', code });
    };
    if (config === undefined) {
      if (why === 'reload') logCheck(this.#config?.global.reloadCheckLog, answer.diagnostics, this.#ports.log);
      refuse(EXIT.wrong);
      return;
    }
    if (why === 'start') {
      const opened = this.#openWorld(config);
      if (opened !== undefined) {
        refuse(opened);
        return;
      }
    }
    this.#config = config;
    this.#generation++;
    this.#loadedAt = Date.now();
    this.#refusedAt = undefined;
    this.#world?.notifier.use(notifyConfig(config));
    saveConfiguration(config.global.saveDirectory, this.#generation, config.flattened, this.#ports.log);
    this.#changed.use(config.autoReload ? this.#options.file : undefined);
    this.#scheduled.use(config.global.reloadTimeFile, config.global.reloadRepeat);
    for (const line of config.description?.split('\n') ?? []) this.#log('notice', 'config.dump', verbatim(line));
    for (const words of notFollowed(config)) this.#log('warning', 'director.not-followed', words);
    this.#configureDirector();
    const work = config.vrrp.instances.length > 0 && this.#options.only !== 'checkers';
    this.#feed({ kind: 'read', outcome: 'good', work: work || this.#options.always });
  }
  /** The exit code where it cannot be. */
  #openWorld(config: ReadConfig): number | undefined {
    const { global } = config;
    const namespace = this.#options.namespace ?? global.netNamespace;
    const umask = this.#options.umask ?? global.umask;
    if (umask !== undefined) process.umask(umask);
    const { pidFile, vrrpPidFile, checkersPidFile } = this.#options;
    const paths = pidPaths({
      pidFile,
      vrrpPidFile,
      checkersPidFile,
      namespace,
      instance: global.instance,
      pidDirectory: global.usePidDir,
    });
    const taken = takePidFile(paths.main);
    if (!taken.ok) {
      const { kind, text: words } = taken.error;
      this.#log('error', kind === 'running' ? 'daemon.running' : 'daemon.pid-file', words);
      return kind === 'running' ? EXIT.refused : EXIT.failed;
    }
    this.#leftBehind = existsSync(paths.checkers);
    if (this.#leftBehind) this.#log('notice', 'director.left-behind', leftBehind(paths.checkers));
    const host = this.#ports.openHost(namespace);
    if (!host.ok) {
      this.#log('error', 'daemon.host', host.error);
      return EXIT.failed;
    }
    this.#world = new World(config, paths, host.value, systemAccounts, (q, reply) => this.#answer(q, reply));
    return undefined;
  }
  #configureDirector(): void {
    const config = this.#config;
    if (config === undefined || !this.#prepared) return;
    const ledger = (this.#world as World).paths.ledger;
    this.#director.configuration(directorSettings(config, this.#options, { generation: this.#generation, ledger }), {
      respawn: this.#options.respawn,
      childWait: config.global.childWait,
      leftBehind: this.#leftBehind,
    });
  }

  // ---------------------------------------------------------------------------------------------- the beat process

  #startBeat(): void {
    this.#beat = new BeatLink({
      message: (m) => this.#fromBeat(m),
      run: (script, exited) => this.#run(script, exited),
      exit: (how, orderly) => this.#feed({ kind: 'beat-exit', how, orderly }),
    });
  }
  #run(script: Script, exited: (e: Exit) => void): Running | undefined {
    return this.#world?.runner.run(script, [], exited);
  }
  #configureBeat(): void {
    const config = this.#config as ReadConfig;
    const beat = this.#beat as BeatLink;
    if (beat.pid !== undefined) this.#world?.childStarted('vrrp', beat.pid);
    beat.send({
      kind: 'configure',
      generation: this.#generation,
      config: config.vrrp,
      bfd: this.#options.bfd ? config.bfd : [],
      process: config.global.processes.vrrp,
      umask: this.#options.umask ?? config.global.umask,
      namespace: this.#options.namespace ?? config.global.netNamespace,
      leases: !this.#options.keepAddresses,
      logAddresses: this.#options.addressMonitoring,
    });
  }
  #executeWill(): void {
    const will = this.#beat?.takeWill();
    if (will && this.#world) executeWill(will, this.#world.host);
    this.#history.died(text('the VRRP process died', 'VRRP 进程已终止'), Date.now());
    for (const i of this.#config?.vrrp.instances ?? [])
      this.#director.instance(i.name, { master: false, virtualRouterId: i.virtualRouterId });
  }
  /** IPVS's sync daemons follow an instance. */
  #tellDirector(n: Notification): void {
    if (!STATES.has(n.word)) return;
    const virtualRouterId = this.#config?.vrrp.instances.find((i) => i.name === n.name)?.virtualRouterId ?? 0;
    this.#director.instance(n.name, { master: n.word === 'MASTER', virtualRouterId });
  }
  #fromBeat(m: Extract<FromBeat, { kind: 'log' | 'in-force' | 'notify' | 'bfd' }>): void {
    switch (m.kind) {
      case 'log':
        this.#ports.log.write(m.event);
        break;
      case 'in-force':
        this.#feed({ kind: 'beat-in-force' });
        break;
      case 'notify':
        this.#world?.notifier.tell(m.notification);
        if (m.notification.of !== 'INSTANCE') break;
        this.#history.add(m.notification.name, m.notification.word, m.because, Date.now());
        this.#tellDirector(m.notification);
        break;
      case 'bfd':
        this.#director.bfd(m.name, m.up);
        break;
      default:
        unreachable(m);
    }
  }

  // ---------------------------------------------------------------------------------------------- status and end

  #answer(q: ControlRequest, reply: (document: unknown) => void): void {
    if (q.ask === 'status') this.#document(reply);
    else if (q.ask === 'statistics') this.#document((_, snapshot) => reply(snapshot?.statistics ?? {}));
    else this.#director.ask(q, reply);
  }
  #document(ready: (d: StatusDocument, s: BeatSnapshot | undefined) => void): void {
    const compose = (s: BeatSnapshot | undefined): void =>
      ready(
        {
          schema: 1,
          pid: process.pid,
          beatPid: s && this.#beat?.pid,
          startedAt: this.#startedAt,
          configuration: {
            file: this.#options.file,
            generation: this.#generation,
            loadedAt: this.#loadedAt,
            refusedAt: this.#refusedAt,
          },
          realtimePriority: s?.realtimePriority,
          worstStallMs: s?.worstStallMs ?? 0,
          instances: s?.instances ?? [],
          trackers: s?.trackers ?? [],
          virtualServers: this.#options.only === 'vrrp' ? [] : (this.#config?.virtualServers ?? []),
          directorPid: this.#director.pid,
          transitions: this.#history.list(),
        },
        s,
      );
    if (this.#beat && this.#state.beat.is === 'up') this.#beat.snapshot(compose);
    else compose(undefined);
  }
  async #end(code: number): Promise<void> {
    this.#stopReading();
    const keep = this.#options.keepServers || this.#config?.keepServers === true;
    // Behind the beat: the address leaves first, then what is served at it.
    const left = await new Promise<boolean>((stopped) => this.#director.stop({ keep }, stopped));
    await this.#world?.end(this.#config, { left });
    this.#ports.end(this.#failed && code === EXIT.done ? EXIT.failed : code);
  }
}

const leftBehind = (file: string): Text =>
  text(
    `a director before this one did not end in order (${file}): what it left in the kernel is taken over, or removed where nothing wants it`,
    `此前的调度进程未正常结束（${file}）：其在内核中的遗留将被接管，不再需要的将被清除`,
  );
/** keepalived's `child_wait_time` where no configuration was read. */
const DEFAULT_CHILD_WAIT = 5_000_000 as Microseconds;
