/**
 * The writing end of one notification FIFO. It never waits for a reader: what does not fit is dropped and counted, and
 * said once until it fits again. Each line is one write, so that lines of several writers do not mix.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, fchownSync, fstatSync, lstatSync, openSync, writeSync } from 'node:fs';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import type { Log } from '../../host/index.ts';

export type FifoOptions = { readonly path: string; readonly uid?: number; readonly gid?: number };

export class FifoWriter {
  readonly path: string;
  dropped = 0;
  #fd: number;
  #full = false;
  readonly #log: Log;

  private constructor(path: string, fd: number, log: Log) {
    this.path = path;
    this.#fd = fd;
    this.#log = log;
  }

  /**
   * Makes the FIFO where there is none, with the wanted owner, mode 0640 less the umask: whoever may read it can steal
   * lines from the program that it is for. What is there already is used only if it is a FIFO.
   */
  static open(o: FifoOptions, log: Log): Result<FifoWriter, Text> {
    const failed = (e: unknown): Text => {
      const code = (e as NodeJS.ErrnoException).code ?? String(e);
      return text(`cannot open FIFO ${o.path}: ${code}`, `无法打开管道 ${o.path}：${code}`);
    };
    try {
      const there = lstatSync(o.path, { throwIfNoEntry: false });
      // What is no FIFO is not even opened: that alone makes some devices act.
      if (there && !there.isFIFO()) return err(notFifo(o.path));
      if (!there) execFileSync('mkfifo', ['-m', (0o640 & ~process.umask()).toString(8), o.path], { stdio: 'ignore' });
      const fd = openSync(o.path, OPEN);
      if (!fstatSync(fd).isFIFO()) {
        closeSync(fd);
        return err(notFifo(o.path));
      }
      if (!there) fchownSync(fd, o.uid ?? 0, o.gid ?? 0);
      return ok(new FifoWriter(o.path, fd, log));
    } catch (e) {
      return err(failed(e));
    }
  }

  write(line: string): void {
    try {
      writeSync(this.#fd, line);
      if (this.#full) {
        const words = text(
          `FIFO ${this.path} is read again; ${this.dropped} lines were lost in all`,
          `管道 ${this.path} 恢复读取；共丢失 ${this.dropped} 行`,
        );
        this.#log.write({ level: 'notice', code: 'notify.fifo-drained', text: words });
      }
      this.#full = false;
    } catch (e) {
      this.dropped++;
      if (this.#full) return;
      this.#full = true;
      const code = (e as NodeJS.ErrnoException).code ?? String(e);
      const words = text(
        `FIFO ${this.path} takes no more (${code}): lines are lost until it is read`,
        `管道 ${this.path} 已满（${code}）：在被读取之前的通知会丢失`,
      );
      this.#log.write({ level: 'warning', code: 'notify.fifo-full', text: words });
    }
  }
  close(): void {
    closeSync(this.#fd);
  }
}

/**
 * Read and write, so that the open succeeds without a reader and a reader that leaves is no error. Links are not
 * followed: the folder may be one where others can put them.
 */
const OPEN = constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW;
const notFifo = (path: string): Text => text(`${path} exists and is not a FIFO`, `${path} 已存在，但不是管道`);
