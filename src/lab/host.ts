import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Microseconds, text } from '../base/index.ts';
import { isPrivatePath } from './definition.ts';
import { LabError } from './error.ts';
import type { Fabric } from './fabric.ts';
import { destroy, entrance, type Namespace, startHost, sysctlPath } from './namespace.ts';
import { hostLines, type Port } from './plan.ts';
import { now, type Program, type SpawnOptions, start } from './program.ts';
import { type HostDefinition, privateFolders } from './types.ts';

export type RunResult = {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** It was killed because its time was over. */
  readonly timedOut: boolean;
};
export type RunOptions = SpawnOptions & {
  /** In milliseconds; 30 s unless said. */
  readonly timeout?: number;
  /** Its standard input; empty unless said. */
  readonly input?: string;
};

/** A machine of the lab: a kernel's network stack, processes, files and a name of its own. */
export class Host {
  readonly name: string;
  readonly definition: HostDefinition;
  readonly #fabric: Fabric;
  readonly #files: Readonly<Record<string, string>>;
  readonly #ports: readonly Port[];
  readonly #programs = new Set<Program>();
  #namespace: Namespace | undefined;
  #started: readonly Program[] = [];

  constructor(
    fabric: Fabric,
    name: string,
    definition: HostDefinition,
    /** Planted where the definition has no file of that path. */
    defaults: Readonly<Record<string, string>>,
  ) {
    this.name = name;
    this.definition = definition;
    this.#fabric = fabric;
    this.#files = { ...defaults, ...definition.files };
    this.#ports = fabric.ports.filter((p) => p.host === name);
  }

  get powered(): boolean {
    return this.#namespace !== undefined;
  }
  /** Those of the definition's `start`, since the last power on. */
  get started(): readonly Program[] {
    return this.#started;
  }
  /** Its init's process id in the controller's view, for /proc. */
  get pid(): number {
    return this.#on().pid;
  }

  /** A fresh host: same definition, empty memory, the files as planted. Resolves when its addresses are there. */
  async powerOn(): Promise<void> {
    if (this.#namespace) return;
    const made = await startHost(this.#fabric.namespace, {
      hostname: this.definition.hostname ?? this.name,
      folders: privateFolders.filter((f) => f !== '/run'),
      sysctls: this.definition.sysctls ?? {},
    });
    this.#namespace = made;
    for (const [path, content] of Object.entries(this.#files)) this.write(path, content);
    await this.#fabric.plug(this.#ports, made);
    await this.#configure();
    this.#started = (this.definition.start ?? []).map((argv) => this.spawn(argv));
  }

  /**
   * Cuts the power: first every port goes down, then everything in the host is killed at once. Resolves, when nothing
   * of it is left, with the moment from which it was silent. Harmless on a host without power.
   */
  async powerCut(): Promise<Microseconds> {
    const dying = this.#namespace;
    if (!dying) return now();
    this.#namespace = undefined;
    const silent = await this.#fabric.silence(this.#ports);
    const gone = destroy(dying);
    for (const p of this.#programs) p.continueEntrance();
    await gone;
    await this.#fabric.unplug(this.#ports);
    return silent;
  }

  /**
   * Stops every process of the host at once (one kill(-1), so nothing can be forked past it), as a hypervisor that does
   * not schedule it would; but its kernel still answers ARP and accepts connections. Programs run later are not stopped.
   */
  async pause(): Promise<void> {
    await this.#signalAll('STOP');
  }
  async resume(): Promise<void> {
    await this.#signalAll('CONT');
    for (const p of this.#programs) p.continueEntrance();
  }

  /** Starts a program; ends with it, the host's power, or the controller, whichever is first. */
  spawn(argv: readonly string[], options: SpawnOptions & { readonly input?: 'pipe' | 'ignore' } = {}): Program {
    const program = start(entrance(this.#on()), argv, options);
    this.#programs.add(program);
    void program.exited.then(() => this.#programs.delete(program));
    return program;
  }

  /** Runs a program to its end. An exit code other than 0 is a result, not an error. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const program = this.spawn(argv, { ...options, input: options.input === undefined ? 'ignore' : 'pipe' });
    if (options.input !== undefined) program.write(options.input);
    program.endInput();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      void program.kill('SIGKILL');
    }, options.timeout ?? 30_000);
    const exit = await program.exited;
    clearTimeout(timer);
    return { ...exit, stdout: program.text('stdout'), stderr: program.text('stderr'), timedOut };
  }

  /** Writes a file of the host's own, making its folders. Throws LabError for a path that belongs to the real machine. */
  write(path: string, content: string | Uint8Array, mode?: number): void {
    const real = this.#inside(path);
    mkdirSync(dirname(real), { recursive: true });
    const options = mode === undefined ? {} : { mode };
    try {
      writeFileSync(real, content, options);
    } catch (e) {
      if (!(e instanceof Error && 'code' in e && e.code === 'EACCES')) throw e;
      // An ordinary user may not overwrite what belongs to the machine's root, but may put another file in its place.
      rmSync(real, { force: true });
      writeFileSync(real, content, options);
    }
  }
  /** Undefined where there is no such file. */
  read(path: string): string | undefined {
    try {
      return readFileSync(this.#inside(path), 'utf8');
    } catch (e) {
      if (e instanceof LabError) throw e;
      return undefined;
    }
  }

  #inside(path: string): string {
    if (!isPrivatePath(path))
      throw new LabError(
        'lab-file-not-private',
        text(
          `${path} is not below ${privateFolders.join(', ')}: it belongs to the real machine`,
          `${path} 不在 ${privateFolders.join('、')} 之下：它属于真实机器`,
        ),
      );
    return `/proc/${this.pid}/root${path}`;
  }

  #on(): Namespace {
    if (!this.#namespace)
      throw new LabError('lab-no-power', text(`host ${this.name} has no power`, `主机 ${this.name} 未通电`));
    return this.#namespace;
  }

  async #configure(): Promise<void> {
    const settings = Object.entries(this.definition.sysctls ?? {}).map(([n, v]) => [`/proc/sys/${sysctlPath(n)}`, v]);
    const script = 'set -e; while [ $# -gt 0 ]; do printf %s "$2" > "$1"; shift 2; done; exec ip -batch -';
    const done = await this.run(['sh', '-c', script, 'configure', ...settings.flat()], {
      input: `${hostLines(this.definition).join('\n')}\n`,
    });
    if (done.code === 0) return;
    const why = `${done.stdout}${done.stderr}`.trim().replaceAll('\n', '; ');
    throw new LabError(
      'lab-configure',
      text(`host ${this.name} cannot be configured: ${why}`, `无法配置主机 ${this.name}：${why}`),
    );
  }

  async #signalAll(signal: 'STOP' | 'CONT'): Promise<void> {
    const { code, stderr } = await this.run(['sh', '-c', `kill -${signal} -1`]);
    // With nobody but init to signal, kill says ESRCH; a host always has its sleep, so this is a refusal.
    if (code !== 0)
      throw new LabError(
        'lab-signal',
        text(`cannot signal ${this.name}: ${stderr}`, `无法向 ${this.name} 发信号：${stderr}`),
      );
  }
}
