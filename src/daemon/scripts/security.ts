/**
 * `enable_script_security`: a script that runs as root must not be one that somebody else can exchange. Every part of its
 * path, links followed, must belong to root and be writable by root alone.
 */
import { type Text, text } from '../../base/index.ts';

export type PathFacts = {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly kind: 'file' | 'directory' | 'link' | 'other';
};
export interface PathReader {
  /** lstat; undefined where there is nothing. */
  facts(path: string): PathFacts | undefined;
  /** The target of a symbolic link, as it is written. */
  link(path: string): string;
}
export type ScriptFinding = {
  readonly kind: 'missing' | 'not-executable' | 'insecure';
  readonly path: string;
  readonly text: Text;
};

const GROUP_WRITE = 0o020;
const OTHER_WRITE = 0o002;
const ANY_EXECUTE = 0o111;
const MAX_LINKS = 40;

/** What is wrong with running `path` (absolute) as root; undefined when nothing is. */
export function scriptFinding(path: string, reader: PathReader, secure: boolean): ScriptFinding | undefined {
  const rest = path.split('/').filter((p) => p !== '');
  let at = '';
  let links = 0;
  for (;;) {
    const here = at === '' ? '/' : at;
    const facts = reader.facts(here);
    if (facts === undefined)
      return { kind: 'missing', path: here, text: text(`${here} does not exist`, `${here} 不存在`) };
    if (facts.kind === 'link') {
      if (++links > MAX_LINKS)
        return { kind: 'missing', path: here, text: text(`${here}: too many links`, `${here}：符号链接过多`) };
      const target = reader.link(here);
      rest.unshift(...target.split('/').filter((p) => p !== ''));
      at = target.startsWith('/') ? '' : at.slice(0, at.lastIndexOf('/'));
      continue;
    }
    const writable = secure ? insecure(here, facts) : undefined;
    if (writable) return writable;
    const next = rest.shift();
    if (next === undefined) return executable(here, facts);
    if (next === '..') at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
    else if (next !== '.') at = `${at}/${next}`;
  }
}

function executable(path: string, f: PathFacts): ScriptFinding | undefined {
  if (f.kind === 'file' && (f.mode & ANY_EXECUTE) !== 0) return undefined;
  return { kind: 'not-executable', path, text: text(`${path} is not an executable file`, `${path} 不是可执行文件`) };
}
function insecure(path: string, f: PathFacts): ScriptFinding | undefined {
  const found = (words: Text): ScriptFinding => ({ kind: 'insecure', path, text: words });
  if (f.uid !== 0)
    return found(text(`${path} belongs to user ${f.uid}, not root`, `${path} 属于用户 ${f.uid}，而不是 root`));
  if ((f.mode & OTHER_WRITE) !== 0) return found(text(`${path} is writable by everybody`, `${path} 可被任何人写入`));
  if ((f.mode & GROUP_WRITE) !== 0 && f.gid !== 0)
    return found(text(`${path} is writable by group ${f.gid}`, `${path} 可被用户组 ${f.gid} 写入`));
  return undefined;
}
