/** The files of a configuration as they are on this machine: only regular files, none too large, and no endless search. */
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { matchesGlob } from 'node:path';
import { type Text, text } from '../../base/index.ts';
import type { FileSource } from '../../config/keepalived/index.ts';

const MEBI = 1024 * 1024;
/** A configuration of ten thousand virtual routers has 4 MiB. */
const LARGEST = 16 * MEBI;
/** Names that a pattern may make us look at. */
const MOST_NAMES = 100_000;

type Opened = { readonly content: string } | { readonly why: Text };

/** Opening waits for nothing: a FIFO without a writer would hold up the start for ever, and /dev/zero has no end. */
function open(path: string): Opened {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = fstatSync(fd);
    if (!found.isFile()) return { why: text('not a regular file', '不是普通文件') };
    if (found.size > LARGEST) return { why: text(`larger than ${LARGEST / MEBI} MiB`, `大于 ${LARGEST / MEBI} MiB`) };
    return { content: readFileSync(fd, 'utf8') };
  } catch (e) {
    const code = (e as NodeJS.ErrnoException).code ?? String(e);
    const words = WORDS[code];
    return { why: words ?? text(code, code) };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
const WORDS: Readonly<Record<string, Text>> = {
  ENOENT: text('there is no such file', '文件不存在'),
  EACCES: text('this user may not read it', '当前用户没有读取权限'),
};

const isPattern = (s: string): boolean => /[*?[]/.test(s);
/** As glob(3): `*` crosses no slash and takes no leading dot. What is found first is kept where there is too much. */
function glob(pattern: string): string[] {
  let left = MOST_NAMES;
  let found = [pattern.startsWith('/') ? '/' : ''];
  for (const part of pattern.split('/').filter((p) => p !== '')) {
    const next: string[] = [];
    for (const folder of found) {
      if (!isPattern(part)) {
        if (existsSync(folder + part)) next.push(`${folder}${part}/`);
        continue;
      }
      if (left <= 0) break;
      const names = list(folder);
      left -= names.length;
      // A run of stars would be taken for any number of folders.
      const wanted = part.replace(/\*+/g, '*');
      for (const name of names)
        if (name.startsWith('.') === wanted.startsWith('.') && matchesGlob(name, wanted))
          next.push(`${folder}${name}/`);
    }
    found = next;
  }
  return found.map((f) => f.slice(0, -1)).sort();
}
function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder === '' ? '.' : folder);
  } catch {
    return []; // not a folder, or not ours to look into
  }
}

export const disk: FileSource = {
  read: (path) => {
    const opened = open(path);
    return 'content' in opened ? opened.content : undefined;
  },
  why: (path) => {
    const opened = open(path);
    return 'why' in opened ? opened.why : undefined;
  },
  glob,
};
