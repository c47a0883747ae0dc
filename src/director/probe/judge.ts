/**
 * From what was seen to its cause. Pure. A director cannot look into a real server: where two causes leave the same
 * traces, both are named, and `holdfast lb check --real-server` there tells them apart.
 */
import { familyOf, formatEndpoint, type IpAddress, type Text, text } from '../../base/index.ts';
import type { Evidence, FindingCode, ProbeFinding, ProbeServer, ProbeTarget, ServerEvidence } from './types.ts';

/** An IP header without options, by family; TCP's; what stands between a tunnel's outer header and the packet. */
const IP_BYTES = { 4: 20, 6: 40 } as const;
const TCP_BYTES = 20;
const SHIM_BYTES = { ipip: 0, gue: 12, gre: 4 } as const;
/** RFC 792: destination unreachable. */
const [PROTOCOL_UNREACHABLE, PORT_UNREACHABLE] = [2, 3];
const [NET_UNREACHABLE, HOST_UNREACHABLE] = [0, 1];

const MODE = { nat: 'NAT', 'direct-routing': 'DR', tunnel: 'TUN' } as const;

export function judge(t: ProbeTarget, e: Evidence): readonly ProbeFinding[] {
  return [...aboutAddress(t, e), ...t.servers.flatMap((s) => aboutServer(t, e, s))];
}

type Say = (severity: ProbeFinding['severity'], code: FindingCode, words: Text, hint?: Text) => ProbeFinding;
const sayOf =
  (server: string | undefined): Say =>
  (severity, code, words, hint) => ({ severity, code, server, text: words, ...(hint ? { hint } : {}) });

function aboutAddress(t: ProbeTarget, e: Evidence): ProbeFinding[] {
  const say = sayOf(undefined);
  const ofServers = new Set([...e.servers.values()].flatMap((s) => s.mac ?? []));
  const others = e.holders.filter((mac) => !ofServers.has(mac));
  const out: ProbeFinding[] = [];
  if (e.vipHere && others.length > 0)
    out.push(
      say(
        'error',
        'other-holder',
        text(
          `${t.vip} is on this host, and ${others.join(', ')} answers for it too`,
          `${t.vip} 在本机上，但 ${others.join('、')} 也应答该地址`,
        ),
        text('two masters, or a machine that has it by mistake', '存在两个主节点，或某台机器误配了该地址'),
      ),
    );
  if (!e.vipHere && others.length === 0)
    out.push(
      say(
        'warning',
        'vip-nowhere',
        text(`${t.vip} is not on this host, and no director answers for it`, `${t.vip} 不在本机上，也没有调度器应答`),
        text('holdfast status says why no instance is master', 'holdfast status 可查看为何没有主节点'),
      ),
    );
  return out;
}

function aboutServer(t: ProbeTarget, e: Evidence, s: ProbeServer): ProbeFinding[] {
  const seen = e.servers.get(s.key);
  if (seen === undefined) return [];
  const say = sayOf(s.key);
  if (seen.local) return [local(e, s, say)];
  const impossible = cannot(t, s, seen, say);
  if (impossible) return [impossible];
  if (seen.mac === undefined)
    return [
      say(
        'error',
        'no-arp',
        text(
          `nobody answers for ${seen.way?.gateway ?? s.address} on the link`,
          `链路上没有主机应答 ${seen.way?.gateway ?? s.address}`,
        ),
        text('it is off, or in another network', '该主机已关闭，或位于其他网络'),
      ),
    ];
  const out = [onPath(t, s, seen, say)];
  if (familyOf(t.vip) === 6) out.push(...onLink(t, e, seen, say));
  else if (e.holders.includes(seen.mac) && seen.way?.gateway === undefined)
    out.push(
      say(
        'error',
        'arp-ignore',
        text(
          `it answers ARP requests for ${t.vip}: clients may go past the director`,
          `它应答 ${t.vip} 的 ARP 请求：客户端可能绕过调度器`,
        ),
        text(
          'sysctl -w net.ipv4.conf.all.arp_ignore=1 there',
          '在该服务器执行 sysctl -w net.ipv4.conf.all.arp_ignore=1',
        ),
      ),
    );
  if (seen.announcesVip && familyOf(t.vip) === 4)
    out.push(
      say(
        'error',
        'arp-announce',
        text(
          `it asks for neighbours as ${t.vip}: whoever hears it takes it for the holder`,
          `它以 ${t.vip} 的身份查询邻居：听到的主机会误认它持有该地址`,
        ),
        text(
          'sysctl -w net.ipv4.conf.all.arp_announce=2 there',
          '在该服务器执行 sysctl -w net.ipv4.conf.all.arp_announce=2',
        ),
      ),
    );
  if (s.method === 'nat' && e.sameSubnet)
    out.push(
      say(
        'warning',
        'nat-same-subnet',
        text(
          'clients of the subnet of this server are answered past the director, and see nothing',
          '与该服务器同一子网的客户端收到的应答会绕过调度器，连接无法建立',
        ),
        text('serve such clients by DR', '此类客户端请使用 DR'),
      ),
    );
  return out;
}

