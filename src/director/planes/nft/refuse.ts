/** Why nft cannot carry a service, and what would help. Pure: what the kernel and the network offer is told. */
import { familyOf, type IpAddress, type Text, text } from '../../../base/index.ts';
import type { HostError } from '../../../host/index.ts';
import type { Refusal, WantedService } from '../../types.ts';
import { familyOfMatch, rangeSize } from '../matches.ts';
import { tooManyServers } from './image.ts';
import { IMPOSSIBLE } from './slots.ts';

export type Offer = {
  /** What the kernel lacks for each mode; undefined = nothing. */
  readonly lacks: { readonly nat: HostError | undefined; readonly direct: HostError | undefined };
  /** The device behind which a neighbour is; 0 = this host itself; undefined = no subnet of ours has it. */
  readonly device: (a: IpAddress) => number | undefined;
};
/** Elements of the tables of services: more addresses than this are no list any more. */
const MOST_ADDRESSES = 65_536;

const refusal = (code: string, t: Text): Refusal => ({ code, text: t });

export function refusesNft(s: WantedService, offer: Offer): Refusal | undefined {
  const methods = new Set(s.servers.map((x) => x.forwarding.method));
  if (methods.has('tunnel'))
    return refusal(
      'nft-tunnel',
      text(`${s.key}: nft has no tunnels; the bpf and ipvs planes do`, `${s.key}：nft 不支持隧道；bpf 和 ipvs 支持`),
    );
  if (methods.size > 1)
    return refusal(
      'nft-mixed',
      text(
        `${s.key}: servers by NAT and by direct routing in one service; only ipvs can mix them`,
        `${s.key}：同一服务中既有 NAT 又有 DR 的服务器；只有 ipvs 支持混用`,
      ),
    );
  if (IMPOSSIBLE.has(s.scheduler))
    return refusal(
      'nft-scheduler',
      text(
        `${s.key}: scheduler ${s.scheduler} looks at each packet's destination or at random pairs, which nft cannot; use wlc or mh, or ipvs`,
        `${s.key}：调度算法 ${s.scheduler} 需要逐包查看目的地址或随机选取，nft 无法做到；请用 wlc 或 mh，或使用 ipvs`,
      ),
    );
  if (s.persistence?.engine !== undefined)
    return refusal(
      'nft-engine',
      text(
        `${s.key}: persistence engine ${s.persistence.engine} reads the payload; only ipvs has it`,
        `${s.key}：持久化引擎 ${s.persistence.engine} 需读取负载；只有 ipvs 支持`,
      ),
    );
  if (tooManyServers(s))
    return refusal('nft-servers', text(`${s.key}: more than 4095 servers`, `${s.key}：服务器超过 4095 台`));
  const family = familyOfMatch(s.match);
  const other = s.servers.find((x) => familyOf(x.address) !== family);
  if (other !== undefined)
    return refusal(
      'nft-family',
      text(
        `${s.key}: server ${other.key} is of the other address family; only tunnels can join them`,
        `${s.key}：服务器 ${other.key} 属于另一地址族；只有隧道可以跨地址族`,
      ),
    );
  if (s.match.by === 'address' && s.match.ranges.reduce((n, r) => n + rangeSize(r), 0) > MOST_ADDRESSES)
    return refusal(
      'nft-range',
      text(
        `${s.key}: more than ${MOST_ADDRESSES} addresses; mark the packets and use a fwmark service`,
        `${s.key}：地址超过 ${MOST_ADDRESSES} 个；请给数据包打标记并使用 fwmark 服务`,
      ),
    );
  return methods.has('direct-routing') ? refusesDirect(s, offer) : refusesNat(s, offer);
}
function refusesNat(s: WantedService, offer: Offer): Refusal | undefined {
  if (offer.lacks.nat !== undefined) return lacking(s, offer.lacks.nat);
  if (s.onePacket)
    return refusal(
      'nft-one-packet',
      text(
        `${s.key}: with NAT every packet belongs to a tracked flow, so one-packet scheduling needs direct routing or ipvs`,
        `${s.key}：NAT 模式下每个数据包都属于被跟踪的流，单包调度需要 DR 或 ipvs`,
      ),
    );
  return undefined;
}
function refusesDirect(s: WantedService, offer: Offer): Refusal | undefined {
  if (offer.lacks.direct !== undefined) return lacking(s, offer.lacks.direct);
  if (s.match.by === 'fwmark')
    return refusal(
      'nft-fwmark',
      text(
        `${s.key}: direct routing by nft comes before packets are marked; name addresses and ports, or use ipvs`,
        `${s.key}：nft 的 DR 先于打标记执行；请写明地址和端口，或使用 ipvs`,
      ),
    );
  const port = s.match.port;
  for (const x of s.servers) {
    if (x.port !== 0 && x.port !== port)
      return refusal(
        'nft-port',
        text(
          `${s.key}: server ${x.key} has port ${x.port}, but direct routing leaves the packet as it is; use NAT, or port ${port}`,
          `${s.key}：服务器 ${x.key} 的端口是 ${x.port}，但 DR 不修改数据包；请用 NAT，或改为端口 ${port}`,
        ),
      );
    if (offer.device(x.address) === undefined)
      return refusal(
        'nft-subnet',
        text(
          `${s.key}: server ${x.key} is in no subnet of this host, where direct routing must reach it; use NAT or TUN`,
          `${s.key}：服务器 ${x.key} 不在本机的任何子网内，DR 无法到达；请用 NAT 或 TUN`,
        ),
      );
  }
  return undefined;
}
const lacking = (s: WantedService, e: HostError): Refusal =>
  refusal('nft-kernel', text(`${s.key}: ${e.doing.en}: ${e.code}`, `${s.key}：${e.doing.zh}：${e.code}`));
