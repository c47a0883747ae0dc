/** The secret that two sides share, read from where the configuration says that it is. */
import { readFileSync } from 'node:fs';
import type { MirrorConfig } from '../../mirror/index.ts';

/** drbd.conf's own is read again from its place; in a quoted string a backslash stands for the character behind it. */
export function secretOf(m: MirrorConfig): Uint8Array | undefined {
  const ref = m.net.auth?.secret;
  if (ref === undefined) return undefined;
  if (ref.from === 'file') return new TextEncoder().encode(readFileSync(ref.path, 'utf8').replace(/\n$/, ''));
  const line = readFileSync(ref.file, 'utf8').split('\n')[ref.line - 1] ?? '';
  const from = ref.column - 1;
  const word = line.slice(from, from + ref.length);
  const quoted = line[from - 1] === '"';
  return new TextEncoder().encode(quoted ? word.replace(/\\(.)/g, '$1') : word);
}
