/**
 * Services of which this host is a real server itself: their other servers may be directors too, and what those send here is
 * for the server on this host. Were it balanced again, a packet on whose server the two do not agree would circle. They are
 * known by link address; by service, since a server of one is a client of another. A server never asks its own service from
 * outside: the virtual address is on its `lo`.
 */
import type { Netlink, Network } from '../../../host/index.ts';
import type { WantedService } from '../../types.ts';
import { LinkAddresses, type OnLink } from '../link-addresses.ts';
import { serviceMark } from '../marks.ts';
import { type ElementSpec, type KernelTable, readElement } from '../nftables/index.ts';
import { fellows } from './direct.ts';
import type { ServiceImage } from './image.ts';

type Table = {
  readonly services: readonly WantedService[];
  image(key: string): ServiceImage | undefined;
  readonly kernel: Pick<KernelTable, 'apply' | 'elements'>;
  /** Another number after the table was read afresh. */
  readonly readings: number;
};
const idOf = (e: ElementSpec): string => e.key.join(' ');

/** The servers whose link addresses are to be known. */
const othersOf = (image: ServiceImage | undefined): OnLink[] =>
  image?.servers.some((s) => s.device === 0)
    ? image.servers.filter((s) => s.device !== 0).map((s) => ({ ifindex: s.device, address: s.address }))
    : [];

export class Fellows {
  readonly #table: Table;
  readonly #addresses: LinkAddresses;
  /** What lies in the kernel; undefined: that was not read yet. */
  #held: Map<string, ElementSpec> | undefined;
  #readings = 0;

  constructor(table: Table, network: Pick<Network, 'neighbours'>, netlink: Netlink) {
    this.#table = table;
    this.#addresses = new LinkAddresses(network, netlink);
  }
  /** About once a second: the set holds what the neighbours are known by now, and nothing of an earlier process. */
  tick(): void {
    const others = this.#table.services.flatMap((s) => {
      const image = this.#table.image(s.key);
      return othersOf(image).map((at) => ({ at, mark: serviceMark(image?.id ?? 0) }));
    });
    this.#addresses.look(others.map((o) => o.at));
    const wanted = new Map<string, ElementSpec>();
    for (const { at, mark } of others) {
      const mac = this.#addresses.of(at);
      if (mac === undefined) continue;
      const element = { key: [mac, mark] };
      wanted.set(idOf(element), element);
    }
    this.#hold(wanted);
  }
  #hold(wanted: ReadonlyMap<string, ElementSpec>): void {
    const held = this.#read();
    if (held === undefined) return;
    const remove = [...held].filter(([id]) => !wanted.has(id)).map(([, e]) => e);
    const add = [...wanted].filter(([id]) => !held.has(id)).map(([, e]) => e);
    if (remove.length + add.length === 0) return;
    const done = this.#table.kernel.apply([
      { do: 'elements-remove', set: fellows, elements: remove },
      { do: 'elements-add', set: fellows, elements: add },
    ]);
    this.#held = done.ok ? new Map(wanted) : undefined;
  }
  #read(): ReadonlyMap<string, ElementSpec> | undefined {
    if (this.#held !== undefined && this.#readings === this.#table.readings) return this.#held;
    const held = new Map<string, ElementSpec>();
    const done = this.#table.kernel.elements(fellows.name, (e) => {
      const element = readElement(fellows, e);
      if (element !== undefined) held.set(idOf(element), element);
    });
    this.#held = done.ok ? held : undefined;
    this.#readings = this.#table.readings;
    return this.#held;
  }
}
