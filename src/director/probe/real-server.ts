/** Whether this host is set up to be a real server behind a virtual address by DR or TUN. Pure. */
import { familyOf, type IpAddress, text } from '../../base/index.ts';
import type { Link, LinkAddress } from '../../host/index.ts';
import type { ProbeFinding } from './types.ts';

export type RealServerFacts = {
  readonly vip: IpAddress;
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  /** One value below /proc/sys/net/ipv4/conf; undefined: it cannot be read. */
  readonly conf: (link: string, name: 'arp_ignore' | 'arp_announce' | 'rp_filter') => number | undefined;
};
type Draft = Omit<ProbeFinding, 'server'>;

const STRICT = 1;
/** ARPHRD_TUNNEL. */
const TUNNEL = 768;

export function judgeRealServer(f: RealServerFacts): readonly ProbeFinding[] {
  const found = [...aboutAddress(f), ...(familyOf(f.vip) === 4 ? [...aboutArp(f), ...aboutTunnel(f)] : [])];
  const good: Draft = {
    severity: 'good',
    code: 'path-good',
    text: text(`this host is ready to serve ${f.vip}`, `本机已可为 ${f.vip} 提供服务`),
  };
  return (found.length === 0 ? [good] : found).map((d) => ({ ...d, server: undefined }));
}

const holders = (f: RealServerFacts): { readonly link: Link; readonly address: LinkAddress }[] =>
  f.addresses
    .filter((a) => a.prefix.address === f.vip)
    .flatMap((address) => {
      const link = f.links.find((l) => l.ifindex === address.ifindex);
      return link ? [{ link, address }] : [];
    });
/** Whose addresses nobody on a network is told of. */
const isQuiet = (l: Link): boolean => l.loopback || l.kind === 'dummy' || l.hardware === TUNNEL;

function* aboutAddress(f: RealServerFacts): Generator<Draft> {
  const at = holders(f);
  const whole = familyOf(f.vip) === 4 ? 32 : 128;
  const put = `ip addr add ${f.vip}/${whole} dev lo`;
  if (at.length === 0)
    yield {
      severity: 'error',
      code: 'vip-missing',
      text: text(
        `${f.vip} is not on this host: packets for it are dropped`,
        `${f.vip} 不在本机上：发往它的报文会被丢弃`,
      ),
      hint: text(put, put),
    };
  for (const { link, address } of at) {
    if (!isQuiet(link))
      yield {
        severity: 'error',
        code: 'vip-on-link',
        text: text(
          `${f.vip} is on ${link.name}: this host claims it on the network`,
          `${f.vip} 在 ${link.name} 上：本机会在网络中宣称持有它`,
        ),
        hint: text(
          `ip addr del ${f.vip}/${address.prefix.length} dev ${link.name}; ${put}`,
          `ip addr del ${f.vip}/${address.prefix.length} dev ${link.name}; ${put}`,
        ),
      };
    else if (address.prefix.length !== whole && link.loopback)
      yield {
        severity: 'error',
        code: 'lo-prefix',
        text: text(
          `${f.vip}/${address.prefix.length} on ${link.name} makes the whole subnet local: nothing else in it is reached`,
          `${link.name} 上的 ${f.vip}/${address.prefix.length} 使整个子网变为本地：其中其他主机均不可达`,
        ),
        hint: text(`/${whole} instead`, `改为 /${whole}`),
      };
  }
}

/** The kernel takes the larger of the values of all and of the interface. */
function effective(f: RealServerFacts, link: string, name: Parameters<RealServerFacts['conf']>[1]): number {
  return Math.max(f.conf('all', name) ?? 0, f.conf(link, name) ?? 0);
}
function* aboutArp(f: RealServerFacts): Generator<Draft> {
  const loud = f.links.filter((l) => l.adminUp && !isQuiet(l));
  const open = loud.filter((l) => effective(f, l.name, 'arp_ignore') < 1).map((l) => l.name);
  if (open.length > 0)
    yield {
      severity: 'error',
      code: 'arp-ignore',
      text: text(
        `arp_ignore is 0 on ${open.join(', ')}: this host answers for ${f.vip} in place of the director`,
        `${open.join('、')} 的 arp_ignore 为 0：本机会代替调度器应答 ${f.vip}`,
      ),
      hint: text('sysctl -w net.ipv4.conf.all.arp_ignore=1', 'sysctl -w net.ipv4.conf.all.arp_ignore=1'),
    };
  const telling = loud.filter((l) => effective(f, l.name, 'arp_announce') < 2).map((l) => l.name);
  if (telling.length > 0)
    yield {
      severity: 'error',
      code: 'arp-announce',
      text: text(
        `arp_announce is below 2 on ${telling.join(', ')}: this host asks for neighbours as ${f.vip}`,
        `${telling.join('、')} 的 arp_announce 小于 2：本机会以 ${f.vip} 的身份查询邻居`,
      ),
      hint: text('sysctl -w net.ipv4.conf.all.arp_announce=2', 'sysctl -w net.ipv4.conf.all.arp_announce=2'),
    };
}
function* aboutTunnel(f: RealServerFacts): Generator<Draft> {
  for (const l of f.links.filter((x) => x.hardware === TUNNEL)) {
    if (!l.adminUp && holders(f).some((h) => h.link === l))
      yield {
        severity: 'error',
        code: 'tunnel-down',
        text: text(`${l.name} is down: packets of a tunnel are not taken out`, `${l.name} 未启用：隧道报文不会被解封`),
        hint: text(`ip link set ${l.name} up`, `ip link set ${l.name} up`),
      };
    if (l.adminUp && effective(f, l.name, 'rp_filter') === STRICT)
      yield {
        severity: 'error',
        code: 'rp-filter',
        text: text(
          `rp_filter is strict on ${l.name}: what comes out of the tunnel is dropped`,
          `${l.name} 的 rp_filter 为严格模式：从隧道解封的报文会被丢弃`,
        ),
        hint: text(
          `sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.${l.name}.rp_filter=0`,
          `sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.${l.name}.rp_filter=0`,
        ),
      };
  }
}
