/**
 * How far the heap of a mirror's process may grow. What its writes leave behind lives a little longer than a turn, and is
 * collected after 40 MiB as a rule; here it is after 2 MiB or a fifth.
 *
 * Not before the process serves, and not when it ends: Node.js waits at its end for the threads that compile, and one of
 * those that has met the end of the heap waits for a collection, which then nobody does (seen: a command that never ended).
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const set = (flags: readonly string[]): void => {
  for (const f of flags) setFlagsFromString(f);
};

export const keepHeapSmall = (): void => set(['--optimize-for-size', '--heap-growing-percent=20']);

/** Before the process ends. The room that a heap has is decided when it is collected. */
export function letHeapGrow(): void {
  set(['--no-optimize-for-size', '--heap-growing-percent=0', '--expose-gc']);
  (runInNewContext('gc') as () => void)();
}
