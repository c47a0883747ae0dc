import { text } from '../../../base/index.ts';
import {
  type Args,
  bool,
  flag,
  int,
  interfaceName,
  ip,
  NAME,
  oneOf,
  PATH,
  type Reader,
  script,
  str,
  takeInt,
  time,
  userAndGroup,
} from './args.ts';
import { type Alias, block, nested, word } from './spec.ts';
import { weight } from './tracks.ts';

/** What every checker takes that connects or waits. */
const timing = {
  // 0 is good here, and not on the servers above: tried with 2.2.7.
  retry: word(int(0, 2 ** 31 - 1)),
  delay_before_retry: word(time(0, 4294)),
  warmup: word(time(0, 4294)),
  delay_loop: word(time(0.000001, 4294)),
  alpha: word(bool),
  log_all_failures: word(bool),
};
const connection = {
  connect_ip: word(ip()),
  connect_port: word(int(1, 65535, { code: 'port-range' })),
  bindto: word(ip()),
  bind_if: word(interfaceName),
  bind_port: word(int(1, 65535, { code: 'port-range' })),
  connect_timeout: word(time(0.000001, 4294)),
  fwmark: word(int(0, 2 ** 32 - 1)),
};
const nothing = (): true => true;

export type StatusRange = { readonly from: number; readonly to: number };
/** Codes and ranges 100..999: `200 301-303`. */
const statusCodes: Reader<readonly StatusRange[]> = (a) => {
  const out: StatusRange[] = [];
  do {
    const w = a.need(text('status codes', '状态码'));
    if (!w) return undefined;
    const m = /^(\d{3})(?:-(\d{3}))?$/.exec(w.text);
    const [from, to] = [Number(m?.[1]), Number(m?.[2] ?? m?.[1])];
    if (!m || from < 100 || from > to)
      return a.fault(
        'status-code-invalid',
        text(`'${w.text}' is not a status code or range of them`, `'${w.text}' 不是状态码或状态码范围`),
        text('as in: 200 301-303', '例如:200 301-303'),
      );
    out.push({ from, to });
  } while (a.peek());
  return out;
};
const digest: Reader<string> = (a) => {
  const w = a.need(text('an MD5 digest', 'MD5 摘要'));
  if (!w) return undefined;
  if (/^[0-9a-fA-F]{32}$/.test(w.text)) return w.text.toLowerCase();
  return a.fault(
    'digest-invalid',
    text(`'${w.text}' is not the MD5 of a page`, `'${w.text}' 不是页面的 MD5`),
    text('32 hexadecimal digits', '应为 32 个十六进制数字'),
  );
};
/** PCRE2's options as keepalived names them. */
const REGEX_OPTIONS = [
  'allow_empty_class',
  'alt_bsux',
  'auto_callout',
  'caseless',
  'dollar_endonly',
  'dotall',
  'dupnames',
  'extended',
  'firstline',
  'match_unset_backref',
  'multiline',
  'never_ucp',
  'never_utf',
  'no_auto_capture',
  'no_auto_possess',
  'no_dotstar_anchor',
  'no_start_optimize',
  'ucp',
  'ungreedy',
  'utf',
  'never_backslash_c',
  'alt_circumflex',
  'alt_verbnames',
  'use_offset_limit',
] as const;
const regexOptions: Reader<readonly string[]> = (a) => {
  const out: string[] = [];
  do {
    const o = oneOf(...REGEX_OPTIONS)(a);
    if (o === undefined) return undefined;
    out.push(o);
  } while (a.peek());
  return out;
};
const stack: Reader<{ readonly start: number; readonly max: number }> = (a) => {
  const start = takeInt(a, { min: 1, max: 2 ** 31 - 1 });
  const max = start === undefined ? undefined : takeInt(a, { min: 1, max: 2 ** 31 - 1 });
  if (start === undefined || max === undefined) return undefined;
  return start > max
    ? a.fault('range-invalid', text('the start is above the maximum', '起始值大于最大值'))
    : { start, max };
};
const url = block('url', {
  path: word(str(PATH)),
  status_code: word(statusCodes),
  digest: word(digest),
  virtualhost: word(str(NAME)),
  regex: word(str(text('a regular expression', '正则表达式'))),
  regex_no_match: word(flag),
  regex_options: word(regexOptions),
  regex_min_offset: word(int(0, 2 ** 31 - 1)),
  regex_max_offset: word(int(0, 2 ** 31 - 1)),
  regex_stack: word(stack),
  tls_compliant: word(bool, { since: '2.3.0' }),
});

