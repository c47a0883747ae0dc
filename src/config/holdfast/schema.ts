/** The form of a holdfast.yaml as data. Reading and the JSON Schema for editors both come from it. */
import type { Text } from '../../base/index.ts';

/** What one scalar may be; it arrives as the text that was typed. Times in milliseconds, sizes in bytes, rates in bytes a second. */
export type ScalarType =
  | { readonly kind: 'text' }
  /** Of hosts, links, mirrors. */
  | { readonly kind: 'name' }
  | { readonly kind: 'path' }
  | { readonly kind: 'address' }
  | { readonly kind: 'yes-no' }
  | { readonly kind: 'word'; readonly words: readonly string[] }
  | { readonly kind: 'count'; readonly low: number; readonly high: number }
  | { readonly kind: 'time'; readonly low: number; readonly high: number }
  | { readonly kind: 'size'; readonly low: number; readonly high: number }
  | { readonly kind: 'rate'; readonly low: number; readonly high: number };

export type Schema =
  | { readonly is: 'scalar'; readonly type: ScalarType }
  | { readonly is: 'list'; readonly of: Schema }
  /** Any name, each with the same. */
  | { readonly is: 'map'; readonly of: Schema; readonly what: Text }
  | { readonly is: 'object'; readonly keys: Readonly<Record<string, Key>> }
  /** A scalar for the usual case, something longer for the rest. */
  | { readonly is: 'either'; readonly short: Schema; readonly long: Schema }
  /** A secret, which must not stand in the file. */
  | { readonly is: 'secret' };
export type Key = {
  readonly schema: Schema;
  readonly help: Text;
  readonly required?: true;
  /** Part of the format, not yet read by this version: told, and otherwise passed over. */
  readonly later?: true;
};

export const scalar = (type: ScalarType): Schema => ({ is: 'scalar', type });
export const list = (of: Schema): Schema => ({ is: 'list', of });
export const map = (what: Text, of: Schema): Schema => ({ is: 'map', of, what });
export const object = (keys: Readonly<Record<string, Key>>): Schema => ({ is: 'object', keys });
export const either = (short: Schema, long: Schema): Schema => ({ is: 'either', short, long });
export const name: Schema = scalar({ kind: 'name' });
export const path: Schema = scalar({ kind: 'path' });
export const yesNo: Schema = scalar({ kind: 'yes-no' });
export const oneOf = (...words: string[]): Schema => scalar({ kind: 'word', words });
export const count = (low: number, high: number): Schema => scalar({ kind: 'count', low, high });
export const time = (low: number, high: number): Schema => scalar({ kind: 'time', low, high });
