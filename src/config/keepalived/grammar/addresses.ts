import {
  type Family,
  familyOf,
  hostLength,
  type IpAddress,
  type IpPrefix,
  parseIp,
  text,
} from '../../../base/index.ts';
import type { ObjectTracking, WantedAddress } from '../../../vrrp/config.ts';
import { wholeNumber } from '../text/numbers.ts';
import { type Args, interfaceName, type Reader, takeInt, takeIp, takePrefix } from './args.ts';

type Scope = NonNullable<WantedAddress['scope']>;
const SCOPES: Readonly<Record<string, Scope | 'nowhere'>> = {
  global: 'global',
  universe: 'global',
  site: 'site',
  link: 'link',
  host: 'host',
  nowhere: 'nowhere',
};
/** A scope by name or number (rt_scopes(5)). */
export function takeScope(a: Args): Scope | 'nowhere' | undefined {
  const w = a.need(text('a scope', '作用域'));
  if (!w) return undefined;
  const named = SCOPES[w.text];
  if (named !== undefined) return named;
  const n = wholeNumber(w.text);
  if (n !== undefined && n >= 0 && n <= 255) {
    const known = ({ 0: 'global', 200: 'site', 253: 'link', 254: 'host', 255: 'nowhere' } as const)[n];
    return known ?? n;
  }
  return a.fault(
    'scope-invalid',
    text(`'${w.text}' is not a scope`, `'${w.text}' 不是作用域`),
    text('global, site, link, host, nowhere or 0..255', 'global、site、link、host、nowhere 或 0..255'),
  );
}

/** `no_track` and `track_group G`, which end addresses, routes and rules alike. Undefined: the next word is neither. */
export function takeTracking(a: Args): ObjectTracking | undefined {
  if (a.take('no_track')) return { kind: 'ignore' };
  if (!a.take('track_group')) return undefined;
  const group = a.need(text('a track group', '跟踪组名'));
  return group ? { kind: 'group', group: group.text } : { kind: 'ignore' };
}

/** What a line says; the builder fills in the interface. */
export type AddressValue = Omit<WantedAddress, 'interface' | 'interfaceGiven'> & { readonly interface?: string };
type Draft = { -readonly [K in keyof AddressValue]: AddressValue[K] };

const KEYWORDS = [
  'dev',
  'brd',
  'broadcast',
  'scope',
  'label',
  'peer',
  'home',
  '-nodad',
  'mngtmpaddr',
  'noprefixroute',
  'autojoin',
  'preferred_lft',
  'use_vmac',
] as const;

/** One address line: `[dev IF] ADDR[/LEN] [options]`, options in any order. */
export const addressLine: Reader<AddressValue> = (a) => {
  const v: Partial<Draft> & { tracking: ObjectTracking } = { tracking: { kind: 'follow' } };
  let prefix: IpPrefix | undefined;
  while (a.peek()) {
    const tracking = takeTracking(a);
    if (tracking) {
      v.tracking = tracking;
      continue;
    }
    const key = a.take(...KEYWORDS);
    if (key === undefined) {
      if (prefix) {
        const extra = a.next()!;
        a.fault(
          'address-word-unknown',
          text(`'${extra.text}' is not a word of an address line`, `地址行中没有 '${extra.text}' 这个词`),
          text(KEYWORDS.join(', '), KEYWORDS.join('、')),
        );
        continue;
      }
      prefix = takePrefix(a);
      if (!prefix) return undefined;
    } else if (!readOption(key, a, v, prefix)) return undefined;
  }
  if (!prefix) return a.fault('address-missing', text('this line has no address', '这一行没有地址'));
  if (v.peer && familyOf(v.peer.address) !== familyOf(prefix.address))
    return a.fault('address-family', text('the peer is of another family', 'peer 地址的协议族不同'));
  if (familyOf(prefix.address) === 6 && v.broadcast !== undefined)
    return a.fault('address-broadcast-ipv6', text('IPv6 has no broadcast', 'IPv6 没有广播地址'));
  return { ...v, prefix };
};

function readOption(key: (typeof KEYWORDS)[number], a: Args, v: Partial<Draft>, prefix: IpPrefix | undefined): boolean {
  switch (key) {
    case 'dev': {
      const name = interfaceName(a);
      if (name !== undefined) v.interface = name;
      return name !== undefined;
    }
    case 'brd':
    case 'broadcast': {
      if (a.take('+')) v.broadcast = 'derive';
      else if (a.take('-')) v.broadcast = 'none';
      else {
        const b = takeIp(a, 4);
        if (b === undefined) return false;
        v.broadcast = b;
      }
      return true;
    }
    case 'scope': {
      const s = takeScope(a);
      if (s === undefined) return false;
      v.scope = s === 'nowhere' ? 255 : s;
      return true;
    }
    case 'label': {
      const w = a.need(text('a label', '标签'));
      if (w) v.label = w.text;
      return w !== undefined;
    }
    case 'peer': {
      const p = takePrefix(a, prefix && familyOf(prefix.address));
      if (p) v.peer = p;
      return p !== undefined;
    }
    case 'home':
      v.home = true;
      return true;
    case '-nodad':
      v.detectDuplicates = true;
      return true;
    case 'mngtmpaddr':
      v.manageTempAddr = true;
      return true;
    case 'noprefixroute':
      v.noPrefixRoute = true;
      return true;
    case 'autojoin':
      v.autoJoin = true;
      return true;
    case 'preferred_lft': {
      if (a.take('forever')) v.preferredSeconds = 'forever';
      else {
        const n = takeInt(a, { min: 0, max: 2 ** 32 - 1 });
        if (n === undefined) return false;
        v.preferredSeconds = n;
      }
      return true;
    }
    case 'use_vmac':
      v.useVmac = true;
      return true;
  }
}

/** `default`, `any`, `all` or an address; undefined address = everything. */
export function takeDestination(a: Args, family: Family | undefined): { readonly prefix?: IpPrefix } | undefined {
  if (a.take('default', 'any', 'all')) return {};
  const prefix = takePrefix(a, family);
  if (!prefix) return undefined;
  return prefix.length === 0 ? {} : { prefix };
}

/** An address where a prefix of the full length is the same. */
export function wholeAddress(s: string): IpAddress | undefined {
  const [address = '', length] = s.split('/');
  const got = parseIp(address);
  if (!got.ok) return undefined;
  return length === undefined || Number(length) === hostLength(familyOf(got.value)) ? got.value : undefined;
}
