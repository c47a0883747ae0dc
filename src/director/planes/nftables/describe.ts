/** Commands as `nft` would take them, for logs, `config plan` and golden files. */
import { unreachable } from '../../../base/index.ts';
import { NFT_HOOK, type NftChainHook, type NftExpression, type NftVerdict } from '../../../wire/index.ts';
import type { TableCommand } from './command.ts';
import type { ElementSpec, Field, RuleSpec, SetSpec, TableName, Value } from './spec.ts';

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'ipv6-icmp', 132: 'sctp' };
const hex = (n: number): string => `0x${(n >>> 0).toString(16).padStart(8, '0')}`;
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

const fieldText = (f: Field, v: Value): string => {
  if (typeof v === 'string') return v;
  if (f === 'inet_proto') return PROTOCOLS[v] ?? String(v);
  return f === 'mark' ? hex(v) : String(v);
};
const valuesText = (fields: readonly Field[], values: readonly Value[]): string =>
  fields.map((f, i) => fieldText(f, values[i] as Value)).join(' . ');
function elementText(s: SetSpec, e: ElementSpec, keyOnly: boolean): string {
  const key = valuesText(s.key, e.key);
  if (keyOnly || s.data === undefined) return key;
  return `${key} : ${s.data === 'verdict' ? `goto ${e.goto}` : valuesText(s.data, e.data ?? [])}`;
}

const HOOK_NAMES = ['prerouting', 'input', 'forward', 'output', 'postrouting'];
function hookText(family: TableName['family'], h: NftChainHook): string {
  const at = family === 'netdev' && h.number === NFT_HOOK.ingress ? 'ingress' : HOOK_NAMES[h.number];
  const [device, ...others] = h.devices.map((d) => `"${d}"`);
  const on =
    device === undefined ? '' : others.length === 0 ? ` device ${device}` : ` devices = { ${h.devices.join(', ')} }`;
  return `type ${h.type} hook ${at}${on} priority ${h.priority}; policy ${h.policy};`;
}
function setText(s: SetSpec): string {
  const data = s.data === undefined ? '' : s.data === 'verdict' ? ' : verdict' : ` : ${s.data.join(' . ')}`;
  const more = s.dynamic
    ? ` flags dynamic,timeout; timeout ${s.dynamic.timeoutMs / 1000}s; size ${s.dynamic.size};`
    : s.counter
      ? ' counter;'
      : '';
  return `{ type ${s.key.join(' . ')}${data};${more} }`;
}

// ---------------------------------------------------------------------------------------------- rules

type Payload = Extract<NftExpression, { is: 'payload' }>;
const FIELDS: Readonly<Record<string, string>> = {
  'link 6 6': 'ether saddr',
  'network 12 4': 'ip saddr',
  'network 16 4': 'ip daddr',
  'network 8 16': 'ip6 saddr',
  'network 24 16': 'ip6 daddr',
  'transport 0 2': 'th sport',
  'transport 2 2': 'th dport',
};
const BASE = { link: 'll', network: 'nh', transport: 'th' } as const;
const payloadText = (e: Payload): string =>
  FIELDS[`${e.base} ${e.offset} ${e.length}`] ?? `@${BASE[e.base]},${e.offset * 8},${e.length * 8}`;

