/** A process of `sim-jobs.ts`: simulates the seeds that it is sent, one after the other, and tells of each. */
import { type Batch, simulate, type WorldReport } from './sim-jobs.ts';

const tell = (m: WorldReport | 'done'): void => {
  process.send?.(m);
};
const parent = process.ppid;
process.on('message', ({ part, seeds }: Batch) => {
  for (const seed of seeds) {
    // A batch is one turn: that nobody waits for it any more shows here, and not by an event.
    if (process.ppid !== parent) process.exit(0);
    tell(simulate(part, seed));
  }
  tell('done');
});
process.on('disconnect', () => process.exit(0));
