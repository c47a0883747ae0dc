/**
 * Link addresses of servers, for XDP, which asks nobody: the kernel is told to keep these neighbours resolved (Linux
 * 5.16; before that, what tc sends keeps them known), and what it knows is copied into the server's row.
 */
import { familyOf, type IpAddress } from '../../../base/index.ts';
import type { Netlink, Network } from '../../../host/index.ts';
import type { MacPair } from './layout.ts';
import type { ServerRow } from './tables.ts';

const NEW_NEIGHBOUR = 28;
const CREATE_REPLACE = 0x500;
const NDA = { destination: 1, extended: 15 } as const;
const MANAGED = 1;
/** NUD_REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT: the address is known. */
const KNOWN = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;

const macBytes = (mac: string): Uint8Array => Uint8Array.from(mac.split(':'), (h) => Number.parseInt(h, 16));
const keyOf = (ifindex: number, a: IpAddress): string => `${ifindex} ${a}`;

export class Neighbours {
  readonly #network: Network;
  readonly #netlink: Netlink;
  readonly #asked = new Set<string>();
  #macs = new Map<string, string>();

  constructor(network: Network, netlink: Netlink) {
    this.#network = network;
    this.#netlink = netlink;
  }
  /** Reads the tables of these servers' devices; those that are newly wanted are asked for. */
  look(rows: readonly ServerRow[]): void {
    const direct = rows.flatMap((r) =>
      r.way.send === 'direct' ? [{ ifindex: r.way.ifindex, address: r.address }] : [],
    );
    const fresh = direct.filter((d) => !this.#asked.has(keyOf(d.ifindex, d.address)));
    if (fresh.length > 0) this.#ask(fresh);
    const macs = new Map<string, string>();
    for (const ifindex of new Set(direct.map((d) => d.ifindex))) {
      const table = this.#network.neighbours(ifindex);
      for (const n of table.ok ? table.value : [])
        if ((n.state & KNOWN) !== 0 && n.mac.length === 17) macs.set(keyOf(ifindex, n.address), n.mac);
    }
    this.#macs = macs;
  }
  #ask(fresh: readonly { readonly ifindex: number; readonly address: IpAddress }[]): void {
    const channel = this.#netlink.open('route');
    if (!channel.ok) return;
    channel.value.transact(
      fresh.map((f) => ({
        type: NEW_NEIGHBOUR,
        flags: CREATE_REPLACE,
        write: (w) =>
          w
            .u32(familyOf(f.address) === 4 ? 2 : 10)
            .u32(f.ifindex)
            .u32(0)
            .attrIp(NDA.destination, f.address)
            .attrU32(NDA.extended, MANAGED),
      })),
    );
    channel.value.close();
    for (const f of fresh) this.#asked.add(keyOf(f.ifindex, f.address));
  }
  macs(r: ServerRow): MacPair | undefined {
    if (r.way.send !== 'direct') return undefined;
    const mac = this.#macs.get(keyOf(r.way.ifindex, r.address));
    const own = this.#network.linkByIndex(r.way.ifindex)?.mac;
    return mac === undefined || own?.length !== 17 ? undefined : { server: macBytes(mac), own: macBytes(own) };
  }
  /** As text: what a row was written with, to see whether it must be written again. */
  textOf(r: ServerRow): string {
    return r.way.send === 'direct' ? (this.#macs.get(keyOf(r.way.ifindex, r.address)) ?? '') : '';
  }
}
