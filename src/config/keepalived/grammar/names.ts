import { wholeNumber } from '../text/numbers.ts';

/** What iproute2's files call numbers, by kind; the built-in ones are always known. */
export type IprouteKind = 'tables' | 'protocols' | 'realms' | 'dsfield' | 'groups';
export type IprouteNames = Readonly<Record<IprouteKind, ReadonlyMap<string, number>>>;

/** rt_tables, rt_protos and rt_dsfield as every kernel and iproute2 has them. */
export const BUILT_IN_NAMES: IprouteNames = {
  tables: new Map([
    ['default', 253],
    ['main', 254],
    ['local', 255],
  ]),
  protocols: new Map([
    ['redirect', 1],
    ['kernel', 2],
    ['boot', 3],
    ['static', 4],
    ['gated', 8],
    ['ra', 9],
    ['mrt', 10],
    ['zebra', 11],
    ['bird', 12],
    ['dnrouted', 13],
    ['xorp', 14],
    ['ntk', 15],
    ['dhcp', 16],
    ['keepalived', 18],
    ['babel', 42],
    ['bgp', 186],
    ['isis', 187],
    ['ospf', 188],
    ['rip', 189],
    ['eigrp', 192],
  ]),
  realms: new Map([['cosmos', 0]]),
  dsfield: new Map([['default', 0]]),
  groups: new Map([['default', 0]]),
};

/** Reads `NUMBER NAME` lines, as rt_tables(5) has them; anything else is passed over, as iproute2 does. */
export function parseIprouteFile(content: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of content.split('\n')) {
    const m = /^\s*(0[xX][0-9a-fA-F]+|\d+)\s+([^\s#]+)/.exec(line);
    const n = m && wholeNumber(m[1]!);
    if (m && n !== undefined && n !== null) found.set(m[2]!, n);
  }
  return found;
}
