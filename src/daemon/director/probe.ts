/** `holdfast lb check` on this host: as root, in the network namespace of whoever calls. */
import type { LbDocument, LbFinding, LbMatch, LbService } from '../../api/index.ts';
import {
  err,
  familyOf,
  hostLength,
  type IpAddress,
  type IpPrefix,
  ok,
  parseIp,
  type Result,
  type Text,
  text,
} from '../../base/index.ts';
import {
  covers,
  judge,
  judgeRealServer,
  natFindings,
  type ProbeFinding,
  type ProbeTarget,
  probe,
  type Scheduler,
  syncFindings,
} from '../../director/index.ts';
import type { Host } from '../../host/index.ts';
import { linuxHost, loadAddon, openNetwork } from '../../host/linux/index.ts';
import { failureText } from '../handover/namespace.ts';

function openHost(): Result<Host, Text> {
  if (process.getuid?.() !== 0) return err(text('it sends raw packets: be root', '需要发送原始报文：请以 root 运行'));
  const addon = loadAddon();
  if (!addon.ok) return err(failureText(addon.error));
  const log = { write: () => {} };
  const network = openNetwork(addon.value, log);
  return network.ok
    ? ok(linuxHost({ addon: addon.value, log, network: network.value }))
    : err(failureText(network.error));
}
/** Linux's own, where none is said. */
const GUE_PORT = 6080;
/** What of a service is probed: of a range its first address. */
function targetOf(s: LbService, m: LbMatch): Result<ProbeTarget, Text> {
  if (m.by === 'fwmark')
    return err(
      text(
        `what has the mark ${m.mark} is not probed: it has no address that a packet could be sent to`,
        `不探测标记 ${m.mark}：没有可供发送报文的地址`,
      ),
    );
  const name = `${m.protocol} ${m.from}`;
  if (m.protocol !== 'tcp' && m.protocol !== 'udp')
    return err(text(`${name} is not probed: TCP and UDP are`, `不探测 ${name}：仅支持 TCP 与 UDP`));
  if (m.port === 0)
    return err(
      text(
        `${name} has every port and is not probed: which of them should answer cannot be known from here`,
        `${name} 包含所有端口，不探测：无法得知哪个端口应有应答`,
      ),
    );
  const servers = s.servers
    .filter((x) => x.role === 'real')
    .map((x) => ({
      key: x.key,
      address: x.address as IpAddress,
      port: x.port,
      method: x.forwarding,
      tunnel: { type: x.tunnel?.type ?? 'ipip', port: x.tunnel?.port ?? GUE_PORT },
    }));
  return ok({ service: s.key, protocol: m.protocol, vip: m.from as IpAddress, port: m.port, servers });
}

/** What of this host's own settings stands in the way of NAT by the kernel: no packet could tell it from a server's fault. */
function ownFindings(s: LbService, host: Host): ProbeFinding[] {
  const { plane } = s;
  const nat = s.servers.filter((x) => x.role === 'real' && x.forwarding === 'nat');
  if (nat.length === 0 || (plane !== 'nft' && plane !== 'ipvs')) return [];
  const families = s.matches.map((m) => (m.by === 'fwmark' ? m.family : familyOf(m.from as IpAddress)));
  const subnets = host.network.addresses().filter((a) => a.prefix.length < hostLength(familyOf(a.prefix.address)));
  const has = (p: IpPrefix, a: string): boolean => covers(p, a as IpAddress);
  const shared = subnets
    .filter((a) => nat.some((x) => has(a.prefix, x.address)))
    .filter((a) => s.matches.some((m) => m.by === 'address' && has(a.prefix, m.from)))
    .flatMap((a) => host.network.linkByIndex(a.ifindex)?.name ?? []);
  const found = natFindings(
    families.map((family) => ({ family, scheduler: s.scheduler as Scheduler })),
    (name) => host.sysctl.get(name),
    { shared: [...new Set(shared)], plane },
  );
  return found.map(({ code, text: words }) => ({
    severity: code === 'nat-forwarding' ? 'error' : 'warning',
    code,
    server: undefined,
    text: words,
  }));
}

/** What of this host's own settings keeps news of connections from the other director. */
function newsFindings(s: LbService, sync: LbDocument['sync'], host: Host): ProbeFinding[] {
  if (s.plane !== 'ipvs' || sync.length === 0) return [];
  const found = syncFindings((name) => host.sysctl.get(name));
  return found.map(({ code, text: words }) => ({ severity: 'warning', code, server: undefined, text: words }));
}

/** `sync`: the synchronisation daemons that run here. One finding at least for each server. */
export async function probeService(
  s: LbService,
  sync: LbDocument['sync'],
): Promise<Result<readonly LbFinding[], Text>> {
  const host = openHost();
  if (!host.ok) return host;
  const found = [...ownFindings(s, host.value), ...newsFindings(s, sync, host.value)];
  for (const m of s.matches) {
    const t = targetOf(s, m);
    if (!t.ok) found.push({ severity: 'warning', code: 'not-probed', server: undefined, text: t.error });
    else {
      const evidence = await new Promise<Parameters<typeof judge>[1]>((done) => probe(t.value, host.value, done));
      found.push(...judge(t.value, evidence));
    }
  }
  return ok(found);
}

/** Run on a real server. */
export function checkRealServer(vip: string): Result<readonly LbFinding[], Text> {
  const address = parseIp(vip);
  if (!address.ok) return err(text(`${vip} is not an address`, `${vip} 不是地址`));
  const addon = loadAddon();
  if (!addon.ok) return err(failureText(addon.error));
  const network = openNetwork(addon.value, { write: () => {} });
  if (!network.ok) return err(failureText(network.error));
  const host = linuxHost({ addon: addon.value, log: { write: () => {} }, network: network.value });
  return ok(
    judgeRealServer({
      vip: address.value,
      links: network.value.links(),
      addresses: network.value.addresses(),
      conf: (link, name) => {
        const value = host.sysctl.get(`net/ipv4/conf/${link}/${name}`);
        return value === undefined ? undefined : Number(value);
      },
    }),
  );
}
