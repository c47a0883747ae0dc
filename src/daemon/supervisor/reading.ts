/** Reads the configuration in a process of its own: a file that is large or mad costs the supervisor neither time nor memory. */
import { text } from '../../base/index.ts';
import { forkPart } from '../channel.ts';
import type { ReadAnswer, ReadRequest } from '../messages.ts';

/** A reader that has not answered by then is stuck. */
const LONGEST = 60_000;

function failure(en: string, zh: string): ReadAnswer {
  const words = text(en, zh);
  return { diagnostics: [{ severity: 'error', code: 'config.reader', line: words, shown: words }], config: undefined };
}

/** `answered` is called exactly once. Returns what gives up and ends the reader. */
export function readInProcess(request: ReadRequest, answered: (a: ReadAnswer) => void): () => void {
  let open = true;
  const started = forkPart('reader/main');
  if (!started.ok) {
    const why = started.error;
    setImmediate(() => {
      if (open) answered(failure(`cannot start the reader: ${why}`, `无法启动读取进程：${why}`));
    });
    return () => {
      open = false;
    };
  }
  const child = started.value;
  const finish = (a: ReadAnswer): void => {
    if (!open) return;
    open = false;
    clearTimeout(timer);
    answered(a);
  };
  const giveUp = (a: ReadAnswer): void => {
    child.kill('SIGKILL');
    finish(a);
  };
  const timer = setTimeout(
    () => giveUp(failure('reading the configuration takes longer than 60 s', '读取配置超过 60 秒')),
    LONGEST,
  );
  child.on('message', (m) => {
    child.disconnect(); // it ends by itself, and what it compiled is kept for the next one
    finish(m as ReadAnswer);
  });
  child.on('exit', (code, signal) =>
    finish(failure(`the reader ended with ${signal ?? `status ${code}`}`, `读取进程退出：${signal ?? `状态 ${code}`}`)),
  );
  child.send(request, () => {});
  return () => {
    open = false;
    clearTimeout(timer);
    child.kill('SIGKILL');
  };
}
