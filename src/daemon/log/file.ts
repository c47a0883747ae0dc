/** A log file beside the console and syslog (`-g`), and several logs as one. */
import { appendFileSync } from 'node:fs';
import type { Language } from '../../base/index.ts';
import type { Log } from '../../host/index.ts';

export const fileLog = (path: string, language: Language): Log => ({
  write(e) {
    try {
      appendFileSync(path, `${new Date().toISOString()} ${e.level}: ${e.text[language]} [${e.code}]\n`);
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
