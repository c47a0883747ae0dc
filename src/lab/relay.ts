import { extname, join } from 'node:path';
import { text } from '../base/index.ts';
import { LabError } from './error.ts';
import type { Program } from './program.ts';
import type { Slowness } from './types.ts';

type Fabric = { spawn(argv: readonly string[], input: 'pipe'): Program };
const main = join(import.meta.dirname, `relay-main${extname(import.meta.filename)}`);

/** The process that carries frames over a slow cable: the kernels of many machines have no netem. See relay-main.ts. */
export class Relay {
  readonly #program: Program;
  private constructor(program: Program) {
    this.#program = program;
  }

  /** Resolves when it carries frames between the two interfaces of the fabric. */
  static async start(
    fabric: Fabric,
    cable: string,
    bridge: string,
    slow: { readonly in?: Slowness; readonly out?: Slowness },
  ): Promise<Relay> {
    const program = fabric.spawn([process.execPath, main, cable, bridge, JSON.stringify(slow)], 'pipe');
    try {
      await program.line(/^ready$/, 60_000);
    } catch {
      const why = program.text('stderr').trim();
      throw new LabError('lab-relay', text(`a slow link cannot be made: ${why}`, `无法建立慢速链路：${why}`));
    }
    return new Relay(program);
  }

  set(slow: { readonly in?: Slowness; readonly out?: Slowness }): void {
    this.#program.write(`${JSON.stringify(slow)}\n`);
  }
  async stop(): Promise<void> {
    await this.#program.kill('SIGKILL');
    await this.#program.exited;
  }
}
