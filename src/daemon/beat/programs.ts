/** Programs of the beat process, started by the supervisor on its behalf. */
import type { Exit, Running } from '../../host/index.ts';
import type { Script } from '../../vrrp/index.ts';
import type { FromBeat } from '../messages.ts';

export class RemotePrograms {
  readonly #send: (m: FromBeat) => void;
  readonly #exited = new Map<number, (e: Exit) => void>();
  #last = 0;

  constructor(send: (m: FromBeat) => void) {
    this.#send = send;
  }
  run(script: Script, exited: (e: Exit) => void): Running {
    const run = ++this.#last;
    this.#exited.set(run, exited);
    this.#send({ kind: 'run', run, script });
    return { pid: undefined, signal: (signal) => this.#send({ kind: 'signal', run, signal }) };
  }
  ended(run: number, exit: Exit): void {
    const exited = this.#exited.get(run);
    this.#exited.delete(run);
    exited?.(exit);
  }
}
