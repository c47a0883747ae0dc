/** A request that is meant for one volume or for all: done for one after the other, answered once. */
import { text } from '../../base/index.ts';
import type { MirrorAnswer } from '../status.ts';
import { refused } from './reasons.ts';
import type { Volume } from './volume.ts';

export type Answer = (a: MirrorAnswer) => void;
/** The first refusal ends it. What is answered is the refusal, else what the last volume said. */
export function eachVolume(
  volumes: readonly Volume[],
  which: number | undefined,
  one: (v: Volume, answer: Answer) => void,
  answer: Answer,
): void {
  const todo = volumes.filter((v) => which === undefined || v.number === which);
  let changed = false;
  let said = text('nothing to do', '无需操作');
  const next = (): void => {
    const v = todo.shift();
    if (v === undefined) {
      answer({ ok: true, changed, text: said });
      return;
    }
    one(v, (a) => {
      if (!a.ok) return answer(a);
      changed ||= a.changed;
      said = a.text;
      next();
    });
  };
  if (todo.length === 0) answer(refused('not-supported', `there is no volume ${which}`, `没有卷 ${which}`));
  else next();
}
