/** FILE_CHECK: the first number in a file, times a factor, is added to the server's weight; -65535 or less takes it down. */
import { type Text, text } from '../../base/index.ts';
import type { FoundWeight } from '../check.ts';

/** Enough for any number with a little room; the rest of the file is never read. */
export const FILE_LIMIT = 64;
/** Weights of IPVS go up to it: what would take any server to 0 takes it down. */
const LIMIT = 65535;

export type FileFinding = { readonly up: boolean; readonly weight: FoundWeight; readonly reason: Text };

/** A file that is absent, or that begins with no number, says 0. */
export function judgeFile(
  content: Uint8Array | undefined,
  weight: { readonly value: number; readonly reverse: boolean },
): FileFinding {
  const head = content === undefined ? '' : String.fromCharCode(...content.subarray(0, FILE_LIMIT));
  const said = Number(/^\s*([+-]?\d+)/.exec(head)?.[1] ?? 0);
  const product = said * weight.value * (weight.reverse ? -1 : 1);
  const value = Math.max(-LIMIT, Math.min(LIMIT, product)) || 0;
  return {
    up: product > -LIMIT,
    weight: { kind: 'adds', value },
    reason:
      content === undefined
        ? text('there is no such file: 0', '文件不存在：0')
        : text(`the file says ${said}`, `文件的值为 ${said}`),
  };
}
