/** One beat process as the supervisor sees it: its messages, its last will, and the programs that run on its behalf. */
import { type Text, text } from '../../base/index.ts';
import type { Exit, Running } from '../../host/index.ts';
import type { LastWill, Script } from '../../vrrp/index.ts';
import type { BeatSnapshot, FromBeat, ToBeat } from '../messages.ts';
import { Child } from './child.ts';

export type BeatHandlers = {
  /** What is not settled here. */
  readonly message: (m: Extract<FromBeat, { kind: 'log' | 'in-force' | 'notify' | 'bfd' }>) => void;
  readonly run: (script: Script, exited: (e: Exit) => void) => Running | undefined;
  readonly exit: (how: Text, orderly: boolean) => void;
};

export class BeatLink {
  #will: LastWill | undefined;
  readonly #child: Child<ToBeat>;
  readonly #handlers: BeatHandlers;
  readonly #runs = new Map<number, Running>();
  /** Who waits for the answer to the question under way: many may ask, and the beat answers once. */
  #asking: ((s: BeatSnapshot | undefined) => void)[] = [];
  #question = 0;
  #late: NodeJS.Timeout | undefined;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(handlers: BeatHandlers) {
    this.#handlers = handlers;
    this.#child = new Child<ToBeat>(
      'beat/main',
      (m) => this.#receive(m as FromBeat),
      (how, clean) => this.#exit(how, this.#stopped && clean),
    );
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
    this.#child.send(m);
  }
  kill(): void {
    this.#child.kill();
  }
  /** Undefined where it does not answer in time. */
  snapshot(answered: (s: BeatSnapshot | undefined) => void): void {
    this.#asking.push(answered);
    if (this.#asking.length > 1) return;
    const question = ++this.#question;
    this.#late = setTimeout(() => this.#answer(question, undefined), ANSWER_WITHIN);
    const rested = performance.now() - this.#answeredAt;
    setTimeout(() => this.send({ kind: 'snapshot', question }), Math.max(0, BETWEEN_QUESTIONS - rested));
  }

  #answer(question: number, s: BeatSnapshot | undefined): void {
    if (question !== this.#question) return; // it came too late
    clearTimeout(this.#late);
    this.#answeredAt = performance.now();
    for (const answered of this.#asking.splice(0)) answered(s);
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
  #exit(how: Text, orderly: boolean): void {
    for (const running of this.#runs.values()) running.signal('SIGKILL');
    this.#answer(this.#question, undefined);
    this.#handlers.exit(how, orderly);
  }
}

const ANSWER_WITHIN = 2000;
/** However many ask: each answer takes time from the adverts. */
const BETWEEN_QUESTIONS = 100;
