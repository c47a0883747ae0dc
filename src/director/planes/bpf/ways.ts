/** How a server is reached from here, or why not: by the links, addresses and routes of this host. */
import {
  err,
  familyOf,
  hostLength,
  type IpAddress,
  type IpPrefix,
  ipBytes,
  ok,
  type Result,
  text,
} from '../../../base/index.ts';
import type { Link, LinkAddress, Route } from '../../../host/index.ts';
import type { Refusal, WantedServer } from '../../types.ts';
import type { Way } from './tables.ts';

export type Facts = {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  /** Of the main table, both families. */
  readonly routes: readonly Route[];
};

/** Whether the address, as bytes, is in the block. */
function contains(block: Uint8Array, length: number, a: Uint8Array): boolean {
  if (block.length !== a.length) return false;
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (block[i] !== a[i]) return false;
  const rest = length & 7;
  return rest === 0 || ((block[whole] as number) ^ (a[whole] as number)) >> (8 - rest) === 0;
}

const ETHERNET = 1;
const refuse = (code: string, en: string, zh: string): Result<never, Refusal> => err({ code, text: text(en, zh) });

type Block = { readonly bytes: Uint8Array; readonly length: number; readonly link: Link };
/** What is looked up for each server, put in order once. */
type Ordered = {
  readonly facts: Facts;
  readonly own: ReadonlySet<IpAddress>;
  /** Subnets of this host's links, the most specific first. */
  readonly subnets: readonly Block[];
  /** Where routes lead, gateways included; the best first. */
  readonly routes: readonly Block[];
};
function inOrder(facts: Facts): Ordered {
  const links = new Map(facts.links.map((l) => [l.ifindex, l]));
  const block = (p: IpPrefix, ifindex: number | undefined): Block[] => {
    const link = links.get(ifindex ?? 0);
    return link ? [{ bytes: ipBytes(p.address), length: p.length, link }] : [];
  };
  const subnets = facts.addresses
    .filter((x) => x.peer === undefined && x.prefix.length < hostLength(familyOf(x.prefix.address)))
    .flatMap((x) => block(x.prefix, x.ifindex))
    .sort((x, y) => y.length - x.length);
  const everywhere = {
    4: { address: '0.0.0.0' as IpAddress, length: 0 },
    6: { address: '::' as IpAddress, length: 0 },
  };
  const routes = facts.routes
    .filter((r) => r.type === 'unicast')
    .sort((x, y) => (y.destination?.length ?? 0) - (x.destination?.length ?? 0) || (x.metric ?? 0) - (y.metric ?? 0))
    .flatMap((r) => block(r.destination ?? everywhere[r.family], r.hops[0]?.ifindex));
  return { facts, own: new Set(facts.addresses.map((a) => a.prefix.address)), subnets, routes };
}
const find = (blocks: readonly Block[], a: Uint8Array): Link | undefined =>
  blocks.find((b) => contains(b.bytes, b.length, a))?.link;

/** Own address on the link, of the family and not of one host alone where there is a better one. */
function sourceOn(f: Facts, link: Link, to: IpAddress): IpAddress | undefined {
  const host = familyOf(to) === 4 ? 32 : 128;
  const own = f.addresses.filter(
    (x) =>
      x.ifindex === link.ifindex && familyOf(x.prefix.address) === familyOf(to) && x.scope !== 'link' && !x.tentative,
  );
  const bytes = ipBytes(to);
  const near = own.find((x) => contains(ipBytes(x.prefix.address), x.prefix.length, bytes));
  return (near ?? own.find((x) => x.prefix.length < host) ?? own[0])?.prefix.address;
}

function wayTo(o: Ordered, s: WantedServer): Result<Way, Refusal> {
  const { forwarding, address } = s;
  if (o.own.has(address)) return ok({ send: 'here' });
  const bytes = ipBytes(address);
  if (forwarding.method === 'nat')
    return refuse(
      'bpf-nat',
      `${s.key}: the bpf plane does DR and TUN; NAT is for nft or ipvs`,
      `${s.key}：bpf 平面支持 DR 与 TUN；NAT 请用 nft 或 ipvs`,
    );
  if (forwarding.method !== 'tunnel') {
    const link = find(o.subnets, bytes);
    if (!link)
      return refuse(
        'bpf-dr-off-link',
        `${s.key}: DR reaches only servers on a link of this host, and no interface has an address in the subnet of ${address}; TUN goes through routers`,
        `${s.key}：DR 只能到达与本机直连的服务器，而没有接口地址与 ${address} 同网段；跨路由器请用 TUN`,
      );
    return link.hardware === ETHERNET
      ? ok({ send: 'direct', ifindex: link.ifindex })
      : refuse(
          'bpf-not-ethernet',
          `${s.key}: ${link.name} is no Ethernet interface`,
          `${s.key}：${link.name} 不是以太网接口`,
        );
  }
  if (forwarding.checksum !== 'none')
    return refuse(
      'bpf-tunnel-checksum',
      `${s.key}: tunnels of the bpf plane carry no checksum of their own`,
      `${s.key}：bpf 平面的隧道不带校验和`,
    );
  const link = find(o.subnets, bytes) ?? find(o.routes, bytes);
  const source = link && sourceOn(o.facts, link, address);
  if (!link || source === undefined)
    return refuse(
      'bpf-no-route',
      `${s.key}: no route to ${address}, or no own address to send from`,
      `${s.key}：没有到 ${address} 的路由，或没有可用的源地址`,
    );
  if (link.hardware !== ETHERNET)
    return refuse(
      'bpf-not-ethernet',
      `${s.key}: ${link.name} is no Ethernet interface`,
      `${s.key}：${link.name} 不是以太网接口`,
    );
  const guePort = forwarding.type === 'gue' ? (forwarding.port ?? 6080) : 0;
  return ok({ send: forwarding.type, ifindex: link.ifindex, source, mtu: link.mtu, guePort });
}

/** Ways by what they depend on: a hundred thousand servers are asked for when a director starts, most of them twice. */
export class Ways {
  readonly #read: () => Facts;
  #ordered: Ordered | undefined;
  /** By the kind of forwarding, then by address: no text is put together where none need be. */
  readonly #known = new Map<string, Map<IpAddress, Result<Way, Refusal>>>();

  constructor(read: () => Facts) {
    this.#read = read;
  }
  to(s: WantedServer): Result<Way, Refusal> {
    const f = s.forwarding;
    const kind = f.method === 'tunnel' ? `${f.type} ${f.port} ${f.checksum}` : f.method;
    let by = this.#known.get(kind);
    if (!by) {
      by = new Map();
      this.#known.set(kind, by);
    }
    let known = by.get(s.address);
    if (!known) {
      this.#ordered ??= inOrder(this.#read());
      known = wayTo(this.#ordered, s);
      by.set(s.address, known);
    }
    return known;
  }
  /** Links, addresses or routes are others now. */
  forget(): void {
    this.#ordered = undefined;
    this.#known.clear();
  }
}
