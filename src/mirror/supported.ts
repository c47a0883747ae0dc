/**
 * What a configuration asks of a mirror that this engine does not do. Data would be at risk where it only seemed to: such a
 * mirror is not started. What merely has no effect is told.
 */
import { type Text, text } from '../base/index.ts';
import type { MirrorConfig } from './config.ts';

export type Unsupported = { readonly refused: readonly Text[]; readonly idle: readonly Text[] };

export function unsupported(m: MirrorConfig): Unsupported {
  const refused: Text[] = [];
  const { net } = m;
  const no = (option: string, en: string, zh: string): void => {
    refused.push(text(`${option}: ${en}`, `${option}：${zh}`));
  };
  if (net.allowTwoPrimaries)
    no('allow-two-primaries', 'two primaries are not possible yet; leave it out', '尚不支持双主；请去掉此项');
  const idle: Text[] = [];
  if (m.volumes.some((v) => v.options.resyncAfter !== undefined))
    idle.push(text('resync-after: resyncs do not wait for each other yet', 'resync-after：同步之间尚不会相互等待'));
  return { refused, idle };
}
