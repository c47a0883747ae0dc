/**
 * How long this machine let a thread wait that wanted to run: the reference for a bound on time, taken in the same moment.
 * A machine that is slow or shared stands still for a program and for this alike; what the program adds by itself does not
 * show here.
 */
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';

/** Milliseconds that the thread sleeps between two looks. */
const STEP = 5;
const CODE = `
  const { workerData } = require('node:worker_threads');
  const worst = new Int32Array(workerData);
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let from = performance.now(); ; ) {
    Atomics.wait(never, 0, 0, ${STEP});
    const at = performance.now();
    const late = Math.round((at - from - ${STEP}) * 1000);
    if (late > Atomics.load(worst, 0)) Atomics.store(worst, 0, late);
    from = at;
  }`;

export class Stalls {
  readonly #worst: Int32Array;

  private constructor(worst: Int32Array) {
    this.#worst = worst;
  }
  /** A thread of its own, so that what the test itself does, as waiting for other programs, is not taken for a stall. */
  static watch(t: TestContext): Stalls {
    const memory = new SharedArrayBuffer(4);
    const worker = new Worker(CODE, { eval: true, workerData: memory });
    worker.unref();
    t.after(() => worker.terminate());
    return new Stalls(new Int32Array(memory));
  }
  /** The longest since the begin, or since `forget`. Milliseconds. */
  get worst(): number {
    return Atomics.load(this.#worst, 0) / 1000;
  }
  forget(): void {
    Atomics.store(this.#worst, 0, 0);
  }
}
