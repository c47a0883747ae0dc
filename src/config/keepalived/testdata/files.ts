import type { FileSource } from '../text/includes.ts';

/** A disk with nothing on it. */
export const noFiles: FileSource = { read: () => undefined, glob: () => [] };
/** A disk that holds these texts by path; a pattern may use `*`. */
export function filesOf(texts: Readonly<Record<string, string>>): FileSource {
  return {
    read: (path) => (Object.hasOwn(texts, path) ? texts[path] : undefined),
    glob: (pattern) => {
      const like = new RegExp(`^${pattern.replaceAll(/[.+^$()|[\]\\{}]/g, '\\$&').replaceAll('*', '[^/]*')}$`);
      return Object.keys(texts)
        .filter((p) => like.test(p))
        .sort();
    },
  };
}
