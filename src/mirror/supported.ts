/** What a configuration asks of a mirror that has no effect in this engine: told, so that nobody relies on it. */
import { type Text, text } from '../base/index.ts';
import type { MirrorConfig } from './config.ts';

export type Unsupported = { readonly refused: readonly Text[]; readonly idle: readonly Text[] };

export function unsupported(m: MirrorConfig): Unsupported {
  const idle: Text[] = [];
  const none = (option: string): void => {
    idle.push(text(`${option} has no effect yet`, `${option} 尚不起作用`));
  };
  const any = (wanted: (o: MirrorConfig['volumes'][number]['options']) => boolean): boolean =>
    m.volumes.some((v) => wanted(v.options));
  if (any((o) => o.readBalancing !== 'prefer-local')) none('read-balancing');
  return { refused: [], idle };
}
