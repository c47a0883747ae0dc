/** Executes what a dead beat process left: its addresses go, and its peers learn at once that nobody is master here. */
import { type IpAddress, text } from '../../base/index.ts';
import type { Host } from '../../host/index.ts';
import type { LastWill } from '../../vrrp/index.ts';

/** RFC 9568 section 5.1.1.3. */
const TTL = 255;
/** Where the checksum is in an advert (RFC 9568 section 5.2); for IPv6 the kernel fills it in. */
const CHECKSUM_AT = 6;

/** Removal first: from then on nobody answers for the address here, and only then may a peer take over. */
export function executeWill(will: LastWill, host: Pick<Host, 'network' | 'sockets' | 'log'>): void {
  for (const r of host.network.apply(will.commands)) {
    if (r.ok) continue;
    const { code, doing } = r.error;
    const words = text(`${doing.en}: ${code}`, `${doing.zh}：${code}`);
    host.log.write({ level: 'error', code: 'will.remove', text: words });
  }
  resign(will.adverts, host);
}

/** Sends the priority-0 adverts alone. */
export function resign(adverts: LastWill['adverts'], host: Pick<Host, 'sockets'>): void {
  for (const a of adverts) {
    const socket = host.sockets.raw(
      {
        family: a.family,
        protocol: a.protocol,
        ifindex: a.ifindex,
        groups: [],
        ttl: TTL,
        ...(a.family === 4 ? { ownHeader: true } : { checksumOffset: CHECKSUM_AT }),
        ...(a.source === undefined ? {} : { source: a.source as IpAddress }),
      },
      () => {},
    );
    if (!socket.ok) continue; // the interface went away together with the beat: nobody to tell
    socket.value.send(a.bytes, { address: a.destination as IpAddress });
    socket.value.close();
  }
}
