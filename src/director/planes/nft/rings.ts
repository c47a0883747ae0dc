/** What the rules would say of a flow that nobody remembers: the same draws, by the same hash over the same words. */
import { type IpAddress, ipBytes, unreachable } from '../../../base/index.ts';
import { DRAWS } from '../../ring/index.ts';
import type { WantedService } from '../../types.ts';
import { listens } from '../matches.ts';
import type { ServiceImage } from './image.ts';
import { jhash, scaled } from './jhash.ts';
import { SEED } from './pick.ts';

/** As the client's packets have it. */
export type FlowEnds = { readonly client: IpAddress; readonly clientPort: number };

/** As `drawRules` of pick.ts does it: the number of the server, 0 where nobody has a seat. */
function drawn(slots: Uint16Array, address: IpAddress, port?: number): number {
  const bytes = ipBytes(address);
  const key = new Uint8Array(bytes.length + (port === undefined ? 0 : 4));
  key.set(bytes);
  // What a field does not fill of its register's word is zero.
  if (port !== undefined) new DataView(key.buffer).setUint16(bytes.length, port);
  const seats = slots.length - 1;
  if (seats < 0) return 0; // what an earlier process left in pieces
  for (let i = 0; i < DRAWS; i++) {
    const server = slots[scaled(jhash(key, SEED + i), seats)] as number;
    if (server !== 0) return server;
  }
  return slots[seats] as number;
}

/**
 * Whether a flow's server, by its number, is found again by the slots alone. Never where slots are dealt in turn: by what
 * another director has counted they are filled otherwise.
 */
export function slotsFind(s: WantedService, image: ServiceImage): (f: FlowEnds, server: number) => boolean {
  const { kind, slots } = image;
  const at = (address: IpAddress, port?: number): number => drawn(slots, address, port);
  switch (kind?.choice) {
    case undefined:
    case 'turn':
    case 'chance':
      return () => false;
    case 'source':
      return (f, server) => at(f.client) === server;
    case 'source-port':
      return (f, server) => at(f.client, f.clientPort) === server;
    case 'destination': {
      // A flow is not remembered by the service's address. Where that has several, any of their servers will do.
      const servers = new Set(listens(s.match).map((l) => at(l.address)));
      return (_f, server) => servers.has(server);
    }
    default:
      return unreachable(kind as never);
  }
}
