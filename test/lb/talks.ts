/** What clients that talk for long say of their conversations: bpf-talk-main.ts, udp-talk-main.ts. Times are of Date.now(). */
import { createInterface } from 'node:readline';

export type Talk = {
  /** Who answers; empty before the first answer. */
  by: string;
  /** For good: closed, reset, or taken up by another server. */
  ended: boolean;
  heardAt: number;
  /** When that was said to which an answer came last. */
  answeredTo: number;
};
/** Between two lines of one conversation. */
export const INTERVAL_MS = 100;
/** One that hears nothing for so long counts as broken by `now`. */
const SILENT_MS = 3000;
const LOOK_MS = 20;

/** Says `all` when each was answered or has ended; then answers what is asked on standard input. */
export function answerCommands(talks: readonly Talk[]): void {
  const tell = (broken: (t: Talk) => boolean): void => {
    const by: Record<string, number> = {};
    for (const t of talks) if (!t.ended) by[t.by] = (by[t.by] ?? 0) + 1;
    process.stdout.write(`now ${JSON.stringify({ broken: talks.filter((t) => t.ended || broken(t)).length, by })}\n`);
  };
  const when = (so: () => boolean, then: () => void): void => {
    const look = setInterval(() => {
      if (!so()) return;
      clearInterval(look);
      then();
    }, LOOK_MS);
  };
  when(
    () => talks.every((t) => t.by !== '' || t.ended),
    () => process.stdout.write('all\n'),
  );
  createInterface(process.stdin).on('line', (line) => {
    const asked = Date.now();
    if (line === 'now') return tell((t) => asked - t.heardAt > SILENT_MS);
    const until = asked + Number(line.split(' ')[1]);
    const waits = (t: Talk): boolean => t.answeredTo <= asked;
    when(
      () => Date.now() > until || talks.every((t) => t.ended || !waits(t)),
      () => tell(waits),
    );
  });
}
