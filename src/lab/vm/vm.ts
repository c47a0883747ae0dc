import { type Microseconds, text } from '../../base/index.ts';
import { LabError } from '../error.ts';
import type { RunOptions, RunResult } from '../host.ts';
import { now, type SpawnOptions } from '../program.ts';
import { type FromGuest, LineChannel, type ToGuest } from './channel.ts';
import { GuestProgram } from './guest-program.ts';
import { type GuestKernel, guestKernel } from './kernel.ts';
import { Machine } from './machine.ts';
import type { Plug } from './switch.ts';
import type { VmDefinition } from './types.ts';

const BOOT_MS = 200_000;
let numbered = 0; // of network cards in this process

/** A machine with a Debian kernel and this machine's files. It ends with `stop`, and with the process that started it, however that ends. */
export class Vm {
  readonly definition: VmDefinition;
  /** Of its network cards, in their order; undefined for `user` and a tap. Another one after each power on. */
  plugs: readonly (Plug | undefined)[] = [];
  readonly #kernel: GuestKernel;
  readonly #macs: readonly string[];
  readonly #programs = new Map<number, GuestProgram>();
  readonly #waiting = new Map<number, () => void>();
  #machine: Machine | undefined;
  #channel: LineChannel | undefined;
  #ids = 0;
  #ready = Promise.withResolvers<void>();

  private constructor(definition: VmDefinition, kernel: GuestKernel) {
    this.definition = definition;
    this.#kernel = kernel;
    this.#macs = (definition.nics ?? []).map((n) => n.mac ?? macOf(numbered++));
  }

  /** Resolves when programs can be run in it. Rejects with LabError: `lab-no-vm` where this machine can have no guests. */
  static async start(definition: VmDefinition = {}): Promise<Vm> {
    const vm = new Vm(definition, await guestKernel());
    await vm.powerOn();
    return vm;
  }
  async stop(): Promise<void> {
    if (this.powered) await this.powerCut();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
  get powered(): boolean {
    return this.#machine !== undefined;
  }
  /** What the kernel and the scripts of the boot said, the last of it. */
  get console(): string {
    return this.#machine?.console ?? '';
  }
  /** Of the emulator; undefined without power. */
  get pid(): number | undefined {
    return this.#machine?.pid;
  }

  async powerOn(): Promise<void> {
    if (this.#machine !== undefined) return;
    this.#ready = Promise.withResolvers();
    const machine = new Machine(this.#kernel, this.definition, this.#macs, () => this.#consoleChanged());
    this.#machine = machine;
    this.#channel = new LineChannel(machine.agent, (m) => this.#heard(m as FromGuest));
    this.plugs = (this.definition.nics ?? []).map((n, i) => {
      const cable = machine.cables[i];
      return n.to === 'user' || 'tap' in n.to || cable === undefined ? undefined : n.to.plug(cable);
    });
    void machine.ended.then(() => this.#lostPower(machine));
    await this.#booted();
  }
  /** Everything in it ends at once, as when the plug is pulled. Resolves with the moment from which it was silent. */
  async powerCut(): Promise<Microseconds> {
    const machine = this.#running();
    machine.cut();
    await machine.ended;
    this.#lostPower(machine);
    return now();
  }
  /** The reset button, as a fence device presses it; resolves when it is up again. */
  async reset(): Promise<void> {
    const machine = this.#running();
    this.#ready = Promise.withResolvers();
    for (const p of this.#programs.values()) p.ended({ code: undefined, signal: 'SIGKILL' });
    this.#programs.clear();
    await machine.qmp('system_reset');
    await this.#booted();
  }
  /** Every processor stands still, as in a hung machine; its network card answers nothing. */
  async pause(): Promise<Microseconds> {
    await this.#running().qmp('stop');
    return now();
  }
  async resume(): Promise<void> {
    await this.#running().qmp('cont');
  }

  spawn(argv: readonly string[], o: SpawnOptions & { readonly input?: string } = {}): GuestProgram {
    const id = this.#ids++;
    const program = new GuestProgram(argv, (signal) => this.#say({ id, signal }));
    this.#programs.set(id, program);
    this.#say({ id, argv, ...o });
    return program;
  }
  /** Runs to the end, or kills it after `timeout` milliseconds (60 s unless said). */
  async run(argv: readonly string[], o: RunOptions = {}): Promise<RunResult> {
    const { timeout = 60_000, ...rest } = o;
    const program = this.spawn(argv, rest);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      program.kill('SIGKILL');
    }, timeout);
    const { code, signal } = await program.exited;
    clearTimeout(timer);
    return { code, signal, stdout: program.text('stdout'), stderr: program.text('stderr'), timedOut };
  }

  async #booted(): Promise<void> {
    const timer = setTimeout(() => this.#failed('did not come up', '未能启动'), BOOT_MS);
    try {
      await this.#ready.promise;
    } catch (e) {
      this.#machine?.cut();
      throw e;
    } finally {
      clearTimeout(timer);
    }
    const { nics = [], files = {} } = this.definition;
    await this.#plant(files);
    for (const [i, n] of nics.entries()) {
      const link = `eth${i}`;
      const own = n.to === 'user' ? ['10.0.2.15/24'] : [];
      for (const address of [...own, ...(n.addresses ?? [])])
        await this.run(['ip', 'address', 'add', address, 'dev', link, ...(address.includes(':') ? ['nodad'] : [])]);
      await this.run(['ip', 'link', 'set', link, 'up']);
    }
  }
  async #plant(files: Readonly<Record<string, string>>): Promise<void> {
    if (Object.keys(files).length === 0) return;
    const id = this.#ids++;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(id, resolve);
    this.#say({ id, files });
    await promise;
  }
  #say(m: ToGuest): void {
    this.#running();
    this.#channel?.say(m);
  }
  #running(): Machine {
    if (this.#machine !== undefined) return this.#machine;
    throw new LabError('lab-no-power', text('the guest has no power', '虚拟机未通电'));
  }
  #heard(m: FromGuest): void {
    if ('ready' in m) {
      this.#ready.resolve();
      return;
    }
    const program = this.#programs.get(m.id);
    if ('from' in m) {
      program?.printed(m.from, Buffer.from(m.data, 'base64'));
      return;
    }
    this.#programs.delete(m.id);
    program?.ended({ code: m.code ?? undefined, signal: m.signal ?? undefined });
    this.#waiting.get(m.id)?.();
    this.#waiting.delete(m.id);
  }
  #consoleChanged(): void {
    if (/(Kernel panic|^holdfast-vm: ).*\n/m.test(this.console))
      this.#failed('stopped while it came up', '启动过程中停止');
  }
  #failed(en: string, zh: string): void {
    const said = this.console.trim().split('\n').slice(-6).join(' | ');
    this.#ready.reject(new LabError('lab-vm-boot', text(`the guest ${en}: ${said}`, `虚拟机${zh}：${said}`)));
  }
  #lostPower(machine: Machine): void {
    if (this.#machine !== machine) return;
    this.#failed('ended while it came up', '启动过程中退出');
    this.#ready.promise.catch(() => {}); // nobody may be waiting
    this.#machine = undefined;
    this.#channel = undefined;
    for (const p of this.#programs.values()) p.ended({ code: undefined, signal: 'SIGKILL' });
    this.#programs.clear();
    for (const done of this.#waiting.values()) done();
    this.#waiting.clear();
  }
}

const macOf = (n: number): string =>
  `52:54:00:${[n >> 16, n >> 8, n].map((b) => (b & 255).toString(16).padStart(2, '0')).join(':')}`;
