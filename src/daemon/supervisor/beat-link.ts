/** One beat process as the supervisor sees it: its messages, its last will, and the programs that run on its behalf. */
import type { ChildProcess } from 'node:child_process';
import { type Text, text } from '../../base/index.ts';
import type { Exit, Running } from '../../host/index.ts';
import type { LastWill, Script } from '../../vrrp/index.ts';
import { forkPart } from '../channel.ts';
import type { BeatSnapshot, FromBeat, ToBeat } from '../messages.ts';

export type BeatHandlers = {
  /** What is not settled here. */
  readonly message: (m: Extract<FromBeat, { kind: 'log' | 'in-force' | 'notify' }>) => void;
  readonly run: (script: Script, exited: (e: Exit) => void) => Running | undefined;
  readonly exit: (how: Text, orderly: boolean) => void;
};

export class BeatLink {
  #will: LastWill | undefined;
  readonly #child: ChildProcess;
  readonly #handlers: BeatHandlers;
  readonly #runs = new Map<number, Running>();
  readonly #questions = new Map<number, (s: BeatSnapshot | undefined) => void>();
  #asked = 0;
  #stopped = false;
  #ended = false;

  constructor(handlers: BeatHandlers) {
    this.#handlers = handlers;
    this.#child = forkPart('beat/main');
    this.#child.on('message', (m) => this.#receive(m as FromBeat));
    this.#child.on('error', () => {}); // its exit follows, or a message could not be sent because it is gone
    this.#child.on('exit', (code, signal) => this.#exit(code, signal));
  }
  get pid(): number | undefined {
    return this.#child.pid;
  }
  /** Once: whoever executes it takes it. */
  takeWill(): LastWill | undefined {
    const will = this.#will;
    this.#will = undefined;
    return will;
  }
  send(m: ToBeat): void {
    if (this.#child.connected) this.#child.send(m, () => {});
  }
  kill(): void {
    this.#child.kill('SIGKILL');
  }
  /** Undefined where it does not answer in time. */
  snapshot(answered: (s: BeatSnapshot | undefined) => void): void {
    const question = ++this.#asked;
    const timer = setTimeout(() => this.#answer(question, undefined), ANSWER_WITHIN);
    this.#questions.set(question, (s) => {
      clearTimeout(timer);
      answered(s);
    });
    this.send({ kind: 'snapshot', question });
  }

  #answer(question: number, s: BeatSnapshot | undefined): void {
    const answered = this.#questions.get(question);
    this.#questions.delete(question);
    answered?.(s);
  }
  #receive(m: FromBeat): void {
    switch (m.kind) {
      case 'will':
        this.#will = m.will;
        break;
      case 'run':
        this.#run(m.run, m.script);
        break;
      case 'signal':
        this.#runs.get(m.run)?.signal(m.signal);
        break;
      case 'snapshot':
        this.#answer(m.question, m.snapshot);
        break;
      case 'stopped':
        this.#stopped = true;
        break;
      default:
        this.#handlers.message(m);
    }
  }
  #run(run: number, script: Script): void {
    const exited = (exit: Exit): void => {
      this.#runs.delete(run);
      this.send({ kind: 'exited', run, exit });
    };
    const running = this.#handlers.run(script, exited);
    if (running) this.#runs.set(run, running);
    else {
      const doing = text(`run ${script.argv[0]}: no such user`, `运行 ${script.argv[0]}：没有该用户`);
      exited({ failed: { code: 'ENOENT', doing } });
    }
  }
  #exit(code: number | null, signal: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const running of this.#runs.values()) running.signal('SIGKILL');
    for (const question of [...this.#questions.keys()]) this.#answer(question, undefined);
    const how = signal
      ? text(`was ended by ${signal}`, `被信号 ${signal} 终止`)
      : text(`ended with status ${code}`, `以状态 ${code} 退出`);
    this.#handlers.exit(how, this.#stopped && code === 0);
  }
}

const ANSWER_WITHIN = 2000;
