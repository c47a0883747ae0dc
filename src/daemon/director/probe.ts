/** `holdfast lb check` on this host: as root, in the network namespace of whoever calls. */
import type { LbFinding, LbService } from '../../api/index.ts';
import { err, type IpAddress, ok, parseIp, type Result, type Text, text } from '../../base/index.ts';
import { judge, judgeRealServer, type ProbeFinding, type ProbeTarget, probe } from '../../director/index.ts';
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
/** What of a service can be probed: its TCP addresses over IPv4. */
function targetsOf(s: LbService): ProbeTarget[] {
  const servers = s.servers
    .filter((x) => x.role === 'real')
    .map((x) => ({ key: x.key, address: x.address as IpAddress, port: x.port, method: x.forwarding }));
  return s.matches.flatMap((m) =>
    m.by === 'address' && m.protocol === 'tcp' && m.port !== 0 && !m.from.includes(':')
      ? [{ service: s.key, vip: m.from as IpAddress, port: m.port, servers }]
      : [],
  );
}

/** One finding at least for each server; of a range its first address is probed. */
export async function probeService(s: LbService): Promise<Result<readonly LbFinding[], Text>> {
  const host = openHost();
  if (!host.ok) return host;
  const targets = targetsOf(s);
  if (targets.length === 0) {
    const words = text(
      'only TCP services with an IPv4 address and a port are probed',
      '仅探测带 IPv4 地址和端口的 TCP 服务',
    );
    return ok([{ severity: 'warning', code: 'not-probed', server: undefined, text: words }]);
  }
  const found: ProbeFinding[] = [];
  for (const t of targets) {
    const evidence = await new Promise<Parameters<typeof judge>[1]>((done) => probe(t, host.value, done));
    found.push(...judge(t, evidence));
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
