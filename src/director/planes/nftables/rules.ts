/** Steps of rules by name, so that a rule set can be read as one. Registers are words; 0 is where most values go. */
import type { Family } from '../../../base/index.ts';
import { NFT_HOOK, type NftChainHook, type NftExpression, type NftRegister } from '../../../wire/index.ts';

type Load = (to: NftRegister) => NftExpression;
const payload =
  (base: 'link' | 'network' | 'transport', offset: number, length: number): Load =>
  (to) => ({ is: 'payload', base, offset, length, to });

export const load = {
  etherSource: payload('link', 6, 6),
  saddr: { 4: payload('network', 12, 4), 6: payload('network', 8, 16) } as Record<Family, Load>,
  daddr: { 4: payload('network', 16, 4), 6: payload('network', 24, 16) } as Record<Family, Load>,
  sport: payload('transport', 0, 2),
  dport: payload('transport', 2, 2),
  transport: (offset: number, length: number): Load => payload('transport', offset, length),
  protocol: (to: NftRegister): NftExpression => ({ is: 'meta', key: 'l4proto', to }),
  mark: (to: NftRegister): NftExpression => ({ is: 'meta', key: 'mark', to }),
  ctMark: (to: NftRegister): NftExpression => ({ is: 'ct', key: 'mark', to }),
};
/** Words of a register that an address takes. */
export const addressWords = (f: Family): number => (f === 4 ? 1 : 4);

export const lookup = (set: string, from: NftRegister, to?: NftRegister | 'verdict'): NftExpression => ({
  is: 'lookup',
  set,
  from,
  ...(to !== undefined && { to }),
});
export const equals = (from: NftRegister, value: Uint8Array): NftExpression => ({ is: 'cmp', op: 'eq', from, value });
export const differs = (from: NftRegister, value: Uint8Array): NftExpression => ({ is: 'cmp', op: 'neq', from, value });
export const masked = (at: NftRegister, mask: Uint8Array): NftExpression => ({
  is: 'bitwise',
  from: at,
  to: at,
  mask,
  xor: new Uint8Array(mask.length),
});
export const verdict = (code: 'accept' | 'drop' | 'return'): NftExpression => ({ is: 'verdict', verdict: { code } });
export const goto = (chain: string): NftExpression => ({ is: 'verdict', verdict: { code: 'goto', chain } });
export const jump = (chain: string): NftExpression => ({ is: 'verdict', verdict: { code: 'jump', chain } });

const NFPROTO: Record<Family, number> = { 4: 2, 6: 10 };
/** In a table of family inet. */
export const onlyFamily = (f: Family): NftExpression[] => [
  { is: 'meta', key: 'nfproto', to: 0 },
  equals(0, Uint8Array.of(NFPROTO[f])),
];
/** linux/if_packet.h */
const PACKET_HOST = 0;
/** In a table of family netdev: by the Ethernet type. */
export const onlyEthernet = (f: Family): NftExpression[] => [
  { is: 'meta', key: 'protocol', to: 0 },
  equals(0, f === 4 ? Uint8Array.of(0x08, 0) : Uint8Array.of(0x86, 0xdd)),
];
/**
 * Only frames for another machine, which a switch that has forgotten where that is sends to everybody. The address of a
 * virtual router (RFC 9568 section 7.3) is nobody else's: it is of a device on top of the one that takes the frame.
 */
export const onlyOthers: readonly NftExpression[] = [
  { is: 'meta', key: 'pkttype', to: 0 },
  differs(0, Uint8Array.of(PACKET_HOST)),
  payload('link', 0, 5)(0),
  { is: 'range', op: 'neq', from: 0, low: Uint8Array.of(0, 0, 0x5e, 0, 1), high: Uint8Array.of(0, 0, 0x5e, 0, 2) },
];
export const onlyProtocol = (protocol: number): NftExpression[] => [
  load.protocol(0),
  equals(0, Uint8Array.of(protocol)),
];

export const hookOf = (
  type: NftChainHook['type'],
  at: keyof typeof NFT_HOOK,
  priority: number,
  devices: readonly string[] = [],
): NftChainHook => ({ type, number: NFT_HOOK[at], priority, devices, policy: 'accept' });
