/**
 * Link addresses of servers, for what asks nobody or looks at frames: the kernel is told to keep these neighbours resolved
 * (Linux 5.16; before that, what is sent to them keeps them known), and what it knows is read.
 */
import { familyOf, type IpAddress } from '../../base/index.ts';
import type { Netlink, Network } from '../../host/index.ts';
import type { MacAddress } from '../../wire/index.ts';

const NEW_NEIGHBOUR = 28;
const CREATE_REPLACE = 0x500;
const NDA = { destination: 1, extended: 15 } as const;
const MANAGED = 1;
/** NUD_REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT: the address is known. */
const KNOWN = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;
/** Of an Ethernet address as text. */
const TEXT_LENGTH = 17;

export type OnLink = { readonly ifindex: number; readonly address: IpAddress };
const keyOf = (n: OnLink): string => `${n.ifindex} ${n.address}`;

export class LinkAddresses {
  readonly #network: Pick<Network, 'neighbours'>;
  readonly #netlink: Netlink;
  readonly #asked = new Set<string>();
  #macs = new Map<string, MacAddress>();

  constructor(network: Pick<Network, 'neighbours'>, netlink: Netlink) {
    this.#network = network;
    this.#netlink = netlink;
  }
  /** Reads the tables of these devices; those that are newly wanted are asked for. */
  look(wanted: readonly OnLink[]): void {
    const fresh = new Map(wanted.filter((d) => !this.#asked.has(keyOf(d))).map((d) => [keyOf(d), d]));
    if (fresh.size > 0) this.#ask([...fresh.values()]);
    const macs = new Map<string, MacAddress>();
    for (const ifindex of new Set(wanted.map((d) => d.ifindex))) {
      const table = this.#network.neighbours(ifindex);
      for (const n of table.ok ? table.value : [])
        if ((n.state & KNOWN) !== 0 && n.mac.length === TEXT_LENGTH)
          macs.set(keyOf({ ifindex, address: n.address }), n.mac as MacAddress);
    }
    this.#macs = macs;
  }
  #ask(fresh: readonly OnLink[]): void {
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
    for (const f of fresh) this.#asked.add(keyOf(f));
  }
  /** As of the last look. */
  of(n: OnLink): MacAddress | undefined {
    return this.#macs.get(keyOf(n));
  }
}
