import { type Family, familyOf, type IpAddress, type IpPrefix, text } from '../../../base/index.ts';
import type { WantedHop, WantedRoute } from '../../../vrrp/config.ts';
import { takeDestination, takeScope, takeTracking, wholeAddress } from './addresses.ts';
import { type Args, bool, interfaceName, oneOf, type Reader, takeInt, takeIp, takeNamed, takePrefix } from './args.ts';

const TYPES = [
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat',
] as const;
const METRICS = [
  'mtu',
  'hoplimit',
  'advmss',
  'rtt',
  'rttvar',
  'reordering',
  'window',
  'cwnd',
  'ssthresh',
  'rto_min',
  'initcwnd',
  'initrwnd',
] as const;
type Metrics = { -readonly [K in keyof NonNullable<WantedRoute['metrics']>]: NonNullable<WantedRoute['metrics']>[K] };
type Hop = { -readonly [K in keyof WantedHop]: WantedHop[K] };
type Encap = NonNullable<WantedHop['encap']>;
type Draft = { -readonly [K in Exclude<keyof WantedRoute, 'hops' | 'metrics'>]?: WantedRoute[K] } & {
  hops: Hop[];
  metrics: Metrics;
  family?: Family;
  destinationGiven: boolean;
};

/** Every word of a route line, for the reference table and the tests. */
export const ROUTE_WORDS = [
  'add',
  'append',
  'prepend',
  'inet',
  'inet6',
  'to',
  'via',
  'gw',
  'or',
  'dev',
  'oif',
  'src',
  'from',
  'table',
  'metric',
  'priority',
  'preference',
  'scope',
  'protocol',
  'proto',
  'tos',
  'dsfield',
  ...METRICS,
  'quickack',
  'features',
  'congctl',
  'fastopen_no_cookie',
  'realms',
  'onlink',
  'weight',
  'nexthop',
  'encap',
  'ttl-propagate',
  'expires',
  'pref',
  'vrf',
  ...TYPES,
  'no_track',
  'track_group',
] as const;

/** One line of `virtual_routes` or `static_routes`, in the words of ip-route(8). */
export const routeLine: Reader<WantedRoute> = (a) => {
  const r: Draft = { hops: [], metrics: {}, destinationGiven: false };
  const single: Hop = {};
  let multipath = false;
  while (a.peek()) {
    const tracking = takeTracking(a);
    if (tracking) r.tracking = tracking;
    else if (a.take('nexthop')) {
      multipath = true;
      const hop: Hop = {};
      while (a.peek() && a.peek()?.text !== 'nexthop') {
        const done = takeHopWord(a, hop, r);
        if (done === undefined) return undefined;
        if (!done) break;
      }
      r.hops.push(hop);
    } else if (a.take('or')) {
      a.report.warn(
        'route-or-deprecated',
        a.place,
        text("'or' between gateways is deprecated", "网关之间的 'or' 已被弃用"),
        text('write: nexthop via A nexthop via B', '请改写为:nexthop via A nexthop via B'),
      );
      const via = takeIp(a);
      if (via === undefined) return undefined;
      multipath = true;
      r.hops.push({ via });
    } else {
      const hop = takeHopWord(a, single, r);
      if (hop === undefined) return undefined;
      if (hop) continue;
      const done = takeRouteWord(a, r);
      if (done === undefined) return undefined;
      if (!done && !takeTarget(a, r)) return undefined;
    }
  }
  const hops = Object.keys(single).length > 0 || !multipath ? [single, ...r.hops] : r.hops;
  const family = familyOfRoute(r, hops);
  const type = r.type ?? 'unicast';
  const discards = type === 'blackhole' || type === 'unreachable' || type === 'prohibit' || type === 'throw';
  const usable = hops.filter((h) => Object.keys(h).length > 0);
  if (!r.destinationGiven)
    return a.fault('route-destination-missing', text('this route has no destination', '该路由没有目的地址'));
  if (discards && usable.length > 0)
    return a.fault('route-hop-unexpected', text(`a ${type} route has no next hop`, `${type} 路由不能有下一跳`));
  if (!discards && usable.length === 0)
    return a.fault('route-hop-missing', text('this route says neither via nor dev', '该路由既没有 via 也没有 dev'));
  const { hops: _hops, metrics, destinationGiven: _given, ...rest } = r;
  return {
    ...rest,
    how: r.how ?? 'replace',
    family,
    type,
    table: r.table ?? 254,
    hops: usable,
    tracking: r.tracking ?? { kind: 'follow' },
    ...(Object.keys(metrics).length > 0 ? { metrics } : {}),
  };
};

