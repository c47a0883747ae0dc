/** Values and verdicts, which keys, data and immediates have in common. */
import type { Attributes } from '../netlink/attributes.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import { A } from './numbers.ts';
import type { NftRegister, NftVerdict } from './types.ts';

/** NF_* and NFT_*, signed. */
const CODE: Record<NftVerdict['code'], number> = { drop: 0, accept: 1, continue: -1, jump: -3, goto: -4, return: -5 };
const CODE_NAME = new Map(Object.entries(CODE).map(([name, n]) => [n >>> 0, name as NftVerdict['code']]));

/** A verdict's register; values have the words above it. */
export const VERDICT_REGISTER = 0;
const FIRST_WORD = 8; // NFT_REG32_00
const REGISTER_WORDS = 16;

export const registerNumber = (r: NftRegister): number => FIRST_WORD + r;
/** The kernel speaks of whole 16-byte registers (1 to 4) where a value begins at one. */
export function registerOf(a: Attributes, type: number): NftRegister | undefined {
  const n = a.be32(type);
  if (n === undefined) return undefined;
  if (n >= 1 && n <= 4) return (n - 1) * 4;
  if (n >= FIRST_WORD && n < FIRST_WORD + REGISTER_WORDS) return n - FIRST_WORD;
  return a.reject(type);
}

export function writeValue(w: NetlinkWriter, type: number, value: Uint8Array): void {
  w.nest(type, () => w.attrBytes(A.data.value, value));
}
export const readValue = (a: Attributes, type: number): Uint8Array | undefined => {
  const value = a.nested(type)?.bytes(A.data.value);
  if (value !== undefined && value.length > REGISTER_WORDS * 4) return a.reject(type);
  return value;
};
export function writeVerdict(w: NetlinkWriter, type: number, v: NftVerdict): void {
  w.nest(type, () =>
    w.nest(A.data.verdict, () => {
      w.attrBe32(A.verdict.code, CODE[v.code] >>> 0);
      if ('chain' in v) w.attrText(A.verdict.chain, v.chain);
    }),
  );
}
export function readVerdict(a: Attributes, type: number): NftVerdict | undefined {
  const inside = a.nested(type)?.nested(A.data.verdict);
  if (inside === undefined) return undefined;
  const code = CODE_NAME.get(inside.be32(A.verdict.code) ?? 2);
  if (code === undefined) return a.reject(type);
  if (code !== 'jump' && code !== 'goto') return { code };
  const chain = inside.text(A.verdict.chain);
  return chain === undefined ? a.reject(type) : { code, chain };
}
