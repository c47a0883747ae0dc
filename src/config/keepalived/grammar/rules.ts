import { type Family, familyOf, type IpPrefix, text } from '../../../base/index.ts';
import type { ObjectTracking, WantedRule } from '../../../vrrp/config.ts';
import { wholeNumber } from '../text/numbers.ts';
import { takeDestination, takeTracking } from './addresses.ts';
import { type Args, interfaceName, type Reader, takeInt, takeNamed } from './args.ts';
import { takeRealms } from './routes.ts';

type Rule = WantedRule['rule'];
/** A rule whose priority may still have to be made up. */
export type RuleValue = {
  readonly rule: Omit<Rule, 'priority'>;
  readonly priority: number | undefined;
  readonly tracking: ObjectTracking;
};
type Draft = { -readonly [K in keyof Rule]?: Rule[K] };

/** Every word of a rule line. */
export const RULE_WORDS = [
  'inet',
  'inet6',
  'not',
  'from',
  'to',
  'tos',
  'dsfield',
  'fwmark',
  'iif',
  'oif',
  'dev',
  'table',
  'lookup',
  'goto',
  'nop',
  'type',
  'blackhole',
  'unreachable',
  'prohibit',
  'realms',
  'preference',
  'order',
  'priority',
  'suppress_prefixlength',
  'sup_pl',
  'suppress_ifgroup',
  'sup_group',
  'tunnel-id',
  'uidrange',
  'l3mdev',
  'ipproto',
  'ip_proto',
  'sport',
  'dport',
  'protocol',
] as const;

/** Ports, user ids: `N` or `FROM-TO`. */
function takeSpan(a: Args, max: number): { readonly from: number; readonly to: number } | undefined {
  const w = a.need(text('N or N-N', 'N 或 N-N'));
  const m = w && /^(\d+)(?:-(\d+))?$/.exec(w.text);
  if (!w) return undefined;
  const [from, to] = [Number(m?.[1]), Number(m?.[2] ?? m?.[1])];
  if (!m || from > to || to > max)
    return a.fault(
      'range-invalid',
      text(`'${w.text}' is not a range in 0..${max}`, `'${w.text}' 不是 0..${max} 内的范围`),
    );
  return { from, to };
}
const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  icmpv6: 58,
  ospf: 89,
  vrrp: 112,
  sctp: 132,
};

/** One line of `virtual_rules` or `static_rules`, in the words of ip-rule(8). */
export const ruleLine: Reader<RuleValue> = (a) => {
  const r: Draft = {};
  let tracking: ObjectTracking = { kind: 'follow' };
  let family: Family | undefined;
  while (a.peek()) {
    const t = takeTracking(a);
    if (t) {
      tracking = t;
      continue;
    }
    const key = a.take(...RULE_WORDS);
    if (key === undefined) {
      const w = a.next()!;
      return a.fault('rule-word-unknown', text(`'${w.text}' is not a word of a rule`, `规则中没有 '${w.text}' 这个词`));
    }
    if (key === 'inet' || key === 'inet6') family = key === 'inet' ? 4 : 6;
    else if (key === 'from' || key === 'to') {
      const d = takeDestination(a, family);
      if (!d) return undefined;
      if (d.prefix) r[key] = d.prefix;
    } else if (!takeRuleWord(a, key, r)) return undefined;
  }
  if (!r.action)
    return a.fault(
      'rule-action-missing',
      text('this rule says not what to do', '该规则没有动作'),
      text(
        'table T, goto N, nop, blackhole, unreachable, prohibit or l3mdev',
        '应有 table T、goto N、nop、blackhole、unreachable、prohibit 或 l3mdev',
      ),
    );
  const shown: IpPrefix | undefined = r.from ?? r.to;
  if (r.from && r.to && familyOf(r.from.address) !== familyOf(r.to.address))
    return a.fault('address-family', text("'from' and 'to' are of different families", "'from' 与 'to' 的协议族不同"));
  const { priority, ...rest } = r;
  return {
    rule: { ...rest, action: r.action, family: family ?? (shown ? familyOf(shown.address) : 4) },
    priority,
    tracking,
  };
};

