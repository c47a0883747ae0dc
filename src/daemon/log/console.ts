/** Log lines for people on a console or in a file: time, level where it matters, the words, the code to grep for. */
import { appendFileSync, writeSync } from 'node:fs';
import type { Language } from '../../base/index.ts';
import type { Log, LogEvent, LogLevel } from '../../host/index.ts';

const LEVEL_WORDS: Readonly<Record<LogLevel, { readonly en: string; readonly zh: string }>> = {
  debug: { en: '', zh: '' },
  info: { en: '', zh: '' },
  notice: { en: '', zh: '' },
  warning: { en: 'warning: ', zh: '警告：' },
  error: { en: 'error: ', zh: '错误：' },
};

const two = (n: number): string => String(n).padStart(2, '0');
/** Local time with milliseconds: what happened first must be seen within a second too. */
export function timeStamp(at: Date): string {
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${day} ${time}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}
export const logLine = (e: LogEvent, language: Language): string =>
  `${LEVEL_WORDS[e.level][language]}${e.text[language]} [${e.code}]`;

/** Never blocks for long and never throws: a full or closed console must not stop the daemon. */
export function consoleSink(language: Language): (e: LogEvent, at: Date) => void {
  return (e, at) => {
    try {
      writeSync(2, `${timeStamp(at)} ${logLine(e, language)}\n`);
    } catch {
      // EAGAIN, EPIPE: nobody reads it.
    }
  };
}
export function fileSink(path: string, language: Language): (e: LogEvent, at: Date) => void {
  return (e, at) => {
    try {
      appendFileSync(path, `${timeStamp(at)} ${logLine(e, language)}\n`);
    } catch {
      // The disk is full or the folder is gone: the other sinks still have it.
    }
  };
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, notice: 2, warning: 3, error: 4 };
/** Everything from `least` on goes to every sink. */
export function logTo(sinks: readonly ((e: LogEvent, at: Date) => void)[], least: LogLevel): Log {
  return {
    write: (e) => {
      if (RANK[e.level] < RANK[least]) return;
      const at = new Date();
      for (const sink of sinks) sink(e, at);
    },
  };
}
