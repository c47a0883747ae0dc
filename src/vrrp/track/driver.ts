/**
 * Runs the scripts, processes and files of a configuration and reports each verdict. Interfaces are not here: the router
 * itself follows the links and their delays; links.ts polls those that netlink is not trusted for.
 */
import { seconds, type Text, text, us } from '../../base/index.ts';
import type { Cancel, Exit, Host, Running } from '../../host/index.ts';
import type { Script, TrackFile, TrackProcess, TrackScript, VrrpConfig } from '../config.ts';
import { TRACK_FILE_LIMIT, trackFileValue } from './file.ts';
import { initialProcess, type ProcessState, processMatches, stepProcess } from './process.ts';
import {
  initialScript,
  KILL_AFTER,
  type ScriptResult,
  type ScriptState,
  scriptDeadline,
  stepScript,
} from './script.ts';

export type TrackReport =
  | { readonly kind: 'script' | 'process'; readonly name: string; readonly good: boolean; readonly because: Text }
  | { readonly kind: 'file'; readonly name: string; readonly value: number; readonly because: Text };
export type TrackConfig = Pick<VrrpConfig, 'scripts' | 'processes' | 'files'>;
export type TrackHost = Pick<Host, 'clock' | 'processes' | 'files' | 'log'>;
/** One line of a status: `init` is a script that has not ended yet. */
export type TrackStatus = {
  readonly kind: 'script' | 'process' | 'file';
  readonly name: string;
  readonly state: string;
};
export interface Trackers {
  /** Trackers of the same name go on where they are; a script whose command changed keeps its verdict until its next result. */
  reload(config: TrackConfig): void;
  status(): readonly TrackStatus[];
  /** Running scripts are asked to end. */
  close(): void;
}
export type TrackerOptions = {
  readonly host: TrackHost;
  /** Starts a script as the user that it is to run as. `exited` is called later, also where it could not be started. */
  readonly run: (s: Script, exited: (e: Exit) => void) => Running;
  /** Called during start for every process and file, later on changes; for a script first when it has ended once. */
  readonly report: (r: TrackReport) => void;
};

function resultText(r: ScriptResult): Text {
  if ('timeout' in r)
    return text(`it ran longer than ${r.timeout / 1_000_000} s`, `运行超过 ${r.timeout / 1_000_000} 秒`);
  if ('code' in r) return text(`it exited with status ${r.code}`, `退出状态为 ${r.code}`);
  if ('signal' in r) return text(`it was ended by ${r.signal}`, `被信号 ${r.signal} 终止`);
  return text(
    `it could not be started: ${r.failed.doing.en}: ${r.failed.code}`,
    `无法启动：${r.failed.doing.zh}：${r.failed.code}`,
  );
}

const POLL_PROCESSES = seconds(1);

class ScriptRunner {
  config: TrackScript;
  #state: ScriptState;
  #running: Running | undefined;
  #cancel: Cancel = () => {};
  #closed = false;
  readonly #o: TrackerOptions;

  constructor(config: TrackScript, o: TrackerOptions) {
    this.config = config;
    this.#o = o;
    this.#state = initialScript(config, o.host.clock.now());
    this.#tick();
  }
  get verdict(): string {
    return this.#state.verdict;
  }
  readonly #tick = (): void => this.#feed({ kind: 'tick' });

