/** What a configuration asks of a mirror that has no effect in this engine: told, so that nobody relies on it. */
import { type Text, text } from '../base/index.ts';
import type { DiskOptions, MirrorConfig } from './config.ts';

export type Unsupported = { readonly refused: readonly Text[]; readonly idle: readonly Text[] };

export function unsupported(m: MirrorConfig): Unsupported {
  const idle: Text[] = [];
  const any = (wanted: (o: DiskOptions) => boolean): boolean => m.volumes.some((v) => wanted(v.options));
  const { protocol } = m.net;
  if (protocol !== 'C' && any((o) => o.readBalancing !== 'prefer-local'))
    idle.push(
      text(
        `read-balancing has no effect in protocol ${protocol}: what the peer has not written yet is read here`,
        `read-balancing 在协议 ${protocol} 下不起作用：对端尚未写入的数据只从本机读取`,
      ),
    );
  if (any((o) => !o.mdFlushes))
    idle.push(
      text('md-flushes no has no effect: metadata are always durable', 'md-flushes no 不起作用：元数据总是持久写入'),
    );
  if (any((o) => !o.alUpdates))
    idle.push(
      text('al-updates no has no effect: the activity log is always kept', 'al-updates no 不起作用：活动日志总是更新'),
    );
  if (any((o) => o.rsDiscardGranularity !== undefined))
    idle.push(
      text(
        'rs-discard-granularity has no effect: zeroes are copied as zeroes',
        'rs-discard-granularity 不起作用：零数据按零复制',
      ),
    );
  return { refused: [], idle };
}
