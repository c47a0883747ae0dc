/** A log file beside the console and syslog (`-g`), and several logs as one. */
import { appendFileSync, constants } from 'node:fs';
import type { Language } from '../../base/index.ts';
import type { Log } from '../../host/index.ts';

/** A link that somebody laid in the way is not followed, and a FIFO that nobody reads is not waited for. */
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
const OPEN = { flag: O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_WRONLY, mode: 0o600 } as unknown as {
  flag: string;
};

export const fileLog = (path: string, language: Language): Log => ({
  write(e) {
    try {
      appendFileSync(path, `${new Date().toISOString()} ${e.level}: ${e.text[language]} [${e.code}]\n`, OPEN);
    } catch {
      // The disk is full or the folder is gone: the other logs still have it.
    }
  },
});
export const allLogs = (logs: readonly Log[]): Log => ({
  write(e) {
    for (const log of logs) log.write(e);
  },
});
