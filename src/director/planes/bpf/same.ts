import type { WantedServer, WantedService } from '../../types.ts';

const sameList = <T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean =>
  a === b || (a.length === b.length && a.every((x, i) => same(x, b[i] as T)));

function sameServer(a: WantedServer, b: WantedServer): boolean {
  if (a === b) return true;
  if (a.key !== b.key || a.weight !== b.weight || a.address !== b.address || a.port !== b.port) return false;
  if (a.upperThreshold !== b.upperThreshold || a.lowerThreshold !== b.lowerThreshold) return false;
  const [x, y] = [a.forwarding, b.forwarding];
  if (x.method !== 'tunnel' || y.method !== 'tunnel') return x.method === y.method;
  return x.type === y.type && x.port === y.port && x.checksum === y.checksum;
}
const NOBODY_AWAY: NonNullable<WantedService['away']> = [];
const sameAway = (a: WantedService, b: WantedService): boolean =>
  sameList(a.away ?? NOBODY_AWAY, b.away ?? NOBODY_AWAY, (x, y) => x.address === y.address && x.weight === y.weight);
function sameMatch(a: WantedService['match'], b: WantedService['match']): boolean {
  if (a === b) return true;
  if (a.by !== 'address' || b.by !== 'address')
    return a.by === 'fwmark' && b.by === 'fwmark' && a.mark === b.mark && a.family === b.family;
  const ranges = sameList(a.ranges, b.ranges, (x, y) => x.from === y.from && x.to === y.to);
  return ranges && a.protocol === b.protocol && a.port === b.port;
}

/** Whether this plane would do the same for both. Ten thousand services are gone through at every change of one. */
export const sameService = (a: WantedService, b: WantedService): boolean =>
  a === b ||
  (a.scheduler === b.scheduler &&
    a.onePacket === b.onePacket &&
    a.persistence?.granularity === b.persistence?.granularity &&
    (a.persistence === undefined) === (b.persistence === undefined) &&
    sameList(a.flags, b.flags, (x, y) => x === y) &&
    sameList(a.servers, b.servers, sameServer) &&
    sameAway(a, b) &&
    sameMatch(a.match, b.match));

const guarded = (s: WantedService): boolean => s.servers.some((x) => x.forwarding.method !== 'nat');
/** Whether the guard's entries are the same for both. */
export const sameGuard = (a: WantedService, b: WantedService): boolean =>
  guarded(a) === guarded(b) && sameMatch(a.match, b.match);