/** Over IPv6 a host answers for what is on the link itself, and for nothing that is on lo. */
function onLink(t: ProbeTarget, e: Evidence, seen: ServerEvidence, say: Say): ProbeFinding[] {
  if (seen.mac === undefined || !(e.holders.includes(seen.mac) || seen.announcesVip)) return [];
  return [
    say(
      'error',
      'vip-on-link',
      text(
        `${t.vip} is on its network interface: clients may go past the director`,
        `${t.vip} 在其网络接口上：客户端可能绕过调度器`,
      ),
      text(`put it on lo there: ip addr add ${t.vip}/128 dev lo`, `请改放到 lo：ip addr add ${t.vip}/128 dev lo`),
    ),
  ];
}

function local(e: Evidence, s: ProbeServer, say: Say): ProbeFinding {
  if (s.method === 'nat')
    return say('good', 'local-server', text('it is on this host: served without leaving it', '位于本机：无需转发'));
  return say(
    'warning',
    'local-server',
    text(
      `this director is a real server too: as a standby it has ${e.vipOnLoopback ? '' : 'to have '}the address on lo, and must not forward what the other director sends it`,
      `本调度器同时是真实服务器：作为备用时地址须在 lo 上${e.vipOnLoopback ? '（已有）' : ''}，并且不得再次转发另一调度器送来的报文`,
    ),
    text(
      'with the bpf and nft planes packets from the other director pass to the local server; with ipvs only the master may have the services',
      '使用 bpf 与 nft 时，来自另一调度器的报文交给本机服务器；使用 ipvs 时只有主节点可持有服务',
    ),
  );
}

/** What no packet can change. */
function cannot(t: ProbeTarget, s: ProbeServer, seen: ServerEvidence, say: Say): ProbeFinding | undefined {
  const mode = MODE[s.method];
  if (s.method !== 'nat' && s.port !== 0 && s.port !== t.port)
    return say(
      'error',
      'port-change',
      text(
        `${mode} cannot change the port from ${t.port} to ${s.port}`,
        `${mode} 不能把端口从 ${t.port} 改为 ${s.port}`,
      ),
      text(`let it listen on ${t.port}, or use NAT`, `请让其监听 ${t.port}，或使用 NAT`),
    );
  if (s.method === 'direct-routing' && seen.way?.gateway !== undefined)
    return say(
      'error',
      'not-on-link',
      text(
        `packets to it go by the gateway ${seen.way.gateway}: DR needs one subnet`,
        `发往它的报文经过网关 ${seen.way.gateway}：DR 要求处于同一子网`,
      ),
      text('use TUN or NAT', '请使用 TUN 或 NAT'),
    );
  if (seen.way === undefined)
    return say('error', 'no-arp', text(`this host has no route to ${s.address}`, `本机没有到 ${s.address} 的路由`));
  return undefined;
}

