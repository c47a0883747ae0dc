/** The files around reading a configuration: `reload_file`, `config_save_dir`, `reload_time_file`. */
import { mkdirSync, readFileSync, unlinkSync, unwatchFile, watchFile } from 'node:fs';
import { join } from 'node:path';
import { ms, type Text, text } from '../../base/index.ts';
import type { Log } from '../../host/index.ts';
import type { RenderedDiagnostic } from '../messages.ts';
import { replaceFile } from '../safe-file.ts';
import { reloadTime } from './reload-time.ts';

const DEFAULT_RELOAD_FILE = '/run/keepalived.reload';

const complain = (log: Log, what: Text, e: unknown): void => {
  const why = e instanceof Error ? e.message : String(e);
  log.write({ level: 'error', code: 'config.file', text: text(`${what.en}: ${why}`, `${what.zh}：${why}`) });
};

/** Exists while the configuration is being read. Returns what removes it. */
export function markReading(path: string | undefined, log: Log): () => void {
  if (path === undefined) return () => {};
  const file = path === '' ? DEFAULT_RELOAD_FILE : path;
  try {
    replaceFile(file, '', 0o644);
  } catch (e) {
    complain(log, text('reload_file', 'reload_file'), e);
    return () => {};
  }
  return () => {
    try {
      unlinkSync(file);
    } catch {
      // Somebody removed it: it is gone, as it should be.
    }
  };
}

/** `reload_check_config LOGFILE`: why the last reload was refused. */
export function logCheck(path: string | undefined, found: readonly RenderedDiagnostic[], log: Log): void {
  if (path === undefined || path === '') return;
  try {
    replaceFile(path, found.map((d) => `${d.shown.en}\n`).join(''));
  } catch (e) {
    complain(log, text(`writing ${path}`, `写入 ${path}`), e);
  }
}

/** A copy of what was read, numbered by its generation. */
export function saveConfiguration(folder: string | undefined, generation: number, content: string, log: Log): void {
  if (folder === undefined) return;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    replaceFile(join(folder, `keepalived.conf.${generation}`), content);
  } catch (e) {
    complain(log, text(`saving the configuration in ${folder}`, `在 ${folder} 中保存配置`), e);
  }
}

const LOOK_EVERY = 1000;

/** Calls back when a file is another than before; looks once a second, since editors put a new file in the old one's place. */
export class FileWatch {
  readonly #changed: () => void;
  #file: string | undefined;
  constructor(changed: () => void) {
    this.#changed = changed;
  }
  use(file: string | undefined): void {
    if (file === this.#file) return;
    if (this.#file !== undefined) unwatchFile(this.#file);
    this.#file = file;
    if (file === undefined) return;
    // Gone for a moment, between the old and the new, is no change yet.
    watchFile(file, { interval: LOOK_EVERY, persistent: false }, (now, before) => {
      const other = now.mtimeMs !== before.mtimeMs || now.size !== before.size || now.ino !== before.ino;
      if (other && now.nlink > 0) this.#changed();
    });
  }
}

/** Looks at `reload_time_file` once a second and calls back when its time has come; the file is then removed unless it repeats. */
export class ScheduledReload {
  #timer: NodeJS.Timeout | undefined;
  #due: number | undefined;
  #seen = '';
  readonly #log: Log;
  readonly #reload: () => void;

  constructor(log: Log, reload: () => void) {
    this.#log = log;
    this.#reload = reload;
  }
  use(file: string | undefined, repeat: boolean): void {
    clearInterval(this.#timer);
    this.#due = undefined;
    this.#seen = '';
    if (file === undefined) return;
    this.#timer = setInterval(() => this.#look(file, repeat), LOOK_EVERY);
    this.#timer.unref();
    this.#look(file, repeat);
  }
  #look(file: string, repeat: boolean): void {
    let content = '';
    try {
      content = readFileSync(file, 'utf8').trim();
    } catch {
      // There is none: nothing is scheduled.
    }
    if (content !== this.#seen) {
      this.#seen = content;
      this.#due = content === '' ? undefined : this.#read(file, content);
    }
    if (this.#due === undefined || Date.now() < this.#due) return;
    this.#due = undefined;
    if (repeat) this.#due = this.#read(file, content);
    else this.#remove(file);
    this.#reload();
  }
  #read(file: string, content: string): number | undefined {
    const at = reloadTime(content, ms(Date.now()));
    if (!at.ok) {
      const words =
        at.error === 'past'
          ? text(`${file}: ${content} has passed`, `${file}：${content} 已经过去`)
          : text(
              `${file}: "${content}" is not [[YY]YY-MM-DD ]HH:MM:SS[Z]`,
              `${file}：“${content}”不是 [[YY]YY-MM-DD ]HH:MM:SS[Z]`,
            );
      this.#log.write({ level: 'error', code: 'config.reload-time', text: words });
      return undefined;
    }
    const when = new Date(at.value).toISOString();
    this.#log.write({
      level: 'notice',
      code: 'config.reload-time',
      text: text(`reload at ${when}`, `将于 ${when} 重新加载`),
    });
    return at.value;
  }
  #remove(file: string): void {
    try {
      unlinkSync(file);
    } catch (e) {
      complain(this.#log, text(`removing ${file}`, `删除 ${file}`), e);
    }
  }
}