const bytesText = (b: Uint8Array): string => `0x${Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('')}`;
const number32 = (b: Uint8Array): number => new DataView(b.buffer, b.byteOffset, b.length).getUint32(0, LITTLE);
/** A value as nft writes it behind what it is compared with or set to. */
function constantText(what: string, b: Uint8Array): string {
  if (/mark|numgen|jhash|ct status/.test(what) && b.length === 4) return hex(number32(b));
  if (what.startsWith('meta l4proto')) return PROTOCOLS[b[0] as number] ?? String(b[0]);
  if (what.startsWith('meta nfproto')) return b[0] === 2 ? 'ipv4' : 'ipv6';
  if (what.startsWith('meta protocol')) return bytesText(b) === '0x0800' ? 'ip' : 'ip6';
  if (what.startsWith('ct state') && b.length === 4)
    return number32(b) === 0 ? '0' : (STATES[number32(b)] ?? hex(number32(b)));
  if (what === 'ct direction') return b[0] === 0 ? 'original' : 'reply';
  return bytesText(b);
}
const STATES: Readonly<Record<number, string>> = {
  1: 'invalid',
  2: 'established',
  4: 'related',
  8: 'new',
  64: 'untracked',
};
const OPERATORS = { eq: '', neq: '!= ', lt: '< ', lte: '<= ', gt: '> ', gte: '>= ' } as const;
/** Nothing stands for equality, but behind a mask. */
const comparison = (what: string, op: keyof typeof OPERATORS, value: Uint8Array): string =>
  `${what} ${op === 'eq' && what.includes('&') ? '== ' : OPERATORS[op]}${constantText(what, value)}`;
const verdictText = (v: NftVerdict): string => ('chain' in v ? `${v.code} ${v.chain}` : v.code);

/** What each register holds, as text, while the rule is walked. */
class Registers {
  readonly #words = new Map<number, { readonly text: string; readonly words: number }>();

  set(at: number, text: string, bytes = 4): void {
    this.#words.set(at, { text, words: Math.max(1, (bytes + 3) >> 2) });
  }
  one(at: number): string {
    return this.#words.get(at)?.text ?? '?';
  }
  /** All that lies one behind another from `at`, over `bytes`; undefined = as far as it goes. */
  joined(at: number, bytes?: number): string {
    const parts: string[] = [];
    const end = bytes === undefined ? Number.POSITIVE_INFINITY : at + ((bytes + 3) >> 2);
    for (let i = at; i < end; ) {
      const word = this.#words.get(i);
      if (word === undefined) break;
      parts.push(word.text);
      i += word.words;
    }
    return parts.length === 0 ? '?' : parts.join(' . ');
  }
  /** A value used up: a later lookup must not see it behind its own. */
  clear(): void {
    this.#words.clear();
  }
}