function onPath(t: ProbeTarget, s: ProbeServer, seen: ServerEvidence, say: Say): ProbeFinding {
  const { path, direct } = seen;
  const mode = MODE[s.method];
  const port = s.port === 0 ? t.port : s.port;
  if (t.protocol === 'udp' && (path.is === 'syn-ack' || path.is === 'reset')) return reached(t, s, seen, say);
  switch (path.is) {
    case 'syn-ack':
      return (
        fits(t, s, seen, path.mss, say) ??
        say('good', 'path-good', text(`${mode}: it answers for ${at(t)}`, `${mode}：它以 ${at(t)} 应答`))
      );
    case 'reset':
      return direct.is === 'syn-ack' && s.method !== 'nat'
        ? say(
            'error',
            'vip-not-listened',
            text(
              `it listens on port ${port} of ${s.address}, and not on ${at(t)}`,
              `它只监听 ${s.address} 的端口 ${port}，没有监听 ${at(t)}`,
            ),
            text('let the program listen on all addresses', '请让程序监听所有地址'),
          )
        : say('error', 'not-listening', text(`nothing listens on port ${port}`, `端口 ${port} 没有程序监听`));
    case 'unreachable':
      return unreachableBy(t, s, path.code, say);
    case 'bounced':
      return missing(t, say, text('it sent the packet back', '它把报文发了回来'));
    case 'silence':
      return silent(t, s, seen, say);
    case 'unsent':
      return say(
        'warning',
        'not-probed',
        text(
          `this host has no IPv${familyOf(t.vip)} address that a packet through the tunnel could come from: nothing was sent`,
          `本机没有可作为隧道内源地址的 IPv${familyOf(t.vip)} 地址：未发送探测报文`,
        ),
      );
  }
}

/** UDP: the packet came to the host that has the address. Who listens there answers an empty datagram or not. */
function reached(t: ProbeTarget, s: ProbeServer, seen: ServerEvidence, say: Say): ProbeFinding {
  const port = s.port === 0 ? t.port : s.port;
  if (seen.refusesDatagrams)
    return say(
      'error',
      'not-listening',
      text(
        `nothing listens on UDP port ${port} of ${s.method === 'nat' ? s.address : t.vip}`,
        `${s.method === 'nat' ? s.address : t.vip} 的 UDP 端口 ${port} 没有程序监听`,
      ),
      text('let the program listen on all addresses', '请让程序监听所有地址'),
    );
  const mode = MODE[s.method];
  return say(
    'good',
    'path-good',
    text(
      `${mode}: packets for ${at(t)} reach it, and nothing refuses them; whether the program answers its checker says`,
      `${mode}：发往 ${at(t)} 的报文能到达且未被拒绝；程序是否应答由其检查器判断`,
    ),
  );
}
const at = (t: ProbeTarget): string => formatEndpoint(t.vip, t.port);

/** A client may send segments of the size that the server says; in a tunnel they carry one header more. */
function fits(
  t: ProbeTarget,
  s: ProbeServer,
  seen: ServerEvidence,
  mss: number | undefined,
  say: Say,
): ProbeFinding | undefined {
  if (s.method !== 'tunnel' || mss === undefined || seen.way === undefined) return undefined;
  const { mtu } = seen.way;
  const outer = IP_BYTES[familyOf(s.address)] + SHIM_BYTES[s.tunnel.type];
  const headers = IP_BYTES[familyOf(t.vip)] + TCP_BYTES + outer;
  const size = mss + headers;
  if (size <= mtu) return undefined;
  const best = mtu - headers;
  return say(
    'error',
    'tunnel-mtu',
    text(
      `it takes segments of ${mss} bytes: in the tunnel they are packets of ${size}, and the link carries ${mtu}`,
      `它接受 ${mss} 字节的分段：在隧道中为 ${size} 字节的报文，而链路只能承载 ${mtu}`,
    ),
    text(
      `ip route change default ... advmss ${best} there, or a larger MTU between director and server`,
      `在该服务器的路由上设置 advmss ${best}，或增大调度器与服务器之间的 MTU`,
    ),
  );
}