function familyOfRoute(r: Draft, hops: readonly Hop[]): Family {
  const shown: (IpAddress | undefined)[] = [r.destination?.address, r.source, ...hops.map((h) => h.via)];
  const first = shown.find((x) => x !== undefined);
  return r.family ?? (first === undefined ? 4 : familyOf(first));
}

function takeTarget(a: Args, r: Draft): boolean {
  const typed = a.peek()!;
  if (r.destinationGiven) {
    a.next();
    a.fault(
      'route-word-unknown',
      text(`'${typed.text}' is not a word of a route`, `路由中没有 '${typed.text}' 这个词`),
    );
    return false;
  }
  const d = takeDestination(a, r.family);
  if (!d) return false;
  r.destinationGiven = true;
  if (d.prefix) r.destination = d.prefix;
  else if (typed.text.includes(':')) r.family = 6;
  return true;
}

/** True: taken. False: the word belongs to no hop. Undefined: refused and reported. */
function takeHopWord(a: Args, hop: Hop, r: Draft): boolean | undefined {
  const key = a.take('via', 'gw', 'dev', 'oif', 'weight', 'onlink', 'encap', 'realms');
  switch (key) {
    case undefined:
      return false;
    case 'gw':
    case 'via': {
      if (key === 'gw')
        a.report.warn(
          'route-gw-deprecated',
          a.place,
          text("'gw' is deprecated", "'gw' 已被弃用"),
          text("write 'via'", "请改写为 'via'"),
        );
      a.take('inet', 'inet6');
      const via = takeIp(a);
      if (via !== undefined) hop.via = via;
      return via === undefined ? undefined : true;
    }
    case 'dev':
    case 'oif': {
      const name = interfaceName(a);
      if (name !== undefined) hop.interface = name;
      return name === undefined ? undefined : true;
    }
    case 'weight': {
      const n = takeInt(a, { min: 1, max: 256 });
      if (n !== undefined) hop.weight = n;
      return n === undefined ? undefined : true;
    }
    case 'onlink':
      hop.onlink = true;
      return true;
    case 'realms': {
      const n = takeRealms(a);
      if (n !== undefined) hop.realms = n;
      return n === undefined ? undefined : true;
    }
    case 'encap': {
      const encap = takeEncap(a, r);
      if (encap) hop.encap = encap;
      return encap ? true : undefined;
    }
  }
}

/** `[SOURCE/]TARGET`; the source in the upper 16 bits, as the kernel has it. */
export function takeRealms(a: Args): number | undefined {
  const w = a.need(text('realms', 'realms'));
  if (!w) return undefined;
  const parts = w.text.split('/').map((p) => (/^\d+$/.test(p) ? Number(p) : a.report.names.realms.get(p)));
  if (parts.length > 2 || parts.some((p) => p === undefined || p > 65535))
    return a.fault('realms-invalid', text(`'${w.text}' is not [REALM/]REALM`, `'${w.text}' 不是 [REALM/]REALM`));
  return parts.length === 2 ? parts[0]! * 65536 + parts[1]! : parts[0]!;
}

const ENCAP_OPTIONS: Readonly<Record<Encap['kind'], readonly string[]>> = {
  ip: ['id', 'dst', 'src', 'tos', 'tc', 'ttl', 'flags'],
  ip6: ['id', 'dst', 'src', 'tc', 'tos', 'ttl', 'hoplimit', 'flags'],
  mpls: ['ttl'],
  ila: ['csum-mode', 'ident-type', 'hook-type'],
};
function takeEncap(a: Args, _r: Draft): Encap | undefined {
  const kind = oneOf('ip', 'ip6', 'mpls', 'ila')(a);
  if (kind === undefined) return undefined;
  const options: Record<string, string> = {};
  if (kind === 'mpls' || kind === 'ila') {
    const first = a.need(kind === 'mpls' ? text('labels', '标签') : text('a locator', '定位符'));
    if (!first) return undefined;
    options[kind === 'mpls' ? 'labels' : 'locator'] = first.text;
  }
  for (;;) {
    const key = a.take(...ENCAP_OPTIONS[kind]);
    if (key === undefined) return { kind, options };
    const v = a.need(text('a value', '值'));
    if (!v) return undefined;
    options[key] = v.text;
  }
}

