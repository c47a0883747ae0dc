/** Values of the NBD codecs, by their names in the registry. */
import fc from 'fast-check';
import { NBD_CHUNK } from '../../src/wire/index.ts';

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const data = fc.uint8Array({ maxLength: 64 });
const words = fc.string({ unit: 'binary', maxLength: 40 }).map((s) => s.replaceAll('\0', ''));
const extent = record({ length: u64, flags: u64 });
const narrow = record({ length: fc.bigInt({ min: 0n, max: 0xffff_ffffn }), flags: fc.bigInt({ min: 0n, max: 7n }) });

const chunk = <T extends object>(type: number, rest: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  rest.map((r) => ({ type, ...r }));

export const nbdArbitraries: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  'nbd greeting': record({ flags: u16 }),
  'nbd option': record({ option: u32, data }),
  'nbd option reply': record({ option: u32, type: u32, data }),
  'nbd info request': record({ name: words, wanted: fc.array(u16, { maxLength: 8 }) }),
  'nbd context request': record({ name: words, queries: fc.array(words, { maxLength: 8 }) }),
  'nbd info': fc.oneof(
    record({ kind: fc.constant('export'), size: u64, flags: u16 }),
    record({ kind: fc.constant('name'), name: words }),
    record({ kind: fc.constant('description'), description: words }),
    record({ kind: fc.constant('block-size'), minimum: u32, preferred: u32, maximum: u32 }),
    record({ kind: fc.constant('other'), type: fc.integer({ min: 4, max: 0xffff }), data }),
  ),
  'nbd listed export': record({ name: words, description: words }),
  'nbd context': record({ id: u32, name: words }),
  'nbd request': fc.oneof(
    record({ extended: fc.constant(true), flags: u16, type: u16, cookie: u64, offset: u64, length: u64 }),
    record({
      extended: fc.constant(false),
      flags: u16,
      type: u16,
      cookie: u64,
      offset: u64,
      length: fc.bigInt({ min: 0n, max: 0xffff_ffffn }),
    }),
  ),
  'nbd reply header': fc.oneof(
    record({ kind: fc.constant('simple'), error: u32, cookie: u64 }),
    record({
      kind: fc.constant('chunk'),
      flags: u16,
      type: u16,
      cookie: u64,
      length: fc.bigInt({ min: 0n, max: 0xffff_ffffn }),
      offset: fc.constant(undefined),
    }),
    record({ kind: fc.constant('chunk'), flags: u16, type: u16, cookie: u64, length: u64, offset: u64 }),
  ),
  'nbd chunk none': fc.constant({ type: NBD_CHUNK.none }),
  'nbd chunk offsetData': chunk(
    NBD_CHUNK.offsetData,
    record({ offset: u64, data: fc.uint8Array({ minLength: 1, maxLength: 64 }) }),
  ),
  'nbd chunk offsetHole': chunk(NBD_CHUNK.offsetHole, record({ offset: u64, length: u32 })),
  'nbd chunk blockStatus': chunk(
    NBD_CHUNK.blockStatus,
    record({ context: u32, extents: fc.array(narrow, { maxLength: 6 }) }),
  ),
  'nbd chunk extendedBlockStatus': chunk(
    NBD_CHUNK.extendedBlockStatus,
    record({ context: u32, extents: fc.array(extent, { maxLength: 6 }) }),
  ),
  'nbd chunk error': chunk(NBD_CHUNK.error, record({ error: u32, message: words })),
  'nbd chunk errorOffset': chunk(NBD_CHUNK.errorOffset, record({ error: u32, message: words, offset: u64 })),
};
