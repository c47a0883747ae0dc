/** Sizes, rates and times as people read them; two or three figures are enough. */
import type { Language } from '../../base/index.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
const EPSILON = 1e-9;
/** `0 B`, `412 MiB`, `3.1 GiB`: rounded down, so that nothing looks larger than it is. */
export function size(bytes: number): string {
  let n = bytes;
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) {
    n /= 1024;
    unit++;
  }
  const figures =
    unit === 0 || n >= 100 ? Math.floor(n + EPSILON).toString() : (Math.floor(n * 10 + EPSILON) / 10).toString();
  return `${figures} ${UNITS[unit]}`;
}
export const rate = (bytesPerSecond: number): string => `${size(bytesPerSecond)}/s`;
/** `40 s`, `3 min`, `2 h 10 min`. */
export function span(seconds: number, language: Language): string {
  const [s, min, h] = language === 'en' ? ['s', 'min', 'h'] : ['秒', '分钟', '小时'];
  if (seconds < 120) return `${Math.round(seconds)} ${s}`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} ${min}`;
  return `${Math.floor(seconds / 3600)} ${h} ${Math.round((seconds % 3600) / 60)} ${min}`;
}
/** Part of a whole, 0..1. Nothing to do is done; what is not finished is never shown as finished. */
export const share = (done: number, total: number): number => (total <= 0 ? 1 : Math.min(1, Math.max(0, done / total)));
export const percent = (part: number, digits: number): string => {
  const scale = 10 ** digits;
  return (Math.floor(part * 100 * scale + 1e-9) / scale).toFixed(digits);
};
