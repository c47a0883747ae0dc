/** Values of every nftables codec, by its name, for the tests that walk all codecs. */
import fc from 'fast-check';
import type {
  NftChain,
  NftCounter,
  NftElement,
  NftElements,
  NftExpression,
  NftFamily,
  NftObject,
  NftRule,
  NftSet,
  NftTable,
  NftVerdict,
  nftablesCodecs,
} from '../../src/wire/nftables/index.ts';

type Parts<T> = { [K in keyof T]-?: fc.Arbitrary<Exclude<T[K], undefined>> };
/** Records as decoding makes them: with a prototype, and without what is absent. */
const record = <T extends object>(all: Parts<T>, optional: readonly (keyof T)[] = []): fc.Arbitrary<T> =>
  fc.record(all, {
    requiredKeys: Object.keys(all).filter((k) => !optional.includes(k as keyof T)),
    noNullPrototype: true,
  } as never) as unknown as fc.Arbitrary<T>;

const u8 = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const ms = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const device = fc.stringMatching(/^[a-z][a-z0-9.]{0,14}$/);
const family = fc.constantFrom<NftFamily>('inet', 'ip', 'ip6', 'netdev', 'bridge', 'arp');
const ipFamily = fc.constantFrom<4 | 6>(4, 6);
const register = fc.integer({ min: 0, max: 15 });
const value = fc.uint8Array({ minLength: 1, maxLength: 64 });
const counter: fc.Arbitrary<NftCounter> = record({ packets: u64, bytes: u64 });
const yes = fc.constant(true as const);
const is = <T extends string>(s: T): fc.Arbitrary<T> => fc.constant(s);
const verdict: fc.Arbitrary<NftVerdict> = fc.oneof(
  fc
    .constantFrom<'accept' | 'drop' | 'continue' | 'return'>('accept', 'drop', 'continue', 'return')
    .map((code) => ({ code })),
  fc.tuple(fc.constantFrom<'jump' | 'goto'>('jump', 'goto'), name).map(([code, chain]) => ({ code, chain })),
);
type Of<K extends NftExpression['is']> = Extract<NftExpression, { is: K }>;
const metaKey = fc.constantFrom<Of<'meta'>['key']>('protocol', 'mark', 'iif', 'oifname', 'nfproto', 'l4proto');
const ctKey = fc.constantFrom<Of<'ct'>['key']>('state', 'direction', 'status', 'mark');
const cmpOp = fc.constantFrom<Of<'cmp'>['op']>('eq', 'neq', 'lt', 'lte', 'gt', 'gte');
const sameLength = value.chain((a) =>
  fc.tuple(fc.constant(a), fc.uint8Array({ minLength: a.length, maxLength: a.length })),
);

