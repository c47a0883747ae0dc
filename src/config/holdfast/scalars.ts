/** Scalars: from the text that was typed to a value, or what is wrong with it. Pure. */
import { err, ok, parseIp, type Result, type Text, text } from '../../base/index.ts';
import { nearest } from '../keepalived/suggest.ts';
import type { ScalarType } from './schema.ts';

export type ScalarValue = string | number | boolean;
export type ScalarError = { readonly code: string; readonly message: Text; readonly hint?: Text };

export const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
export const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

const wrong = (code: string, en: string, zh: string, hint?: Text): Result<never, ScalarError> =>
  err({ code, message: text(en, zh), ...(hint && { hint }) });

export function readScalar(type: ScalarType, typed: string): Result<ScalarValue, ScalarError> {
  switch (type.kind) {
    case 'text':
      return ok(typed);
    case 'name':
      if (NAME.test(typed)) return ok(typed);
      return wrong(
        'SYN-07',
        `'${typed}' is no name`,
        `'${typed}' 不能作为名称`,
        text('letters, digits, dot, dash, underscore; at most 63', '字母、数字、点、横线、下划线，最多 63 个字符'),
      );
    case 'path':
      if (typed.startsWith('/')) return ok(typed);
      return wrong('SYN-07', `'${typed}' is no path from /`, `'${typed}' 不是以 / 开头的路径`);
    case 'address': {
      const ip = parseIp(typed);
      return ip.ok ? ok(ip.value) : wrong('SYN-07', `'${typed}' is no IP address`, `'${typed}' 不是 IP 地址`);
    }
    case 'yes-no':
      if (typed === 'yes' || typed === 'no') return ok(typed === 'yes');
      return wrong('SYN-07', `'${typed}' is neither yes nor no`, `'${typed}' 既不是 yes 也不是 no`);
    case 'word': {
      if (type.words.includes(typed)) return ok(typed);
      const near = nearest(typed, type.words);
      return wrong(
        'SYN-07',
        `'${typed}' is none of ${type.words.join(', ')}`,
        `'${typed}' 不在 ${type.words.join('、')} 之中`,
        near === undefined ? undefined : text(`did you mean '${near}'?`, `是否想写 '${near}'？`),
      );
    }
    case 'count':
      if (/^0\d+$/.test(typed))
        return wrong(
          'SYN-07',
          `'${typed}' looks octal`,
          `'${typed}' 形似八进制`,
          text(`write ${Number(typed)}`, `请写 ${Number(typed)}`),
        );
      return within(type, /^\d{1,15}$/.test(typed) ? Number(typed) : undefined, typed, '');
    case 'time':
      return withUnit(type, typed, TIME_UNITS, '', ['ms', 's']);
    case 'size':
      return withUnit(type, typed, SIZE_UNITS, '', ['MiB', 'GiB']);
    case 'rate':
      return withUnit(type, typed, SIZE_UNITS, '/s', ['MiB', 'KiB']);
  }
}
type Range = { readonly low: number; readonly high: number };
function within(r: Range, n: number | undefined, typed: string, unit: string): Result<number, ScalarError> {
  if (n === undefined) return wrong('SYN-07', `'${typed}' is no number`, `'${typed}' 不是数字`);
  if (n >= r.low && n <= r.high) return ok(n);
  return wrong(
    'SYN-08',
    `${typed} is outside ${r.low}${unit}..${r.high}${unit}`,
    `${typed} 超出 ${r.low}${unit}..${r.high}${unit}`,
  );
}
function withUnit(
  r: Range,
  typed: string,
  units: Readonly<Record<string, number>>,
  per: string,
  usual: readonly [string, string],
): Result<number, ScalarError> {
  const m = /^(\d{1,16}(?:\.\d{1,6})?)\s?([A-Za-z]*)(\/s)?$/.exec(typed);
  if (!m)
    return wrong(
      'SYN-07',
      `'${typed}' is no ${per === '' ? 'number with a unit' : 'rate'}`,
      `'${typed}' 不是带单位的${per === '' ? '数值' : '速率'}`,
      text(`write it as 20${usual[0]}${per}`, `例如 20${usual[0]}${per}`),
    );
  const [, digits, unit = '', tail = ''] = m;
  if (unit === '')
    return wrong(
      'SYN-06',
      `${typed} has no unit`,
      `${typed} 没有单位`,
      text(
        `write ${digits}${usual[0]}${per} or ${digits}${usual[1]}${per}`,
        `请写 ${digits}${usual[0]}${per} 或 ${digits}${usual[1]}${per}`,
      ),
    );
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (factor === undefined || tail !== per) {
    const known = Object.keys(units).map((u) => u + per);
    const near =
      known.find((k) => k.startsWith(unit[0]?.toUpperCase() ?? '') && unit.length > 1) ??
      nearest(unit + tail, known) ??
      `${usual[0]}${per}`;
    return wrong(
      'SYN-06',
      `${typed}: the unit is none of ${known.join(', ')}`,
      `${typed}：单位须为 ${known.join('、')} 之一`,
      text(`write ${digits}${near}`, `请写 ${digits}${near}`),
    );
  }
  const n = Number(digits) * factor;
  if (!Number.isInteger(n))
    return wrong('SYN-07', `${typed} is no whole number of the smallest unit`, `${typed} 不是最小单位的整数倍`);
  if (n >= r.low && n <= r.high) return ok(n);
  const show = (x: number): string => shown(x, units) + per;
  return wrong(
    'SYN-08',
    `${typed} is outside ${show(r.low)}..${show(r.high)}`,
    `${typed} 超出 ${show(r.low)}..${show(r.high)}`,
  );
}
/** In the largest unit that leaves a whole number. */
export function shown(n: number, units: Readonly<Record<string, number>>): string {
  const fit = Object.entries(units).filter(([, f]) => n % f === 0 && n >= f);
  const [unit, factor] = fit.at(-1) ?? (Object.entries(units)[0] as [string, number]);
  return `${n / factor}${unit}`;
}
