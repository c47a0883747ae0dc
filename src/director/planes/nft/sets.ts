/** Sets that both tables have, and what of a service lies in them alike. */
import type { WantedService } from '../../types.ts';
import { familyOfMatch, listens } from '../matches.ts';
import type { SetSpec } from '../nftables/index.ts';
import type { Entry } from './image.ts';

export type Families<T> = Record<4 | 6, T>;
export const families = [4, 6] as const;
export const both = <T>(make: (f: 4 | 6, address: 'ipv4_addr' | 'ipv6_addr') => T): Families<T> => ({
  4: make(4, 'ipv4_addr'),
  6: make(6, 'ipv6_addr'),
});
/** Most clients that persistence remembers, for each family. */
const STICK_SIZE = 262_144;
/** Each service sets its own. */
const STICK_DEFAULT_MS = 300_000;

/** From where a packet goes to the mark of its service. */
export const vip = both(
  (f, a): SetSpec => ({ name: `vip${f}`, key: [a, 'inet_proto', 'inet_service'], data: ['mark'] }),
);
export const any = both((f, a): SetSpec => ({ name: `any${f}`, key: [a, 'inet_proto'], data: ['mark'] }));
/** Where a service is listened to, in these two. */
export const listenEntries = (s: WantedService, mark: number): Entry[] => {
  const f = familyOfMatch(s.match);
  const data = [mark];
  return listens(s.match).map(({ address, protocol, port }) =>
    port === 0
      ? { set: any[f], key: [address, protocol], data }
      : { set: vip[f], key: [address, protocol, port], data },
  );
};
/** Servers to which new connections may come by persistence. */
export const open: SetSpec = { name: 'open', key: ['mark'] };
/** Which server a client had, for each service. */
export const stick = both(
  (f, a): SetSpec => ({
    name: `stick${f}`,
    key: ['mark', a],
    data: ['mark'],
    dynamic: { timeoutMs: STICK_DEFAULT_MS, size: STICK_SIZE },
  }),
);
export const counterSets = {
  in: { name: 'packets-in', key: ['mark'], counter: true },
  out: { name: 'packets-out', key: ['mark'], counter: true },
} as const satisfies Record<string, SetSpec>;
