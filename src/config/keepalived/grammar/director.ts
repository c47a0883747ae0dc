import { familyOf, type IpAddress, ipBytes, ipFromBytes, parseIp, text } from '../../../base/index.ts';
import { type Forwarding, type GroupMember, SCHEDULERS } from '../../../director/config.ts';
import { wholeNumber } from '../text/numbers.ts';
import {
  type Args,
  bool,
  flag,
  int,
  NAME,
  oneOf,
  PATH,
  parsePrefix,
  type Reader,
  script,
  str,
  takeInt,
  takeIp,
  time,
} from './args.ts';
import { checkerWords } from './checkers.ts';
import { block, headedLines, nested, word } from './spec.ts';

const METHODS = { NAT: 'nat', DR: 'direct-routing', TUN: 'tunnel' } as const;
/** `NAT | DR | TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`. */
const forwarding: Reader<Forwarding> = (a) => {
  const typed = oneOf('NAT', 'DR', 'TUN')(a);
  if (typed === undefined) return undefined;
  const method = METHODS[typed];
  if (method !== 'tunnel') return { method };
  const type = a.take('type') ? oneOf('ipip', 'gue', 'gre')(a) : 'ipip';
  if (type === undefined) return undefined;
  let port: number | undefined;
  if (type === 'gue') {
    if (!a.take('port')) return a.fault('tunnel-port', text('a GUE tunnel needs a port', 'GUE 隧道需要 port'));
    port = takeInt(a, { min: 1, max: 65535 });
    if (port === undefined) return undefined;
  }
  const sum = a.take('nocsum', 'csum', 'remcsum') ?? 'nocsum';
  if (type === 'ipip' && sum !== 'nocsum')
    return a.fault('tunnel-checksum', text('an ipip tunnel has no checksum', 'ipip 隧道没有校验和'));
  if (type === 'gre' && sum === 'remcsum')
    return a.fault('tunnel-checksum', text('a GRE tunnel has no remcsum', 'GRE 隧道没有 remcsum'));
  const checksum = ({ nocsum: 'none', csum: 'full', remcsum: 'remote' } as const)[sum];
  return { method, type, checksum, ...(port === undefined ? {} : { port }) };
};

export type ServerAddress = { readonly address: IpAddress; readonly port: number | undefined };
/** `ADDR [PORT]`. */
export const serverAddress: Reader<ServerAddress> = (a) => {
  const address = takeIp(a);
  if (address === undefined) return undefined;
  if (!a.peek()) return { address, port: undefined };
  const port = takeInt(a, { min: 0, max: 65535, code: 'port-range' });
  return port === undefined ? undefined : { address, port: port === 0 ? undefined : port };
};

export type HeadValue =
  | { readonly by: 'address'; readonly address: IpAddress; readonly port: number }
  | { readonly by: 'fwmark'; readonly mark: number }
  | { readonly by: 'group'; readonly group: string };
/** `ADDR [PORT] | fwmark N | group NAME`. */
export const virtualServerHead: Reader<HeadValue> = (a) => {
  if (a.take('fwmark')) {
    const mark = takeInt(a, { min: 1, max: 2 ** 32 - 1 });
    return mark === undefined ? undefined : { by: 'fwmark', mark };
  }
  if (a.take('group')) {
    const group = a.need(NAME);
    return group && { by: 'group', group: group.text };
  }
  const at = serverAddress(a);
  return at && { by: 'address', address: at.address, port: at.port ?? 0 };
};

/** A netmask, or a prefix length. */
const granularity: Reader<number> = (a) => {
  const w = a.need(text('a netmask or prefix length', '掩码或前缀长度'));
  if (!w) return undefined;
  const n = wholeNumber(w.text);
  if (n !== undefined && n >= 1 && n <= 128) return n;
  const mask = parseIp(w.text);
  if (mask.ok && familyOf(mask.value) === 4) {
    const bits = [...ipBytes(mask.value)].map((b) => b.toString(2).padStart(8, '0')).join('');
    if (/^1+0*$/.test(bits)) return bits.replace(/0+$/, '').length;
  }
  return a.fault(
    'granularity-invalid',
    text(`'${w.text}' is neither a netmask nor a prefix length`, `'${w.text}' 既不是掩码也不是前缀长度`),
  );
};

