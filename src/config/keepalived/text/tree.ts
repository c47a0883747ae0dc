import { type Place, text } from '../../../base/index.ts';
import type { Report } from '../report.ts';
import type { Word } from './words.ts';

/** A line of words, with the block that it opens. */
export type Statement = {
  readonly words: readonly [Word, ...Word[]];
  readonly body: readonly Statement[] | undefined;
};

const isBrace = (w: Word, brace: '{' | '}'): boolean => !w.quoted && w.text === brace;
/** Deeper than any keyword goes; what is nested beyond is reported once and read no further. */
const DEEPEST = 32;

/** Builds the block tree. `{` belongs to the statement before it, on the same line or on an earlier one. */
export function treeOf(lines: Iterable<readonly Word[]>, report: Report): Statement[] {
  type Open = { words: [Word, ...Word[]] | undefined; brace: Place | undefined; body: Statement[] };
  const root: Open = { words: undefined, brace: undefined, body: [] };
  const stack: Open[] = [root];
  let ignored = 0;
  for (const line of lines) {
    let current: Word[] = [];
    const flush = (): void => {
      const [first, ...rest] = current;
      if (first) stack.at(-1)!.body.push({ words: [first, ...rest], body: undefined });
      current = [];
    };
    for (const w of line) {
      if (isBrace(w, '{')) {
        if (stack.length >= DEEPEST) {
          if (ignored++ === 0)
            report.error(
              'block-too-deep',
              w.place,
              text(`blocks are nested deeper than ${DEEPEST}`, `块的嵌套超过 ${DEEPEST} 层`),
            );
          current = [];
          continue;
        }
        flush();
        const owner = stack.at(-1)!.body.at(-1);
        if (owner && owner.body === undefined) {
          stack.at(-1)!.body.pop();
          stack.push({ words: [...owner.words], brace: w.place, body: [] });
        } else {
          report.fault(
            'brace-without-keyword',
            w.place,
            text('this { belongs to no keyword; the block is skipped', '这个 { 前面没有关键字，该块被跳过'),
          );
          stack.push({ words: undefined, brace: w.place, body: [] });
        }
      } else if (isBrace(w, '}')) {
        flush();
        if (ignored > 0) ignored--;
        else if (stack.length > 1) close();
        else
          report.fault(
            'brace-unexpected',
            w.place,
            text('this } closes nothing', '多余的 }，没有与之对应的 {'),
            text('a block above was closed too early, or this one is left over', '上面的某个块可能提前结束了'),
          );
      } else current.push(w);
    }
    flush();
  }
  while (stack.length > 1) {
    const open = stack.at(-1)!;
    report.fault(
      'brace-missing',
      open.words?.[0].place ?? open.brace,
      text(
        `the block of '${open.words?.[0].text ?? '{'}' is not closed before the file ends`,
        `'${open.words?.[0].text ?? '{'}' 的块直到文件结尾都没有用 } 结束`,
      ),
    );
    close();
  }
  return root.body;

  function close(): void {
    const { words, body } = stack.pop()!;
    if (words) stack.at(-1)!.body.push({ words, body });
  }
}
