declare const brand: unique symbol;
/** A primitive with its unit in its type: a length in bytes is never added to a time. */
export type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Whole microseconds. All deadlines and the monotonic clock are in it: VRRP's skew needs it (interval x (256 - p) / 256). */
export type Microseconds = Brand<number, 'us'>;
/** Milliseconds since the Unix epoch, or a length in milliseconds where the name says so. */
export type Milliseconds = Brand<number, 'ms'>;
export type Bytes = Brand<number, 'bytes'>;

export const us = (n: number): Microseconds => n as Microseconds;
export const ms = (n: number): Milliseconds => n as Milliseconds;
export const bytes = (n: number): Bytes => n as Bytes;

/** Seconds, possibly with a fraction, to whole microseconds (nearest). */
export const seconds = (n: number): Microseconds => Math.round(n * 1_000_000) as Microseconds;
/** Microseconds as a decimal number of seconds without trailing zeros: `0.1`, `3.609375`. */
export const formatSeconds = (t: Microseconds): string => (t / 1_000_000).toFixed(6).replace(/\.?0+$/, '');