/** One rule; `keyBytes` says how long the key of a set is. */
export function ruleText(rule: RuleSpec, keyWords: (set: string) => number | undefined): string {
  const r = new Registers();
  const key = (set: string, at: number): string => {
    const words = keyWords(set);
    return r.joined(at, words === undefined ? undefined : words * 4);
  };
  const out: string[] = [];
  for (const e of rule) {
    switch (e.is) {
      case 'meta':
        r.set(e.to, `meta ${e.key}`);
        break;
      case 'ct':
        r.set(e.to, `ct ${e.key}`);
        break;
      case 'payload':
        r.set(e.to, payloadText(e), e.length);
        break;
      case 'immediate':
        r.set(e.to, bytesText(e.value), e.value.length);
        break;
      case 'bitwise':
        r.set(e.to, `${r.one(e.from)} & ${constantText(r.one(e.from), e.mask)}`, e.mask.length);
        break;
      case 'numgen':
        r.set(
          e.to,
          `numgen ${e.random ? 'random' : 'inc'} mod ${e.modulus}${e.offset === 0 ? '' : ` offset ${e.offset}`}`,
        );
        break;
      case 'jhash': {
        const of = r.joined(e.from, e.length);
        const offset = e.offset === 0 ? '' : ` offset ${e.offset}`;
        r.set(e.to, `jhash ${of} mod ${e.modulus} seed 0x${e.seed.toString(16)}${offset}`);
        break;
      }
      case 'cmp':
        out.push(comparison(r.one(e.from), e.op, e.value));
        break;
      case 'range':
        out.push(`${r.one(e.from)} ${OPERATORS[e.op]}${bytesText(e.low)}-${bytesText(e.high)}`);
        break;
      case 'lookup': {
        const of = key(e.set, e.from);
        if (e.to === 'verdict') out.push(`${of} vmap @${e.set}`);
        else if (e.to === undefined) out.push(`${of} ${e.invert ? '!= ' : ''}@${e.set}`);
        else {
          r.clear();
          r.set(e.to, `${of} map @${e.set}`);
        }
        break;
      }
      case 'meta-set':
        out.push(`meta ${e.key} set ${e.from === undefined ? '' : setValue(r.one(e.from))}`);
        break;
      case 'ct-set':
        out.push(`ct ${e.key} set ${setValue(r.one(e.from))}`);
        break;
      case 'dynset': {
        const timeout = e.timeoutMs === undefined ? '' : ` timeout ${e.timeoutMs / 1000}s`;
        const data = e.data === undefined ? '' : ` : ${r.one(e.data)}`;
        out.push(`${e.op} @${e.set} { ${key(e.set, e.key)}${timeout}${data} }`);
        break;
      }
      case 'nat': {
        const family = e.family === 4 ? 'ip' : 'ip6';
        out.push(`${e.type} ${family}${e.port === undefined ? '' : ' addr . port'} to ${r.one(e.address)}`);
        break;
      }
      case 'fwd': {
        const to = e.neighbour && ` ${e.neighbour.family === 4 ? 'ip' : 'ip6'} to ${r.one(e.neighbour.address)}`;
        out.push(`fwd${to ?? ''} ${to === undefined ? 'to' : 'device'} ${r.one(e.device)}`);
        break;
      }
      case 'counter':
        out.push('counter');
        break;
      case 'verdict':
        out.push(verdictText(e.verdict));
        break;
      case 'masquerade':
        out.push('masquerade');
        break;
      case 'object':
        out.push(`counter name ${e.name}`);
        break;
      case 'object-map':
        out.push(`counter name ${r.one(e.from)} map @${e.set}`);
        break;
      case 'other':
        out.push(`[${e.name}]`);
        break;
      default:
        unreachable(e);
    }
  }
  return out.join(' ');
}
/** A constant that is set is a mark: bytes in the machine's order. */
function setValue(s: string): string {
  const m = /^0x([0-9a-f]{8})$/.exec(s);
  if (m === null) return s;
  return hex(number32(Uint8Array.from((m[1] as string).match(/../g) ?? [], (x) => Number.parseInt(x, 16))));
}

/** One line for each command; `sets` are those that rules may speak of. */
export function describeCommands(t: TableName, commands: readonly TableCommand[], sets: readonly SetSpec[]): string[] {
  const name = `${t.family} ${t.name}`;
  const words = new Map(sets.map((s) => [s.name, keyWordsOf(s)]));
  return commands.flatMap((c): string[] => {
    switch (c.do) {
      case 'table-add':
        return [`add table ${name}`];
      case 'table-remove':
        return [`delete table ${name}`];
      case 'set-add':
        return [`add ${c.set.data === undefined ? 'set' : 'map'} ${name} ${c.set.name} ${setText(c.set)}`];
      case 'chain-add': {
        const { hook, comment } = c.chain;
        const parts = [hook && hookText(t.family, hook), comment !== undefined && `comment "${comment}";`].filter(
          Boolean,
        );
        return [`add chain ${name} ${c.chain.name}${parts.length === 0 ? '' : ` { ${parts.join(' ')} }`}`];
      }
      case 'chain-remove':
        return [`delete chain ${name} ${c.chain}`];
      case 'rules-add':
        return c.rules.map((r) => `add rule ${name} ${c.chain} ${ruleText(r, (s) => words.get(s))}`);
      case 'rules-flush':
        return [`flush chain ${name} ${c.chain}`];
      case 'elements-add':
      case 'elements-remove': {
        if (c.elements.length === 0) return [];
        const remove = c.do === 'elements-remove';
        const list = c.elements.map((e) => elementText(c.set, e, remove)).join(', ');
        return [`${remove ? 'delete' : 'add'} element ${name} ${c.set.name} { ${list} }`];
      }
      default:
        return unreachable(c);
    }
  });
}
const WORDS: Partial<Record<Field, number>> = { ipv6_addr: 4, ether_addr: 2 };
const keyWordsOf = (s: SetSpec): number => s.key.reduce((n, f) => n + (WORDS[f] ?? 1), 0);