/** `ADDR`, `A.B.C.D-E`, `ADDR-ADDR` or `ADDR/LEN`, as first and last address. */
function addressRange(s: string): { readonly from: IpAddress; readonly to: IpAddress } | undefined {
  const dash = s.indexOf('-');
  if (dash < 0) {
    const p = parsePrefix(s);
    if (!p) return undefined;
    const low = ipBytes(p.address);
    const high = low.slice();
    for (let bit = p.length; bit < low.length * 8; bit++) {
      const mask = 0x80 >> (bit % 8);
      low[bit >> 3] = low[bit >> 3]! & ~mask;
      high[bit >> 3] = high[bit >> 3]! | mask;
    }
    return { from: ipFromBytes(low), to: ipFromBytes(high) };
  }
  const from = parseIp(s.slice(0, dash));
  if (!from.ok) return undefined;
  const end = s.slice(dash + 1);
  const whole = parseIp(end);
  if (whole.ok) {
    if (familyOf(whole.value) !== familyOf(from.value) || !ordered(from.value, whole.value)) return undefined;
    return { from: from.value, to: whole.value };
  }
  const b = ipBytes(from.value);
  const v6 = b.length === 16;
  if (!(v6 ? /^[0-9a-fA-F]{1,4}$/ : /^\d{1,3}$/).test(end)) return undefined;
  const last = Number.parseInt(end, v6 ? 16 : 10);
  if (v6) {
    b[14] = last >> 8;
    b[15] = last & 255;
  } else if (last > 255) return undefined;
  else b[3] = last;
  const to = ipFromBytes(b);
  return ordered(from.value, to) ? { from: from.value, to } : undefined;
}
const ordered = (a: IpAddress, b: IpAddress): boolean => {
  const [x, y] = [ipBytes(a), ipBytes(b)];
  const i = x.findIndex((v, n) => v !== y[n]);
  return i < 0 || x[i]! < y[i]!;
};

const groupLine: Reader<GroupMember> = (a) => {
  if (a.take('fwmark')) {
    const mark = takeInt(a, { min: 1, max: 2 ** 32 - 1 });
    if (mark === undefined) return undefined;
    const family = a.take('inet', 'inet6');
    return { by: 'fwmark', mark, family: family && (family === 'inet' ? 4 : 6) };
  }
  const w = a.need(text('an address or range', '地址或地址范围'));
  const range = w && addressRange(w.text);
  if (!w) return undefined;
  if (!range)
    return a.fault(
      'address-invalid',
      text(`'${w.text}' is neither an address nor a range`, `'${w.text}' 既不是地址也不是地址范围`),
      text(
        '192.0.2.1, 192.0.2.1-9, 192.0.2.1-192.0.2.9 or 192.0.2.0/28',
        '如 192.0.2.1、192.0.2.1-9、192.0.2.1-192.0.2.9 或 192.0.2.0/28',
      ),
    );
  const port = a.peek() ? takeInt(a, { min: 0, max: 65535, code: 'port-range' }) : 0;
  return port === undefined ? undefined : { by: 'range', ...range, port };
};
const groupName: Reader<string> = (a) => a.need(NAME)?.text;
export const virtualServerGroup = headedLines(groupName, groupLine);

export const sslBlock = block('SSL', {
  password: word(str(text('a password', '密码'))),
  ca: word(str(PATH)),
  certificate: word(str(PATH)),
  key: word(str(PATH)),
});

const once = int(1, 2 ** 31 - 1);
/** What a virtual server hands down to its real servers, and these to their checkers. */
const inherited = {
  connect_timeout: word(time(0.000001, 4294)),
  retry: word(once),
  delay_before_retry: word(time(0, 4294)),
  warmup: word(time(0, 4294)),
  delay_loop: word(time(0.000001, 4294)),
  inhibit_on_failure: word(bool),
  smtp_alert: word(bool),
  virtualhost: word(str(NAME)),
  snmp_name: word(str(NAME)),
  alpha: word(bool),
  weight: word(int(0, 65535)),
  lvs_method: word(forwarding),
};

export const realServer = block('real_server', {
  ...inherited,
  uthreshold: word(int(0, 2 ** 31 - 1)),
  lthreshold: word(int(0, 2 ** 31 - 1)),
  notify_up: word(script),
  notify_down: word(script),
  ...checkerWords,
});

export const virtualServer = block(
  'virtual_server',
  {
    ...inherited,
    lvs_sched: word(oneOf(...SCHEDULERS)),
    hashed: word(flag),
    ops: word(flag),
    'flag-1': word(flag),
    'flag-2': word(flag),
    'flag-3': word(flag),
    'sh-port': word(flag),
    'sh-fallback': word(flag),
    'mh-port': word(flag),
    'mh-fallback': word(flag),
    protocol: word(oneOf('TCP', 'UDP', 'SCTP')),
    ip_family: word(oneOf('inet', 'inet6')),
    persistence_timeout: word((a: Args) => (a.peek() ? takeInt(a, { min: 1, max: 2 ** 31 - 1 }) : 360)),
    persistence_granularity: word(granularity),
    persistence_engine: word(oneOf('sip')),
    ha_suspend: word(flag),
    omega: word(flag),
    quorum: word(once),
    hysteresis: word(int(0, 2 ** 31 - 1)),
    quorum_up: word(script),
    quorum_down: word(script),
    sorry_server: word(serverAddress),
    sorry_server_inhibit: word(flag),
    sorry_server_lvs_method: word(forwarding),
    real_server: nested(realServer, serverAddress),
  },
  { lb_algo: { of: 'lvs_sched' }, lb_kind: { of: 'lvs_method' } },
);