function unreachableBy(t: ProbeTarget, s: ProbeServer, code: number, say: Say): ProbeFinding {
  if (s.method === 'tunnel' && (code === PROTOCOL_UNREACHABLE || code === PORT_UNREACHABLE)) {
    const kind = s.tunnel.type.toUpperCase();
    return say(
      'error',
      'no-decapsulation',
      text(`it does not take ${kind} packets`, `它不接受 ${kind} 报文`),
      taking(t.vip, s),
    );
  }
  if (s.method !== 'nat' && (code === NET_UNREACHABLE || code === HOST_UNREACHABLE))
    return missing(t, say, text('it found no way to the address', '它找不到到该地址的路由'));
  return say(
    'error',
    'filtered',
    text(
      `its firewall refuses the packet (ICMP unreachable, code ${code})`,
      `其防火墙拒绝该报文（ICMP 不可达，代码 ${code}）`,
    ),
  );
}

/** What ends the tunnel there. */
function taking(vip: IpAddress, s: ProbeServer): Text {
  const [inner, outer] = [familyOf(vip), familyOf(s.address)];
  const device = outer === 6 ? ['ip6_tunnel', 'ip6tnl0'] : inner === 6 ? ['sit', 'sit0'] : ['ipip', 'tunl0'];
  const command =
    s.tunnel.type === 'ipip'
      ? `modprobe ${device[0]}; ip link set ${device[1]} up`
      : `holdfast realserver ${vip} --tunnel ${s.tunnel.type}${s.tunnel.type === 'gue' ? ` --gue-port ${s.tunnel.port}` : ''}`;
  return text(`${command} there`, `在该服务器执行 ${command}`);
}

const missing = (t: ProbeTarget, say: Say, how: Text): ProbeFinding =>
  say(
    'error',
    'vip-missing',
    text(`${t.vip} is not on it: ${how.en}`, `${t.vip} 不在该服务器上：${how.zh}`),
    text(`ip addr add ${whole(t.vip)} dev lo there`, `在该服务器执行 ip addr add ${whole(t.vip)} dev lo`),
  );

const whole = (a: IpAddress): string => `${a}/${familyOf(a) === 4 ? 32 : 128}`;

function silent(t: ProbeTarget, s: ProbeServer, seen: ServerEvidence, say: Say): ProbeFinding {
  if (seen.direct.is === 'silence' && t.protocol === 'udp')
    return say(
      'warning',
      'not-probed',
      text(
        'it answers nothing to TCP, by which the way of a UDP service is tried: its firewall may drop that alone',
        '它对 TCP 没有任何应答，而 UDP 服务的路径以 TCP 探测：可能只是其防火墙丢弃了探测报文',
      ),
    );
  if (seen.direct.is === 'silence')
    return say(
      'error',
      'no-answer',
      text(
        `it answers nothing on port ${s.port === 0 ? t.port : s.port}, by no way`,
        `它在端口 ${s.port === 0 ? t.port : s.port} 上没有任何应答`,
      ),
      text('it hangs, or its firewall drops the packets', '该主机无响应，或其防火墙丢弃报文'),
    );
  switch (s.method) {
    case 'direct-routing':
      return missing(
        t,
        say,
        text(
          'it answers for its own address and drops what is for this one (or its firewall does)',
          '它应答自身地址，却丢弃发往该地址的报文（或被其防火墙丢弃）',
        ),
      );
    case 'tunnel':
      return say(
        'error',
        'tunnel-silent',
        text(
          `it answers directly and not through the tunnel: ${t.vip} is on none of its interfaces, ${familyOf(t.vip) === 4 ? 'or rp_filter of the tunnel drops it' : 'or it does not take the tunnel'}`,
          `它能直接应答，但经隧道无应答：${t.vip} 不在其接口上，${familyOf(t.vip) === 4 ? '或被隧道设备的 rp_filter 丢弃' : '或未解封隧道'}`,
        ),
        text('holdfast lb check --real-server VIP there', '在该服务器执行 holdfast lb check --real-server VIP'),
      );
    case 'nat':
      return say(
        'error',
        'default-route',
        text(
          'its answers to clients do not come by this host: its default route goes elsewhere',
          '它给客户端的应答不经过本机：其默认路由指向别处',
        ),
        text(
          'ip route replace default via ADDRESS-OF-THE-DIRECTOR there',
          '在该服务器执行 ip route replace default via 调度器地址',
        ),
      );
  }
}
