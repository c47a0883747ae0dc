/** Texts of a resource: what happened, and why something was refused. */
import { type Text, text } from '../../base/index.ts';
import type { MirrorAnswer, MirrorRefusal } from '../status.ts';

export const refused = (code: MirrorRefusal, en: string, zh: string): MirrorAnswer => ({
  ok: false,
  code,
  text: text(en, zh),
});
/** The same, where it is not answered yet. */
export type Refused = { readonly code: MirrorRefusal; readonly text: Text };
export const no = (code: MirrorRefusal, en: string, zh: string): Refused => ({ code, text: text(en, zh) });
export const done = (en: string, zh: string, changed = true): MirrorAnswer => ({
  ok: true,
  changed,
  text: text(en, zh),
});
/** `en` and `zh` with the cause behind a colon. */
export const because = (en: string, zh: string, cause: Text): Text => text(`${en}: ${cause.en}`, `${zh}：${cause.zh}`);
export const FINISHED = text('resync finished: both disks are equal', '同步完成：两端磁盘一致');
export const OTHER_DATA = text(
  'this primary has no disk, and the peer has other data than its application has seen',
  '本机为无盘主节点，而对端数据与应用所见不同',
);
