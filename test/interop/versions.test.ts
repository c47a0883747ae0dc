/** Holdfast and keepalived 2.2.7 as one virtual router, in both roles: every version, family and authentication. */

import type { TestContext } from 'node:test';
import { describe, test } from 'node:test';
import { withoutTcpdump } from '../support/tcpdump.ts';
import { type Exchange, exchange, roles } from './exchange.ts';
import { LINK, type Rig, routerAddress } from './rig.ts';

const authentication = (type: string): readonly string[] => [
  'authentication {',
  `    auth_type ${type}`,
  '    auth_pass s3cret12',
  '}',
];
/** As the kernel makes it from the link's Ethernet address (EUI-64, RFC 4291 appendix A). */
const linkLocal = (rig: Rig, router: 1 | 2): string => {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = rig.lab
    .link(`r${router}`, LINK)
    .mac.split(':')
    .map((x) => Number.parseInt(x, 16));
  const groups = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  return `fe80::${groups.map((g) => g.toString(16)).join(':')}`.replace(/::0:/, '::');
};
const unicast = (router: 1 | 2): readonly string[] => [
  `unicast_src_ip ${routerAddress(router)}`,
  'unicast_peer {',
  `    ${routerAddress(router === 1 ? 2 : 1)}`,
  '}',
];

const v2 = { version: 2, vrid: 51, advertInt: 1, addresses: ['10.9.0.50'] } as const;
const v3 = { version: 3, vrid: 52, advertInt: 0.5, addresses: ['10.9.0.50', '10.9.0.51/16'] } as const;
const exchanges: Readonly<Record<string, Exchange>> = {
  'v2 without authentication': { instance: v2 },
  'v2 with a password (PASS)': { instance: v2, lines: () => authentication('PASS') },
  'v2 with AH': { instance: v2, lines: () => authentication('AH') },
  'v3 over IPv4': { instance: v3 },
  'v3 over IPv6': {
    instance: { version: 3, vrid: 53, advertInt: 0.5, addresses: ['fe80::50', 'fd00:9::50'] },
    address: 'fd00:9::50',
    source: linkLocal,
  },
  'v3 to unicast peers': { instance: v3, lines: unicast, seenByClient: false },
  'v2 to unicast peers with a password': {
    instance: v2,
    lines: (router) => [...unicast(router), ...authentication('PASS')],
    seenByClient: false,
  },
};

describe('one virtual router of Holdfast and keepalived', { concurrency: 4 }, () => {
  for (const [name, e] of Object.entries(exchanges))
    for (const role of roles)
      test(
        `${name}: ${role.master} is master, ${role.backup} takes over and gives back`,
        { skip: withoutTcpdump },
        (t: TestContext) => exchange(t, role, e),
      );
});