  #feed(e: Parameters<typeof stepScript>[2]): void {
    const { clock, log } = this.#o.host;
    const { name, interval } = this.config;
    const next = stepScript(this.config, this.#state, e, clock.now());
    this.#state = next.state;
    for (const effect of next.effects) {
      if (effect.do === 'run') {
        this.#running = this.#o.run(this.config.script, (exit) => {
          this.#running = undefined;
          if (!this.#closed) this.#feed({ kind: 'exited', exit });
        });
      } else if (effect.do === 'signal') this.#running?.signal(effect.signal);
      else if (effect.do === 'verdict')
        this.#o.report({ kind: 'script', name, good: effect.good, because: resultText(effect.because) });
      else
        log.write({
          level: 'warning',
          code: 'track.script-overrun',
          text: text(
            `script ${name} is still running after its interval of ${interval / 1_000_000} s: this run is left out`,
            `脚本 ${name} 在 ${interval / 1_000_000} 秒的间隔之后仍在运行：跳过本次`,
          ),
        });
    }
    this.#cancel();
    this.#cancel = clock.at(scriptDeadline(this.#state), this.#tick);
  }
  close(): void {
    this.#closed = true;
    this.#cancel();
    const running = this.#running;
    running?.signal('SIGTERM');
    // One that does not listen must not outlive its place in the configuration. After its end this does nothing.
    const { clock } = this.#o.host;
    if (running) clock.at(us(clock.now() + KILL_AFTER), () => running.signal('SIGKILL'));
  }
}

class ProcessWatcher {
  config: TrackProcess;
  #state: ProcessState;
  #cancel: Cancel = () => {};
  readonly #o: TrackerOptions;

  constructor(config: TrackProcess, o: TrackerOptions) {
    this.config = config;
    this.#o = o;
    this.#state = initialProcess(config, this.#matching());
    this.#report();
  }
  get verdict(): string {
    return `${this.#state.enough.believed ? 'good' : 'bad'} (${this.#state.pids.size})`;
  }
  #matching(): ReadonlySet<number> {
    const all = this.#o.host.processes.list();
    return new Set(all.filter((p) => processMatches(this.config, p)).map((p) => p.pid));
  }
  /** `image` undefined: the process has ended. */
  changed(pid: number, image: { readonly name: string; readonly argv: readonly string[] } | undefined): void {
    const counts = image !== undefined && processMatches(this.config, image);
    if (counts !== this.#state.pids.has(pid)) this.#feed({ kind: counts ? 'started' : 'ended', pid });
  }
  readAgain(): void {
    this.#feed({ kind: 'all', pids: this.#matching() });
  }
  #feed(e: Parameters<typeof stepProcess>[2]): void {
    const { clock } = this.#o.host;
    const before = this.#state.enough.believed;
    this.#state = stepProcess(this.config, this.#state, e, clock.now());
    this.#cancel();
    if (this.#state.enough.turnsAt !== undefined)
      this.#cancel = clock.at(this.#state.enough.turnsAt, () => this.#feed({ kind: 'tick' }));
    if (this.#state.enough.believed !== before) this.#report();
  }
  #report(): void {
    const { name, process, quorum, quorumMax } = this.config;
    const count = this.#state.pids.size;
    const wanted = quorumMax === undefined ? `${quorum}` : `${quorum}..${quorumMax}`;
    this.#o.report({
      kind: 'process',
      name,
      good: this.#state.enough.believed,
      because: text(
        `${count} processes ${process} run, wanted ${wanted}`,
        `进程 ${process} 有 ${count} 个在运行，要求 ${wanted}`,
      ),
    });
  }
  close(): void {
    this.#cancel();
  }
}

class FileWatcher {
  config: TrackFile;
  #value: number | undefined;
  #cancel: Cancel = () => {};
  readonly #o: TrackerOptions;