function takeRuleWord(
  a: Args,
  key: Exclude<(typeof RULE_WORDS)[number], 'inet' | 'inet6' | 'from' | 'to'>,
  r: Draft,
): boolean {
  const put = <K extends keyof Draft>(field: K, v: Draft[K] | undefined): boolean => {
    if (v === undefined) return false;
    r[field] = v;
    return true;
  };
  const u32 = (): number | undefined => takeInt(a, { min: 0, max: 2 ** 32 - 1 });
  switch (key) {
    case 'not':
      return put('invert', true);
    case 'tos':
    case 'dsfield':
      return put('tos', takeNamed(a, 'dsfield', 255));
    case 'fwmark': {
      const w = a.need(text('MARK[/MASK]', 'MARK[/MASK]'));
      if (!w) return false;
      const [mark, mask] = w.text.split('/').map(wholeNumber);
      if (mark === undefined || mark < 0 || mark >= 2 ** 32 || (w.text.includes('/') && mask === undefined)) {
        a.fault('fwmark-invalid', text(`'${w.text}' is not MARK[/MASK]`, `'${w.text}' 不是 MARK[/MASK]`));
        return false;
      }
      return put('fwmark', mark) && (mask === undefined || put('fwmask', mask));
    }
    case 'iif':
    case 'dev':
      return put('iif', interfaceName(a));
    case 'oif':
      return put('oif', interfaceName(a));
    case 'table':
    case 'lookup': {
      const table = takeNamed(a, 'tables', 2 ** 32 - 1);
      return table !== undefined && put('action', { do: 'table', table });
    }
    case 'goto': {
      const priority = u32();
      return priority !== undefined && put('action', { do: 'goto', priority });
    }
    case 'type': {
      const kind = a.take('blackhole', 'unreachable', 'prohibit', 'nop', 'unicast');
      if (kind === 'unicast') return true;
      if (kind) return put('action', { do: kind });
      const w = a.need(text('a type', '类型'));
      if (w) a.fault('choice-invalid', text(`'${w.text}' is not a rule type`, `'${w.text}' 不是规则类型`));
      return false;
    }
    case 'nop':
    case 'blackhole':
    case 'unreachable':
    case 'prohibit':
      return put('action', { do: key });
    case 'realms':
      return put('realms', takeRealms(a));
    case 'preference':
    case 'order':
    case 'priority':
      return put('priority', u32());
    case 'suppress_prefixlength':
    case 'sup_pl':
      return put('suppressPrefixLength', takeInt(a, { min: 0, max: 128 }));
    case 'suppress_ifgroup':
    case 'sup_group':
      return put('suppressGroup', takeNamed(a, 'groups', 2 ** 31 - 1));
    case 'tunnel-id':
      return put('tunnelId', takeInt(a, { min: 0, max: Number.MAX_SAFE_INTEGER }));
    case 'uidrange':
      return put('uidRange', takeSpan(a, 2 ** 32 - 1));
    case 'l3mdev':
      // The table is the VRF device's own; 0 says so to the kernel.
      return put('l3mdev', true) && put('action', { do: 'table', table: 0 });
    case 'ipproto':
    case 'ip_proto': {
      const named = PROTOCOLS[a.peek()?.text.toLowerCase() ?? ''];
      if (named !== undefined) a.next();
      return put('ipProtocol', named ?? takeInt(a, { min: 0, max: 255 }));
    }
    case 'sport':
      return put('sourcePorts', takeSpan(a, 65535));
    case 'dport':
      return put('destinationPorts', takeSpan(a, 65535));
    case 'protocol':
      return put('protocol', takeNamed(a, 'protocols', 255));
  }
}
