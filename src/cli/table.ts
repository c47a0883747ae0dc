/** A table for people: columns as wide as their widest cell, East Asian characters counted as two. */
import { cellWidth } from '../base/index.ts';

export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cellWidth(cell));
    });
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - cellWidth(cell))))
      .join('  ')
      .trimEnd();
  return rows.map((row) => ` ${line(row)}\n`).join('');
}

/** `14d 3h`, `4 min`, `12 s`: two figures are enough to judge an age. */
export function age(ms: number, language: 'en' | 'zh'): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const en = language === 'en';
  if (s < 120) return en ? `${s} s` : `${s} 秒`;
  if (s < 7200) return en ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 60)} 分钟`;
  const [d, h] = [Math.floor(s / 86400), Math.floor((s % 86400) / 3600)];
  if (d === 0) return en ? `${h} h` : `${h} 小时`;
  return en ? `${d}d ${h}h` : `${d} 天 ${h} 时`;
}
