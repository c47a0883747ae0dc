import { type Family, hostLength } from '../../base/index.ts';
import type { AddressScope } from './types.ts';

/** AF_INET and AF_INET6 as Linux numbers them. */
export const AF: Record<Family, number> = { 4: 2, 6: 10 };
export const familyFromAf = (af: number): Family | undefined => (af === AF[4] ? 4 : af === AF[6] ? 6 : undefined);

const SCOPE = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;
const SCOPE_NAME = new Map<number, AddressScope | 'nowhere'>(
  Object.entries(SCOPE).map(([name, n]) => [n, name as keyof typeof SCOPE]),
);
export const scopeNumber = (s: AddressScope | 'nowhere'): number => (typeof s === 'number' ? s : SCOPE[s]);
export const scopeFromNumber = (n: number): AddressScope | 'nowhere' => SCOPE_NAME.get(n) ?? n;

/** Whether a prefix length from a message is possible at all. */
export const fits = (length: number, family: Family): boolean => length <= hostLength(family);