/** True: taken. False: not a word of a route. Undefined: refused and reported. */
function takeRouteWord(a: Args, r: Draft): boolean | undefined {
  const type = a.take(...TYPES);
  if (type) {
    r.type = type;
    return true;
  }
  const metric = a.take(...METRICS);
  if (metric) return takeMetric(a, r, metric);
  const key = a.take(
    'add',
    'append',
    'prepend',
    'inet',
    'inet6',
    'to',
    'src',
    'from',
    'table',
    'metric',
    'priority',
    'preference',
    'scope',
    'protocol',
    'proto',
    'tos',
    'dsfield',
    'quickack',
    'features',
    'congctl',
    'fastopen_no_cookie',
    'ttl-propagate',
    'expires',
    'pref',
    'vrf',
  );
  const set = <T>(v: T | undefined, put: (v: T) => void): boolean | undefined => {
    if (v === undefined) return undefined;
    put(v);
    return true;
  };
  switch (key) {
    case undefined:
      return false;
    case 'add':
      r.how = 'replace';
      return true;
    case 'append':
    case 'prepend':
      r.how = key;
      return true;
    case 'inet':
      r.family = 4;
      return true;
    case 'inet6':
      r.family = 6;
      return true;
    case 'to':
      return takeTarget(a, r) ? true : undefined;
    case 'src': {
      const w = a.need(text('an address', '地址'));
      const source = w && wholeAddress(w.text);
      if (w && source === undefined)
        return a.fault('address-invalid', text(`'${w.text}' is not an IP address`, `'${w.text}' 不是 IP 地址`));
      return set(source, (v) => {
        r.source = v;
      });
    }
    case 'from':
      return set<IpPrefix>(takePrefix(a, r.family), (v) => {
        r.from = v;
      });
    case 'table':
      return set(takeNamed(a, 'tables', 2 ** 32 - 1), (v) => {
        r.table = v;
      });
    case 'metric':
    case 'priority':
    case 'preference':
      return set(takeInt(a, { min: 0, max: 2 ** 32 - 1 }), (v) => {
        r.metric = v;
      });
    case 'scope':
      return set(takeScope(a), (v) => {
        r.scope = v;
      });
    case 'protocol':
    case 'proto':
      return set(takeNamed(a, 'protocols', 255), (v) => {
        r.protocol = v;
      });
    case 'tos':
    case 'dsfield':
      return set(takeNamed(a, 'dsfield', 255), (v) => {
        r.tos = v;
      });
    case 'quickack':
    case 'fastopen_no_cookie':
      return set(takeBit(a), (v) => {
        r.metrics[key] = v;
      });
    case 'features': {
      const w = oneOf('ecn')(a);
      return set(w, () => {
        r.metrics.features = 1; // RTAX_FEATURE_ECN
      });
    }
    case 'congctl': {
      const locked = a.take('lock') !== undefined;
      const w = a.need(text('a congestion control', '拥塞控制算法'));
      if (w && locked) r.metrics.locked = [...(r.metrics.locked ?? []), 'congctl'];
      return set(w, (v) => {
        r.metrics.congctl = v.text;
      });
    }
    case 'ttl-propagate': {
      const w = oneOf('enabled', 'disabled')(a);
      return set(w, (v) => {
        r.ttlPropagate = v === 'enabled';
      });
    }
    case 'expires':
      return set(takeInt(a, { min: 0, max: 2 ** 31 - 1 }), (v) => {
        r.expiresSeconds = v;
      });
    case 'pref':
      return set(oneOf('low', 'medium', 'high')(a), (v) => {
        r.preference = v;
      });
    case 'vrf':
      return set(interfaceName(a), (v) => {
        r.vrf = v;
      });
  }
}

function takeBit(a: Args): number | undefined {
  const typed = a.peek()?.text;
  if (typed === '0' || typed === '1') return takeInt(a, { min: 0, max: 1 });
  if (!typed) {
    a.need(text('0 or 1', '0 或 1'));
    return undefined;
  }
  const on = bool(a);
  return on === undefined ? undefined : Number(on);
}

function takeMetric(a: Args, r: Draft, key: (typeof METRICS)[number]): boolean | undefined {
  if (a.take('lock')) r.metrics.locked = [...(r.metrics.locked ?? []), key];
  const w = a.peek();
  const timed = key === 'rtt' || key === 'rttvar' || key === 'rto_min';
  const m = timed && w ? /^(\d+(?:\.\d+)?)(s|ms)$/.exec(w.text) : null;
  if (m) {
    a.next();
    r.metrics[key] = Math.round(Number(m[1]) * (m[2] === 's' ? 1000 : 1));
    return true;
  }
  const n = takeInt(a, { min: 0, max: 2 ** 32 - 1 });
  if (n === undefined) return undefined;
  r.metrics[key] = n;
  return true;
}
