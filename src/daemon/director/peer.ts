/** The link to the other director, with the key from its file. */
import { randomBytes } from 'node:crypto';
import { ok } from '../../base/index.ts';
import { PeerLink, type Plane } from '../../director/index.ts';
import type { Host } from '../../host/index.ts';
import type { PeerOption } from '../command/options.ts';
import { readPeerKey } from '../command/peer-key.ts';

/** Undefined, and said so: without its key there is no link. */
export function openPeer(o: PeerOption, host: Host, planes: readonly Plane[]): PeerLink | undefined {
  const key = o.keyFile === undefined ? ok(undefined) : readPeerKey(o.keyFile);
  if (!key.ok) {
    host.log.write({ level: 'error', code: 'lb.peer-key', text: key.error });
    return undefined;
  }
  const { clock, log, sockets } = host;
  const link = { address: o.address, port: o.port, key: key.value };
  return new PeerLink(link, { clock, log, sockets, planes, random: (n) => randomBytes(n) });
}
