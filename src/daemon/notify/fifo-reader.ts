/** The program that reads a notification FIFO: started with the FIFO's path as its last argument, and again when it dies. */
import { seconds, text, us } from '../../base/index.ts';
import type { Cancel, Host, Running } from '../../host/index.ts';
import type { Script } from '../../vrrp/index.ts';
import { exitText, type ScriptRunner } from '../scripts/runner.ts';

const AGAIN_AFTER = seconds(1);
const LAST_LINES = seconds(1);

export class FifoReader {
  #running: Running | undefined;
  #ended: () => void = () => {};
  #again: Cancel = () => {};
  #closed = false;
  readonly #path: string;
  readonly #script: Script;
  readonly #runner: ScriptRunner;
  readonly #host: Pick<Host, 'clock' | 'log'>;

  constructor(path: string, script: Script, runner: ScriptRunner, host: Pick<Host, 'clock' | 'log'>) {
    this.#path = path;
    this.#script = script;
    this.#runner = runner;
    this.#host = host;
    this.#start();
  }
  #start(): void {
    this.#running = this.#runner.run(this.#script, [this.#path], (exit) => {
      this.#running = undefined;
      this.#ended();
      if (this.#closed) return;
      const how = exitText(exit);
      const words = text(
        `the reader of FIFO ${this.#path} ended (${how.en}); it is started again`,
        `管道 ${this.#path} 的读取程序已退出（${how.zh}）；将重新启动`,
      );
      this.#host.log.write({ level: 'warning', code: 'notify.fifo-script', text: words });
      this.#again = this.#host.clock.at(us(this.#host.clock.now() + AGAIN_AFTER), () => this.#start());
    });
  }
  /**
   * To be called after the writing end was closed: the program reads what is left, meets the end of the file and ends
   * by itself. One that does not is ended after a second.
   */
  close(): Promise<void> {
    this.#closed = true;
    this.#again();
    const running = this.#running;
    if (!running) return Promise.resolve();
    return new Promise((done) => {
      const clock = this.#host.clock;
      const late = clock.at(us(clock.now() + LAST_LINES), () => {
        running.signal('SIGTERM');
        done();
      });
      this.#ended = () => {
        late();
        done();
      };
    });
  }
}
