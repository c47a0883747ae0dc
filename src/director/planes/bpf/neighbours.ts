/** Link addresses of servers, for XDP, which asks nobody: copied into the server's row. */
import type { Netlink, Network } from '../../../host/index.ts';
import { type MacAddress, macBytes } from '../../../wire/index.ts';
import { LinkAddresses, type OnLink } from '../link-addresses.ts';
import type { MacPair } from './layout.ts';
import type { ServerRow } from './tables.ts';

const onLink = (r: ServerRow): OnLink | undefined =>
  r.way.send === 'direct' ? { ifindex: r.way.ifindex, address: r.address } : undefined;

export class Neighbours {
  readonly #network: Network;
  readonly #addresses: LinkAddresses;

  constructor(network: Network, netlink: Netlink) {
    this.#network = network;
    this.#addresses = new LinkAddresses(network, netlink);
  }
  /** Reads the tables of these servers' devices; those that are newly wanted are asked for. */
  look(rows: readonly ServerRow[]): void {
    this.#addresses.look(rows.flatMap((r) => onLink(r) ?? []));
  }
  macs(r: ServerRow): MacPair | undefined {
    const at = onLink(r);
    if (at === undefined) return undefined;
    const mac = this.#addresses.of(at);
    const own = this.#network.linkByIndex(at.ifindex)?.mac;
    return mac === undefined || own?.length !== mac.length
      ? undefined
      : { server: macBytes(mac), own: macBytes(own as MacAddress) };
  }
  /** As text: what a row was written with, to see whether it must be written again. */
  textOf(r: ServerRow): string {
    const at = onLink(r);
    return (at && this.#addresses.of(at)) ?? '';
  }
}