  constructor(config: TrackFile, o: TrackerOptions) {
    this.config = config;
    this.#o = o;
    const { files, log } = o.host;
    const { init, file } = config;
    if (init && (init.overwrite || files.read(file, 1) === undefined)) {
      const wrote = files.write(file, new TextEncoder().encode(`${init.value}\n`), { mode: 0o644 });
      if (!wrote.ok) log.write({ level: 'error', code: 'track.file-init', text: failure(wrote.error) });
    }
    const watching = files.watch(file, () => this.#read());
    if (watching.ok) this.#cancel = watching.value;
    else log.write({ level: 'error', code: 'track.file-watch', text: failure(watching.error) });
    this.#read();
  }
  get verdict(): string {
    return String(this.#value);
  }
  #read(): void {
    const value = trackFileValue(this.#o.host.files.read(this.config.file, TRACK_FILE_LIMIT));
    if (value === this.#value) return;
    this.#value = value;
    const because = text(`${this.config.file} says ${value}`, `${this.config.file} 的值为 ${value}`);
    this.#o.report({ kind: 'file', name: this.config.name, value, because });
  }
  close(): void {
    this.#cancel();
  }
}

const failure = (e: { readonly code: string; readonly doing: Text }): Text =>
  text(`${e.doing.en}: ${e.code}`, `${e.doing.zh}：${e.code}`);

/** Brings `have` in line with `wanted`: what keeps its name is given to `keep`, the rest is closed or made. */
function match<C extends { readonly name: string }, T extends { config: C; close(): void }>(
  have: Map<string, T>,
  wanted: readonly C[],
  keep: (old: T, config: C) => boolean,
  make: (config: C) => T,
): void {
  const names = new Set(wanted.map((w) => w.name));
  for (const [name, t] of have)
    if (!names.has(name)) {
      t.close();
      have.delete(name);
    }
  for (const config of wanted) {
    const old = have.get(config.name);
    if (old && keep(old, config)) old.config = config;
    else {
      old?.close();
      have.set(config.name, make(config));
    }
  }
}

export function startTrackers(config: TrackConfig, o: TrackerOptions): Trackers {
  const scripts = new Map<string, ScriptRunner>();
  const processes = new Map<string, ProcessWatcher>();
  const files = new Map<string, FileWatcher>();
  let unwatch: Cancel | undefined;

  const watchProcesses = (): void => {
    const { processes: port, log } = o.host;
    const watching = port.watch((c) => {
      if (c.kind === 'lost') for (const p of processes.values()) p.readAgain();
      else {
        const image = c.kind === 'ended' ? undefined : port.list(c.pid).find((p) => p.pid === c.pid);
        for (const p of processes.values()) p.changed(c.pid, image);
      }
    });
    if (watching.ok) {
      unwatch = watching.value;
      return;
    }
    // The proc connector speaks in the first network namespace only (drivers/connector), and not to every container.
    const why = failure(watching.error);
    const words = text(`${why.en}; processes are looked at once a second instead`, `${why.zh}；改为每秒查看一次进程`);
    log.write({ level: 'notice', code: 'track.process-poll', text: words });
    const poll = (): void => {
      for (const p of processes.values()) p.readAgain();
      unwatch = o.host.clock.at(us(o.host.clock.now() + POLL_PROCESSES), poll);
    };
    unwatch = o.host.clock.at(us(o.host.clock.now() + POLL_PROCESSES), poll);
  };
  const apply = (c: TrackConfig): void => {
    if (c.processes.length > 0 && unwatch === undefined) watchProcesses();
    match(
      scripts,
      c.scripts,
      () => true,
      (s) => new ScriptRunner(s, o),
    );
    match(
      processes,
      c.processes,
      (old, p) => JSON.stringify(old.config) === JSON.stringify(p),
      (p) => new ProcessWatcher(p, o),
    );
    match(
      files,
      c.files,
      (old, f) => old.config.file === f.file,
      (f) => new FileWatcher(f, o),
    );
    if (c.processes.length === 0) {
      unwatch?.();
      unwatch = undefined;
    }
  };
  apply(config);
  const line =
    (kind: TrackStatus['kind']) =>
    ([name, t]: [string, { readonly verdict: string }]): TrackStatus => ({ kind, name, state: t.verdict });
  return {
    reload: apply,
    status: () => [
      ...[...scripts].map(line('script')),
      ...[...processes].map(line('process')),
      ...[...files].map(line('file')),
    ],
    close: () => {
      for (const t of [...scripts.values(), ...processes.values(), ...files.values()]) t.close();
      unwatch?.();
    },
  };
}
