/** Persistence: clients of one network keep their server while they come back in time. Pure and bounded. */
import {
  familyOf,
  hostLength,
  type IpAddress,
  ipBytes,
  ipFromBytes,
  type Microseconds,
  seconds,
  us,
} from '../../../base/index.ts';
import type { ServerKey, WantedService } from '../../types.ts';

/** Clients that are remembered for one service; the one that was quiet for longest is forgotten first. */
const MOST = 65_536;

export class Affinity {
  /** In the order of the last use. */
  readonly #known = new Map<IpAddress, { readonly server: ServerKey; readonly until: Microseconds }>();

  find(p: WantedService['persistence'], client: IpAddress, now: Microseconds): ServerKey | undefined {
    if (p === undefined) return undefined;
    const known = this.#known.get(networkOf(client, p.granularity));
    return known && now < known.until ? known.server : undefined;
  }
  remember(p: WantedService['persistence'], client: IpAddress, server: ServerKey, now: Microseconds): void {
    if (p === undefined) return;
    const key = networkOf(client, p.granularity);
    this.#known.delete(key);
    this.#known.set(key, { server, until: us(now + seconds(p.seconds)) });
    if (this.#known.size <= MOST) return;
    const [oldest] = this.#known.keys();
    this.#known.delete(oldest as IpAddress);
  }
}

function networkOf(a: IpAddress, length: number = hostLength(familyOf(a))): IpAddress {
  const bytes = ipBytes(a);
  return ipFromBytes(bytes.map((b, i) => b & (0xff00 >> Math.min(8, Math.max(0, length - i * 8)))));
}
