/** One process of ours as the supervisor sees it: its messages, the answers that it owes, and how it ended. */
import type { ChildProcess } from 'node:child_process';
import { type Text, text } from '../../base/index.ts';
import { forkPart } from '../channel.ts';

/** Longer than any channel takes to empty; an end that is not heard must not keep addresses in place. */
const LAST_WORDS = 100;

export class Child<Out> {
  /** Undefined: there could be none, and its end is told at once. */
  readonly #child: ChildProcess | undefined;
  #ended = false;

  /** `part` as `forkPart` takes it. `exited` is called once, behind the last message; `clean`: it ended with status 0. */
  constructor(part: string, receive: (m: unknown) => void, exited: (how: Text, clean: boolean) => void) {
    const end = (how: Text, clean: boolean): void => {
      if (this.#ended) return;
      this.#ended = true;
      exited(how, clean);
    };
    const started = forkPart(part);
    if (!started.ok) {
      const { error } = started;
      setImmediate(() => end(text(`cannot be started (${error})`, `无法启动（${error}）`), false));
      return;
    }
    const child = started.value;
    this.#child = child;
    child.on('message', receive);
    child.on('exit', (code, signal) => {
      const how = signal
        ? text(`was ended by ${signal}`, `被信号 ${signal} 终止`)
        : text(`ended with status ${code}`, `以状态 ${code} 退出`);
      const exit = (): void => end(how, code === 0);
      // Its last words may still be in the channel.
      if (!child.connected) return exit();
      child.on('disconnect', exit);
      setTimeout(exit, LAST_WORDS);
    });
  }
  get pid(): number | undefined {
    return this.#child?.pid;
  }
  send(m: Out): void {
    if (this.#child?.connected) this.#child.send(m as object, () => {});
  }
  kill(): void {
    this.#child?.kill('SIGKILL');
  }
}
