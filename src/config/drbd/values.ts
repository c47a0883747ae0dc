/** What values may be. Each reader tells what is wrong with a value at its place, and gives nothing then. */
import { familyOf, type Place, parseIp, type Text, text } from '../../base/index.ts';
import type { Report } from '../keepalived/report.ts';
import { nearest } from '../keepalived/suggest.ts';
import type { AddressGiven, At, DeviceGiven, Given, MetaGiven, OptionValue } from './model.ts';
import type { NumberUnit, OptionRow, OptionType } from './options.ts';
import type { Word } from './tree.ts';

export const didYouMean = (typed: string, known: readonly string[]): Text | undefined => {
  const near = nearest(typed, known);
  return near === undefined ? undefined : text(`did you mean '${near}'?`, `是否想写 '${near}'？`);
};

/** What a number without suffix counts, in bytes; a suffix is divided by it. */
const UNIT_BYTES: Readonly<Record<NumberUnit, number>> = {
  count: 1,
  seconds: 1,
  tenths: 1,
  milliseconds: 1,
  bytes: 1,
  sectors: 512,
  kib: 1024,
  pages: 1,
};
/** One unit in what the configuration holds: milliseconds, bytes, or a count. */
const UNIT_MEANS: Readonly<Record<NumberUnit, number>> = {
  count: 1,
  seconds: 1000,
  tenths: 100,
  milliseconds: 1,
  bytes: 1,
  sectors: 512,
  kib: 1024,
  pages: 4096,
};
const UNIT_NAME: Readonly<Record<NumberUnit, Text | undefined>> = {
  count: undefined,
  seconds: text('seconds', '秒'),
  tenths: text('tenths of a second', '十分之一秒'),
  milliseconds: text('milliseconds', '毫秒'),
  bytes: text('bytes', '字节'),
  sectors: text('sectors of 512 bytes', '512 字节扇区'),
  kib: text('KiB', 'KiB'),
  pages: text('pages of 4 KiB', '4 KiB 页'),
};
const SUFFIX: Readonly<Record<string, number>> = { s: 512, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** What an option is where nobody says anything. */
export function defaultOf(type: OptionType): OptionValue | undefined {
  switch (type.is) {
    case 'number':
      return type.default * UNIT_MEANS[type.unit];
    case 'yes-no':
    case 'word':
      return type.default;
    case 'text':
      return undefined;
  }
}

type NumberType = Extract<OptionType, { is: 'number' }>;
function numberOf(type: NumberType, typed: string): number | 'not-a-number' | 'outside' {
  const m = /^(\d{1,18})([skmg])?$/i.exec(typed);
  if (!m) return 'not-a-number';
  const suffix = m[2]?.toLowerCase();
  const n = suffix === undefined ? Number(m[1]) : Math.floor((Number(m[1]) * SUFFIX[suffix]!) / UNIT_BYTES[type.unit]);
  return n < type.low || n > type.high ? 'outside' : n * UNIT_MEANS[type.unit];
}

/** `values`: the words behind the option's name. */
export function readOption(row: OptionRow, name: Word, values: readonly Word[], report: Report): Given | undefined {
  const [value, extra] = values;
  const at = value?.at ?? name.at;
  const wrong = (code: string, en: string, zh: string, hint?: Text): undefined => {
    report.error(code, at, text(`${name.text}: ${en}`, `${name.text}：${zh}`), hint);
    return undefined;
  };
  const given = (v: OptionValue): Given => {
    tellUse(row, v, name, report);
    return { row, value: v, typed: values.map((w) => w.text).join(' ') || 'yes', at };
  };
  if (row.name === 'become-primary-on' && value) return given(values.map((w) => w.text).join(' '));
  if (extra && row.section !== 'proxy')
    report.error(
      'drbd-too-many-values',
      extra.at,
      text(
        `${name.text} has one value, and '${extra.text}' is another`,
        `${name.text} 只有一个值，'${extra.text}' 多余`,
      ),
      text("is a ';' missing, or are quotes?", "是否缺少 ';' 或引号？"),
    );
  if (!value) {
    if (row.type.is === 'yes-no') return given(true);
    return wrong('drbd-value-missing', 'it needs a value', '缺少值', expected(row.type));
  }
  const typed = value.text;
  switch (row.type.is) {
    case 'yes-no':
      if (typed === 'yes' || typed === 'no') return given(typed === 'yes');
      return wrong(
        'drbd-value',
        `'${typed}' is neither yes nor no`,
        `'${typed}' 既不是 yes 也不是 no`,
        didYouMean(typed, ['yes', 'no']),
      );
    case 'word':
      if (row.type.words.includes(typed)) return given(typed);
      if (row.name === 'after-sb-0pri' && typed.startsWith('discard-node-')) return given(typed);
      return wrong(
        'drbd-value',
        `'${typed}' is none of ${row.type.words.join(', ')}`,
        `'${typed}' 不在 ${row.type.words.join('、')} 之中`,
        didYouMean(typed, row.type.words),
      );
    case 'number': {
      if (row.type.words?.includes(typed)) return given(typed);
      const n = numberOf(row.type, typed);
      if (n === 'not-a-number')
        return wrong('drbd-number', `'${typed}' is no number`, `'${typed}' 不是数字`, expected(row.type));
      if (n === 'outside')
        return wrong(
          'drbd-range',
          `${typed} is outside ${range(row.type)}`,
          `${typed} 超出 ${range(row.type)}`,
          expected(row.type),
        );
      return given(n);
    }
    case 'text': {
      const { longest } = row.type;
      // The value may be a secret, so it is not repeated.
      if (longest !== undefined && new TextEncoder().encode(typed).length > longest)
        return wrong('drbd-too-long', `it is longer than ${longest} bytes`, `超过 ${longest} 字节`);
      return given(typed);
    }
  }
}
function tellUse(row: OptionRow, value: OptionValue, name: Word, report: Report): void {
  if (value === defaultOf(row.type)) return;
  if (row.use.is === 'needs')
    report.warn(
      'drbd-9-only',
      name.at,
      text(`${row.name} has no effect: it needs ${row.use.what.en}`, `${row.name} 不起作用：它需要${row.use.what.zh}`),
    );
  if (row.use.is === 'none')
    report.warn(
      'drbd-no-effect',
      name.at,
      text(`${row.name} has no effect: ${row.use.why.en}`, `${row.name} 不起作用：${row.use.why.zh}`),
    );
}
const range = (t: NumberType): string => `${t.low}..${t.high}`;
function expected(t: OptionType): Text | undefined {
  if (t.is !== 'number') return undefined;
  const unit = UNIT_NAME[t.unit];
  const words = t.words ? t.words.join(', ') : '';
  const also = t.words ? text(`, or ${words}`, `，或 ${words}`) : text('', '');
  return unit
    ? text(
        `a number of ${unit.en} in ${range(t)}; suffixes s, K, M, G${also.en}`,
        `${range(t)} ${unit.zh}；可用后缀 s、K、M、G${also.zh}`,
      )
    : text(`a number in ${range(t)}${also.en}`, `${range(t)} 之间的数${also.zh}`);
}

const HIGHEST_MINOR = 0xfffff;
/** `/dev/drbdN`, `minor N`, `NAME minor N`. */
export function readDevice(words: readonly Word[], at: Place, report: Report): At<DeviceGiven> | undefined {
  const wrong = (en: string, zh: string): undefined => {
    report.error(
      'drbd-device',
      words[0]?.at ?? at,
      text(en, zh),
      text("write 'device /dev/drbd0;' or 'device minor 0;'", "请写 'device /dev/drbd0;' 或 'device minor 0;'"),
    );
    return undefined;
  };
  const [first, second, third] = words;
  if (!first) return wrong('device needs a name or a minor number', 'device 缺少名称或次设备号');
  const named = first.text === 'minor' && !first.quoted ? undefined : first.text;
  const word = named === undefined ? second : third;
  if (named !== undefined && second && second.text !== 'minor')
    return wrong(`'${second.text}' does not belong behind a device`, `'${second.text}' 不能写在设备之后`);
  if (named !== undefined && !second) {
    const m = /^\/dev\/drbd(\d{1,7})$/.exec(named);
    if (m && Number(m[1]) <= HIGHEST_MINOR) return { value: { name: named, minor: Number(m[1]) }, at: first.at };
    return wrong(`'${named}' has no minor number`, `'${named}' 没有次设备号`);
  }
  const minor = word && /^\d{1,7}$/.test(word.text) ? Number(word.text) : Number.NaN;
  if (!(minor <= HIGHEST_MINOR))
    return wrong(
      `minor: '${word?.text ?? ''}' is no number in 0..${HIGHEST_MINOR}`,
      `minor：'${word?.text ?? ''}' 不是 0..${HIGHEST_MINOR} 之间的数`,
    );
  const implied = /^\/dev\/drbd(\d+)$/.exec(named ?? '');
  if (implied && Number(implied[1]) !== minor)
    return wrong(`${named} and minor ${minor} are two devices`, `${named} 与 minor ${minor} 是两个设备`);
  return { value: { name: named ?? `/dev/drbd${minor}`, minor }, at: first.at };
}

/** `internal`, `DEVICE`, `DEVICE [N]`. */
export function readMeta(words: readonly Word[], at: Place, report: Report): At<MetaGiven> | undefined {
  const joined = words.map((w) => w.text).join('');
  const m = /^([^[\]]+)(?:\[(\d{1,4})\])?$/.exec(joined);
  const device = m?.[1];
  if (
    device === undefined ||
    (device === 'internal' && m?.[2] !== undefined) ||
    (device !== 'internal' && !device.startsWith('/'))
  ) {
    report.error(
      'drbd-meta-disk',
      words[0]?.at ?? at,
      text(
        `meta-disk: '${joined}' is neither internal nor a device`,
        `meta-disk：'${joined}' 既不是 internal 也不是设备`,
      ),
      text("'internal', '/dev/sdb1' or '/dev/sdb1 [0]'", "'internal'、'/dev/sdb1' 或 '/dev/sdb1 [0]'"),
    );
    return undefined;
  }
  return { value: { device, index: m?.[2] === undefined ? undefined : Number(m[2]) }, at: words[0]?.at ?? at };
}

const FAMILIES = ['ipv4', 'ipv6', 'ssocks', 'sdp', 'sci'] as const;
/** `[family] ADDRESS[:PORT]`; an IPv6 address in brackets, perhaps with `%interface`. */
export function readAddress(words: readonly Word[], at: Place, report: Report): At<AddressGiven> | undefined {
  const family = FAMILIES.find((f) => f === words[0]?.text);
  const word = family ? words[1] : words[0];
  const wrong = (en: string, zh: string, hint?: Text): undefined => {
    report.error('drbd-address', word?.at ?? at, text(en, zh), hint);
    return undefined;
  };
  if (!word) return wrong('an address is missing', '缺少地址');
  const m = /^(?:\[([^\]]*)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(word.text);
  const bare = m?.[1] ?? m?.[2];
  const form = text(
    "write '10.0.0.1:7788', or '[fd00::1]:7788' with IPv6",
    "请写 '10.0.0.1:7788'，IPv6 写作 '[fd00::1]:7788'",
  );
  if (bare === undefined)
    return wrong(`'${word.text}' is no address with a port`, `'${word.text}' 不是带端口的地址`, form);
  const ip = parseIp(bare.replace(/%.*$/, ''));
  if (!ip.ok) return wrong(`'${bare}' is no IP address`, `'${bare}' 不是 IP 地址`, form);
  if ((familyOf(ip.value) === 6) !== (m?.[1] !== undefined))
    return wrong(
      `'${word.text}': an IPv6 address stands in brackets, an IPv4 address does not`,
      `'${word.text}'：IPv6 地址须加方括号，IPv4 地址不加`,
      form,
    );
  const usual = familyOf(ip.value) === 6 ? 'ipv6' : 'ipv4';
  if ((family === 'ipv4' || family === 'ipv6') && family !== usual)
    return wrong(`${bare} is no ${family} address`, `${bare} 不是 ${family} 地址`);
  const port = m?.[3] === undefined ? undefined : Number(m[3]);
  if (port !== undefined && (port < 1 || port > 65535))
    return wrong(`port ${port} is outside 1..65535`, `端口 ${port} 超出 1..65535`);
  return { value: { family: family ?? usual, address: ip.value, port }, at: word.at };
}