const http = {
  ...timing,
  ...connection,
  http_protocol: word(oneOf('1.0', '1.0C', '1.1')),
  virtualhost: word(str(NAME)),
  fast_recovery: word(bool),
  url: nested(url, nothing),
};
const retryAlias: { readonly nb_get_retry: Alias<'retry'> } = {
  nb_get_retry: { of: 'retry', deprecated: text("write 'retry'", "请改写为 'retry'") },
};
const httpGet = block('HTTP_GET', http, retryAlias);
const sslGet = block(
  'SSL_GET',
  {
    ...http,
    enable_sni: word(flag),
    sni_name: word(str(NAME), { since: '2.4' }),
    tls_compliant: word(bool, { since: '2.3.0' }),
  },
  retryAlias,
);
const smtpHost = block('host', connection);

/** Free-form hexadecimal: words of digits, an odd word's last digit alone a byte; `x` where allowed is any nibble. */
const hex = (wildcards: boolean): Reader<string> => {
  const digits = wildcards ? /^[0-9a-fxA-FX]+$/ : /^[0-9a-fA-F]+$/;
  return (a) => {
    let out = '';
    do {
      const w = a.need(text('hexadecimal digits', '十六进制数字'));
      if (!w) return undefined;
      if (!digits.test(w.text))
        return a.fault('hex-invalid', text(`'${w.text}' is not hexadecimal`, `'${w.text}' 不是十六进制`));
      for (let i = 0; i < w.text.length; i += 2) out += w.text.slice(i, i + 2).padStart(2, '0');
    } while (a.peek());
    return out.toLowerCase();
  };
};
const miscTimeout = time(0.000001, 4294);
const bfdCheck = block('BFD_CHECK', { name: word(str(NAME)), alpha: word(bool) });
const fileCheck = block('FILE_CHECK', { track_file: word(str(NAME)), weight: word(weight(2 ** 31 - 1)) });

/** All kinds of checkers; any number of each. */
export const checkerWords = {
  HTTP_GET: nested(httpGet, nothing),
  SSL_GET: nested(sslGet, nothing),
  TCP_CHECK: nested(block('TCP_CHECK', { ...timing, ...connection }), nothing),
  SMTP_CHECK: nested(
    block('SMTP_CHECK', {
      ...timing,
      ...connection,
      helo_name: word(str(NAME)),
      // Silent in 2.2.7's own check, so no complaint here either.
      host: nested(smtpHost, nothing),
    }),
    nothing,
  ),
  DNS_CHECK: nested(
    block('DNS_CHECK', {
      ...timing,
      ...connection,
      type: word(oneOf('A', 'NS', 'CNAME', 'SOA', 'MX', 'TXT', 'AAAA')),
      name: word(str(NAME)),
    }),
    nothing,
  ),
  UDP_CHECK: nested(
    block('UDP_CHECK', {
      ...timing,
      ...connection,
      payload: word(hex(false)),
      require_reply: word((a: Args) => (a.peek() ? hex(true)(a) : '')),
      min_reply_length: word(int(0, 65535)),
      max_reply_length: word(int(0, 65535)),
    }),
    nothing,
  ),
  PING_CHECK: nested(block('PING_CHECK', { ...timing, ...connection }), nothing),
  MISC_CHECK: nested(
    block('MISC_CHECK', {
      ...timing,
      misc_path: word(script),
      misc_timeout: word(miscTimeout),
      misc_dynamic: word(flag),
      user: word(userAndGroup),
    }),
    nothing,
  ),
  BFD_CHECK: nested(bfdCheck, nothing),
  FILE_CHECK: nested(fileCheck, nothing),
};
