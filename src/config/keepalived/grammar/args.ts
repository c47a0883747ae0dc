import {
  type Family,
  familyOf,
  hostLength,
  type IpAddress,
  type IpPrefix,
  type Microseconds,
  type Place,
  parseIp,
  type Text,
  text,
  us,
} from '../../../base/index.ts';
import type { Report } from '../report.ts';
import { nearest } from '../suggest.ts';
import { wholeNumber } from '../text/numbers.ts';
import type { Statement } from '../text/tree.ts';
import type { Word } from '../text/words.ts';
import type { IprouteKind } from './names.ts';

/** The words of one statement, taken from left to right. What cannot be taken is reported, and undefined. */
export class Args {
  readonly statement: Statement;
  readonly report: Report;
  #next: number;
  /** `from` 1 leaves out the keyword; 0 is for lines that have none. */
  constructor(statement: Statement, report: Report, from: 0 | 1) {
    this.statement = statement;
    this.report = report;
    this.#next = from;
  }
  get keyword(): Word {
    return this.statement.words[0];
  }
  /** Of the word taken last, or of the first. */
  get place(): Place {
    return (this.statement.words[this.#next - 1] ?? this.keyword).place;
  }
  /** The word that says what the word taken last is: `weight` in `eth1 weight 300`. */
  get label(): string {
    const before = this.statement.words[this.#next - 2]?.text ?? '';
    return /^[a-z][a-z_-]*$/i.test(before) ? before : this.keyword.text;
  }
  peek(): Word | undefined {
    return this.statement.words[this.#next];
  }
  next(): Word | undefined {
    const w = this.peek();
    if (w) this.#next++;
    return w;
  }
  /** Takes the next word if it is one of these. */
  take<const T extends string>(...these: readonly T[]): T | undefined {
    const w = this.peek();
    const found = these.find((t) => t === w?.text);
    if (found !== undefined) this.#next++;
    return found;
  }
  rest(): Word[] {
    const words = this.statement.words.slice(this.#next);
    this.#next = this.statement.words.length;
    return words;
  }
  /** The next word; that there is none is reported. */
  need(what: Text): Word | undefined {
    const w = this.next();
    if (!w)
      this.report.fault(
        'value-missing',
        this.place,
        text(`'${this.keyword.text}' needs ${what.en}`, `'${this.keyword.text}' 缺少${what.zh}`),
      );
    return w;
  }
  /** Reports at the word taken last. */
  fault(code: string, message: Text, hint?: Text): undefined {
    this.report.fault(code, this.place, message, hint);
    return undefined;
  }
}

/** Takes what it needs from the arguments; undefined means that it was refused and reported. */
export type Reader<T> = (a: Args) => T | undefined;

export type Range = { readonly min: number; readonly max: number; readonly code?: string; readonly hint?: Text };

/** Takes and checks one whole number, wherever in a line it stands. */
export function takeInt(a: Args, range: Range): number | undefined {
  const w = a.need(text(`a number ${range.min}..${range.max}`, `一个 ${range.min}..${range.max} 的数`));
  if (!w) return undefined;
  // Decimal alone, as keepalived: hexadecimal is for marks and names of iproute2.
  const n = /^[+-]?\d+$/.test(w.text) ? Number.parseInt(w.text, 10) : undefined;
  if (n === undefined)
    return a.fault(
      'number-invalid',
      text(`'${w.text}' is not a whole number`, `'${w.text}' 不是整数`),
      range.hint ?? text(`a number ${range.min}..${range.max} is expected`, `应为 ${range.min}..${range.max} 的整数`),
    );
  if (n < range.min || n > range.max)
    return a.fault(
      range.code ?? 'number-range',
      text(
        `${a.label} ${n} is outside ${range.min}..${range.max}`,
        `${a.label} ${n} 超出范围 ${range.min}..${range.max}`,
      ),
      range.hint,
    );
  return n;
}

/** A number up to `max`, or one of the host's names for it. */
export function takeNamed(a: Args, kind: IprouteKind, max: number): number | undefined {
  const w = a.need(text('a number or name', '数字或名称'));
  if (!w) return undefined;
  const n = wholeNumber(w.text) ?? a.report.names[kind].get(w.text);
  if (n !== undefined && n >= 0 && n <= max) return n;
  return a.fault(
    'name-unknown',
    text(
      `'${w.text}' is neither a number 0..${max} nor a known name`,
      `'${w.text}' 既不是 0..${max} 的数，也不是已知名称`,
    ),
    kind === 'groups' ? undefined : text('names come from /etc/iproute2', '名称来自 /etc/iproute2'),
  );
}
export const int =
  (min: number, max: number, o: { code?: string; hint?: Text } = {}): Reader<number> =>
  (a) =>
    takeInt(a, { min, max, ...o });

/** A decimal number of `unit`, to whole microseconds. Limits are in the unit. */
export const time =
  (min: number, max: number, o: { unit?: 's' | 'ms' | 'us'; code?: string; hint?: Text } = {}): Reader<Microseconds> =>
  (a) => {
    const unit = o.unit ?? 's';
    const w = a.need(text(`a time in ${unit}`, `以 ${unit} 为单位的时间`));
    if (!w) return undefined;
    if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(w.text))
      return a.fault(
        'number-invalid',
        text(`'${w.text}' is not a number of ${unit}`, `'${w.text}' 不是以 ${unit} 为单位的数`),
        /^[\d.]+[a-z]+$/i.test(w.text)
          ? text(`write the number alone; the unit is ${unit}`, `只写数字，单位固定为 ${unit}`)
          : undefined,
      );
    const n = Number(w.text);
    if (n < min || n > max)
      return a.fault(
        o.code ?? 'number-range',
        text(
          `${a.keyword.text} ${w.text} is outside ${min}..${max} ${unit}`,
          `${a.keyword.text} ${w.text} 超出范围 ${min}..${max} ${unit}`,
        ),
        o.hint,
      );
    return us(Math.round(n * { s: 1_000_000, ms: 1000, us: 1 }[unit]));
  };

const TRUE = new Set(['on', 'true', 'yes']);
const FALSE = new Set(['off', 'false', 'no']);
/** `on|off|true|false|yes|no`; the keyword alone means on. */
export const bool: Reader<boolean> = (a) => {
  const w = a.next();
  if (!w || TRUE.has(w.text.toLowerCase())) return true;
  if (FALSE.has(w.text.toLowerCase())) return false;
  return a.fault(
    'bool-invalid',
    text(`'${w.text}' is neither on nor off`, `'${w.text}' 不是开关值`),
    text('one of on, off, true, false, yes, no', '应为 on、off、true、false、yes、no 之一'),
  );
};
/** A keyword that says all by being there. */
export const flag: Reader<true> = () => true;

/** One word of free text. */
export const str =
  (what: Text = text('a value', '值')): Reader<string> =>
  (a) =>
    a.need(what)?.text;
export const NAME = text('a name', '名称');
export const PATH = text('a path', '路径');

/** Interface names have 1 to 15 bytes, no blank and no slash (IFNAMSIZ). */
export const interfaceName: Reader<string> = (a) => {
  const w = a.need(text('an interface', '接口名'));
  if (!w) return undefined;
  if (new TextEncoder().encode(w.text).length > 15 || /[/\s]/.test(w.text) || w.text === '' || /^\.\.?$/.test(w.text))
    return a.fault(
      'interface-name-invalid',
      text(`'${w.text}' cannot be an interface name`, `'${w.text}' 不能作为接口名`),
      text('1 to 15 characters, no slash, no blank', '1 到 15 个字符，不含斜杠和空白'),
    );
  return w.text;
};

export const oneOf =
  <const T extends string>(...these: readonly T[]): Reader<T> =>
  (a) => {
    const w = a.need(text(`one of ${these.join(', ')}`, `取值(${these.join('、')})`));
    if (!w) return undefined;
    const found = these.find((t) => t === w.text) ?? these.find((t) => t.toLowerCase() === w.text.toLowerCase());
    if (found !== undefined) return found;
    const near = nearest(w.text, these);
    return a.fault(
      'choice-invalid',
      text(`'${w.text}' is not one of ${these.join(', ')}`, `'${w.text}' 不是 ${these.join('、')} 之一`),
      near === undefined ? undefined : text(`did you mean '${near}'?`, `是不是想写 '${near}'?`),
    );
  };

/** `192.0.2.1` or `2001:db8::1`; `family` narrows. */
export function takeIp(a: Args, family?: Family): IpAddress | undefined {
  const w = a.need(text('an IP address', 'IP 地址'));
  if (!w) return undefined;
  const got = parseIp(w.text);
  if (!got.ok) return a.fault('address-invalid', text(`'${w.text}' is not an IP address`, `'${w.text}' 不是 IP 地址`));
  if (family !== undefined && familyOf(got.value) !== family)
    return a.fault(
      'address-family',
      text(`'${w.text}' is not an IPv${family} address`, `'${w.text}' 不是 IPv${family} 地址`),
    );
  return got.value;
}
export const ip =
  (family?: Family): Reader<IpAddress> =>
  (a) =>
    takeIp(a, family);

/** `ADDR[/LEN]`; without a length, the whole address. Undefined where the text is none; nothing is reported. */
export function parsePrefix(s: string): IpPrefix | undefined {
  const slash = s.indexOf('/');
  const got = parseIp(slash < 0 ? s : s.slice(0, slash));
  if (!got.ok) return undefined;
  const most = hostLength(familyOf(got.value));
  if (slash < 0) return { address: got.value, length: most };
  const mask = s.slice(slash + 1);
  if (!/^\d{1,3}$/.test(mask) || Number(mask) > most) return undefined;
  return { address: got.value, length: Number(mask) };
}
export function takePrefix(a: Args, family?: Family): IpPrefix | undefined {
  const w = a.need(text('an address ADDR[/LEN]', '地址 ADDR[/LEN]'));
  if (!w) return undefined;
  const got = parsePrefix(w.text);
  if (!got) {
    const near = w.text.replace(/\.\//, '.0/');
    return a.fault(
      'address-invalid',
      text(`'${w.text}' is not an address ADDR[/LEN]`, `'${w.text}' 不是 ADDR[/LEN] 形式的地址`),
      near !== w.text && parsePrefix(near) ? text(`did you mean '${near}'?`, `是不是想写 '${near}'?`) : undefined,
    );
  }
  if (family !== undefined && familyOf(got.address) !== family)
    return a.fault(
      'address-family',
      text(`'${w.text}' is not an IPv${family} address`, `'${w.text}' 不是 IPv${family} 地址`),
    );
  return got;
}

/** A program with its arguments: blanks separate them, single quotes protect blanks, a backslash the next character. */
function scriptWords(s: string): string[] {
  const out: string[] = [];
  let word: string | undefined;
  let inside = false;
  for (let i = 0; i < s.length; i++) {
    const c = s[i] as string;
    if (c === "'") {
      inside = !inside;
      word ??= '';
    } else if (c === '\\' && i + 1 < s.length) word = (word ?? '') + s[++i];
    else if (!inside && /\s/.test(c)) {
      if (word !== undefined) out.push(word);
      word = undefined;
    } else word = (word ?? '') + c;
  }
  if (word !== undefined) out.push(word);
  return out;
}
export type ScriptValue = {
  readonly argv: readonly [string, ...string[]];
  readonly user?: string;
  readonly group?: string;
};
/** `SCRIPT [user [group]]`. */
export const script: Reader<ScriptValue> = (a) => {
  const w = a.need(text('a script', '脚本'));
  if (!w) return undefined;
  const [program, ...args] = scriptWords(w.text);
  if (program === undefined) return a.fault('script-empty', text('the script is empty', '脚本为空'));
  const owner = takeUser(a);
  return { argv: [program, ...args], ...owner };
};
/** `[user [group]]`, with the old form `user:group` too. */
export function takeUser(a: Args): { readonly user?: string; readonly group?: string } {
  const w = a.next();
  if (!w) return {};
  const colon = w.text.indexOf(':');
  if (colon > 0) return { user: w.text.slice(0, colon), group: w.text.slice(colon + 1) };
  const g = a.next();
  return g ? { user: w.text, group: g.text.replace(/^:/, '') } : { user: w.text };
}
export type UserValue = { readonly user: string; readonly group?: string };
/** `USER [[:]GROUP]`. */
export const userAndGroup: Reader<UserValue> = (a) => {
  const { user, group } = takeUser(a);
  if (user !== undefined) return group === undefined ? { user } : { user, group };
  a.need(text('a user', '用户名'));
  return undefined;
};
