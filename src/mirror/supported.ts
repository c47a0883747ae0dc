/**
 * What a configuration asks of a mirror that this engine does not do. Data would be at risk where it only seemed to: such a
 * mirror is not started. What merely has no effect is told.
 */
import { type Text, text } from '../base/index.ts';
import type { MirrorConfig } from './config.ts';

export type Unsupported = { readonly refused: readonly Text[]; readonly idle: readonly Text[] };

const UNCALLED: ReadonlySet<string> = new Set(['out-of-sync']);

export function unsupported(m: MirrorConfig): Unsupported {
  const refused: Text[] = [];
  const { net } = m;
  const no = (option: string, en: string, zh: string): void => {
    refused.push(text(`${option}: ${en}`, `${option}：${zh}`));
  };
  if (net.dataIntegrity !== undefined)
    no(
      'data-integrity-alg',
      'digests of data are neither made nor checked yet; leave it out',
      '尚不支持数据摘要；请去掉此项',
    );
  if (net.allowTwoPrimaries)
    no('allow-two-primaries', 'two primaries are not possible yet; leave it out', '尚不支持双主；请去掉此项');
  if (net.onCongestion !== 'block')
    no('on-congestion', `${net.onCongestion} is not done yet; write block`, `尚不支持 ${net.onCongestion}；请写 block`);
  const uncalled = Object.keys(m.handlers).filter((h) => UNCALLED.has(h));
  const idle = uncalled.map((h) => text(`handler ${h} is not called yet`, `处理程序 ${h} 尚不会被调用`));
  return { refused, idle };
}
