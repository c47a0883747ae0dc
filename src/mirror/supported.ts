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
  const fencing = m.volumes.find((v) => v.options.fencing !== 'dont-care')?.options.fencing;
  if (fencing !== undefined)
    no('fencing', `${fencing} is not done yet; write dont-care`, `尚不支持 ${fencing}；请写 dont-care`);
  const idle = Object.keys(m.handlers).map((h) => text(`handler ${h} is not called yet`, `处理程序 ${h} 尚不会被调用`));
  return { refused, idle };
}