const expression: fc.Arbitrary<NftExpression> = fc.oneof(
  record<Of<'meta'>>({ is: is('meta'), key: metaKey, to: register }),
  record<Of<'meta-set'>>({ is: is('meta-set'), key: metaKey, from: register }),
  record<Of<'payload'>>({
    is: is('payload'),
    base: fc.constantFrom('link', 'network', 'transport'),
    offset: u16,
    length: u8,
    to: register,
  }),
  record<Of<'ct'>>({ is: is('ct'), key: ctKey, to: register }),
  record<Of<'ct-set'>>({ is: is('ct-set'), key: ctKey, from: register }),
  record<Of<'cmp'>>({ is: is('cmp'), op: cmpOp, from: register, value }),
  record<Of<'range'>>({ is: is('range'), op: fc.constantFrom('eq', 'neq'), from: register, low: value, high: value }),
  fc
    .tuple(register, register, sameLength)
    .map(([from, to, [mask, xor]]): NftExpression => ({ is: 'bitwise', from, to, mask, xor })),
  record<Of<'immediate'>>({ is: is('immediate'), to: register, value }),
  verdict.map((v): NftExpression => ({ is: 'verdict', verdict: v })),
  record<Of<'lookup'>>(
    { is: is('lookup'), set: name, from: register, to: fc.oneof(register, is('verdict')), invert: yes },
    ['to', 'invert'],
  ),
  record<Of<'dynset'>>(
    {
      is: is('dynset'),
      op: fc.constantFrom('add', 'update', 'delete'),
      set: name,
      key: register,
      data: register,
      timeoutMs: ms,
    },
    ['data', 'timeoutMs'],
  ),
  record<Of<'numgen'>>({ is: is('numgen'), to: register, random: fc.boolean(), modulus: u32, offset: u32 }),
  record<Of<'jhash'>>({
    is: is('jhash'),
    from: register,
    length: u8,
    to: register,
    modulus: u32,
    seed: u32,
    offset: u32,
  }),
  counter.map((c): NftExpression => ({ is: 'counter', ...c })),
  record<Of<'object'>>({ is: is('object'), type: u8, name }),
  record<Of<'object-map'>>({ is: is('object-map'), set: name, from: register }),
  record<Of<'nat'>>(
    { is: is('nat'), type: fc.constantFrom('snat', 'dnat'), family: ipFamily, address: register, port: register },
    ['port'],
  ),
  fc.constant<NftExpression>({ is: 'masquerade' }),
  record<Of<'fwd'>>({ is: is('fwd'), device: register, neighbour: record({ family: ipFamily, address: register }) }, [
    'neighbour',
  ]),
  record<Of<'other'>>({
    is: is('other'),
    name: fc.constantFrom('quota', 'limit', 'log'),
    data: fc.uint8Array({ maxLength: 20 }),
  }),
);
const table: fc.Arbitrary<NftTable> = record({ family, name, flags: u8 });
const chain: fc.Arbitrary<NftChain> = record(
  {
    family,
    table: name,
    name,
    hook: record({
      type: fc.constantFrom('filter', 'nat', 'route'),
      number: fc.integer({ min: 0, max: 5 }),
      priority: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
      devices: fc.uniqueArray(device, { maxLength: 3 }),
      policy: fc.constantFrom('accept', 'drop'),
    }),
    comment: fc.stringMatching(/^[ -~]{1,100}$/),
  },
  ['hook', 'comment'],
);
const rule: fc.Arbitrary<NftRule> = record(
  { family, table: name, chain: name, handle: u64, expressions: fc.array(expression, { maxLength: 8 }) },
  ['handle'],
);
const set: fc.Arbitrary<NftSet> = record(
  {
    family,
    table: name,
    name,
    flags: u8,
    keyType: u32,
    keyLength: u8,
    dataType: u32.filter((n) => n < 0xffff_ff00),
    dataLength: u8,
    objectType: u8,
    timeoutMs: ms,
    size: u32,
    fields: fc.array(u8, { minLength: 1, maxLength: 4 }),
    counter: yes,
  },
  ['dataType', 'dataLength', 'objectType', 'timeoutMs', 'size', 'fields', 'counter'],
);
const element: fc.Arbitrary<NftElement> = fc.oneof(
  record<NftElement>(
    {
      key: value,
      data: value,
      verdict: fc.constant(undefined as never),
      object: name,
      flags: u8,
      timeoutMs: ms,
      expiresMs: ms,
      counter,
    },
    ['data', 'object', 'flags', 'timeoutMs', 'expiresMs', 'counter'],
  ).map(({ verdict: _, ...e }) => e),
  fc.tuple(value, verdict).map(([key, v]) => ({ key, verdict: v })),
);
const elements: fc.Arbitrary<NftElements> = record({
  family,
  table: name,
  set: name,
  elements: fc.array(element, { maxLength: 5 }),
});
const object: fc.Arbitrary<NftObject> = record({ family, table: name, name, counter });

export const nftablesArbitraries: Record<(typeof nftablesCodecs)[number]['name'], fc.Arbitrary<unknown>> = {
  'nftables table': table,
  'nftables chain': chain,
  'nftables rule': rule,
  'nftables set': set,
  'nftables elements': elements,
  'nftables object': object,
  'nftables generation': record({ id: u32 }),
};
