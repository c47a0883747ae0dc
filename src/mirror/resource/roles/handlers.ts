/**
 * The administrator's programs: which run, who waits for them, and for how long at most. The driver runs them; nobody on
 * the data path waits, except where waiting is what the program is for (before a disk becomes a target; frozen requests).
 */
import { type Microseconds, text, us } from '../../../base/index.ts';
import type { MirrorHandler } from '../../config.ts';
import type { Parts } from '../parts.ts';

/** A program that runs longer is ended: whoever waits for it goes on as if it had failed. drbd.conf has no option for it. */
export const HANDLER_LIMIT: Microseconds = us(300_000_000);
/** An exit code; `absent`: the configuration names none; `broken`: it could not be started, was killed, or ran too long. */
export type HandlerEnd = number | 'absent' | 'broken';

type Run = {
  readonly name: MirrorHandler;
  readonly volume: number | undefined;
  readonly then: (end: HandlerEnd) => void;
  until: Microseconds;
};
/** Of these one runs at a time: to lift a fence while another is put up would leave either. */
const ONE_AT_A_TIME: ReadonlySet<MirrorHandler> = new Set(['fence-peer', 'unfence-peer']);

export class Handlers {
  readonly #p: Parts;
  readonly #running = new Map<number, Run>();
  #waiting: Run[] = [];
  #nextId = 1;

  constructor(p: Parts) {
    this.#p = p;
  }
  /** `then` is told once, perhaps at once. */
  call(name: MirrorHandler, volume: number | undefined, then: (end: HandlerEnd) => void = () => {}): void {
    if (this.#p.config.handlers[name] === undefined) {
      then('absent');
      return;
    }
    const run: Run = { name, volume, then, until: us(0) };
    if (ONE_AT_A_TIME.has(name) && [...this.#running.values()].some((r) => ONE_AT_A_TIME.has(r.name)))
      this.#waiting.push(run);
    else this.#start(run);
  }
  #start(run: Run): void {
    const { c } = this.#p;
    const id = this.#nextId++;
    run.until = us(c.now + HANDLER_LIMIT);
    this.#running.set(id, run);
    c.emit({ kind: 'run', handler: id, name: run.name, volume: run.volume });
    c.reason('mirror.handler', run.volume, text(`handler ${run.name} is called`, `调用处理程序 ${run.name}`));
  }
  get deadline(): Microseconds | undefined {
    let least: Microseconds | undefined;
    for (const r of this.#running.values()) if (least === undefined || r.until < least) least = r.until;
    return least;
  }
  tick(): void {
    for (const [id, r] of [...this.#running])
      if (this.#p.c.now >= r.until) {
        this.#p.c.emit({ kind: 'end-run', handler: id });
        this.ended(id, undefined);
      }
  }
  /** `status`: its exit code; undefined: it did not end by itself, or was never started. */
  ended(id: number, status: number | undefined): void {
    const run = this.#running.get(id);
    if (run === undefined) return;
    this.#running.delete(id);
    const words =
      status === undefined
        ? text(`handler ${run.name} did not end by itself`, `处理程序 ${run.name} 未正常结束`)
        : text(`handler ${run.name} ended with ${status}`, `处理程序 ${run.name} 退出码 ${status}`);
    this.#p.c.reason('mirror.handler', run.volume, words);
    run.then(status ?? 'broken');
    if (ONE_AT_A_TIME.has(run.name)) {
      const next = this.#waiting.shift();
      if (next !== undefined) this.#start(next);
    }
  }
}
