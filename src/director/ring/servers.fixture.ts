/** Servers of any weights, for tests of what spreads flows over them. */
import fc from 'fast-check';

export const pool = fc.uniqueArray(
  fc.record({
    key: fc.integer({ min: 1, max: 5000 }).map((n) => `10.9.${n >> 8}.${n & 255}:80`),
    weight: fc.integer({ min: 0, max: 40 }),
  }),
  { selector: (s) => s.key, minLength: 1, maxLength: 30 },
);
/** In another order, as `noise` says. */
export const shuffled = <T>(list: readonly T[], noise: fc.Stream<number>): T[] =>
  list
    .map((s) => ({ s, at: noise.next().value }))
    .sort((a, b) => a.at - b.at)
    .map((x) => x.s);
