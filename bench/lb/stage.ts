/** A client, directors and real servers on one switch, with one way for packets between them: what throughput and failover share. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type IpAddress, type Text, text } from '../../src/base/index.ts';
import type { WantedService } from '../../src/director/types.ts';
import { type Host, type HostDefinition, Lab, startProbe } from '../../src/lab/index.ts';
import { RemotePlane, run } from '../../test/lb/bpf-rig.ts';

export const VIP = '10.9.0.99';
export const CLIENT = '10.9.0.100';
const directorAddress = (n: number): string => `10.9.0.${n}`;
export const serverAddress = (n: number): string => `10.9.0.${10 + n}`;

export type Way = {
  readonly name:
    | 'direct'
    | 'bpf tc'
    | 'bpf xdp'
    | 'nft DR'
    | 'nft NAT'
    | 'proxy'
    | 'HAProxy TCP'
    | 'keepalived IPVS DR';
  readonly mode: 'none' | 'DR' | 'NAT' | 'proxy';
};
export const ways: readonly Way[] = [
  { name: 'direct', mode: 'none' },
  { name: 'bpf tc', mode: 'DR' },
  { name: 'bpf xdp', mode: 'DR' },
  { name: 'nft DR', mode: 'DR' },
  { name: 'nft NAT', mode: 'NAT' },
  { name: 'proxy', mode: 'proxy' },
  { name: 'HAProxy TCP', mode: 'proxy' },
  { name: 'keepalived IPVS DR', mode: 'DR' },
];
export type Mode = { readonly name: Text; readonly argv: readonly string[] };
/** How wrk asks. */
export const modes: readonly Mode[] = [
  { name: text('keep-alive', '长连接'), argv: [] },
  { name: text('one connection per request', '每请求一个连接'), argv: ['-H', 'Connection: close'] },
];
export const hasIpvs = existsSync('/proc/net/ip_vs');

const nginx = `user root; worker_processes 1; pid /run/nginx.pid; error_log /dev/null;
worker_rlimit_nofile 65536; events { worker_connections 16384; }
http { access_log off; keepalive_requests 1000000000;
  server { listen 80 backlog=8192; root /srv/www; } }
`;
const haproxy = (servers: number): string => `defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
global
  maxconn 5000
listen vip
  bind ${VIP}:80
${Array.from({ length: servers }, (_, i) => `  server s${i + 1} ${serverAddress(i + 1)}:80`).join('\n')}
`;

export type ConfOptions = {
  readonly kind: 'DR' | 'NAT';
  readonly servers: number;
  readonly scheduler?: string;
  /** Lines of a virtual server, and of each real server's checker. */
  readonly service?: string;
  readonly check?: string;
  /** With VRRP: the priority. */
  readonly priority?: number;
  /** Further virtual servers. */
  readonly more?: string;
};
export function confOf(o: ConfOptions): string {
  const vrrp = `vrrp_instance VI_1 {
  interface eth0
  virtual_router_id 33
  priority ${o.priority}
  advert_int 1
  virtual_ipaddress {
    ${VIP}/24
  }
}
`;
  const server = (i: number): string => `  real_server ${serverAddress(i + 1)} 80 {
    weight 1
    TCP_CHECK {
      connect_timeout 1
      ${o.check ?? ''}
    }
  }
`;
  return `global_defs {
  vrrp_version 3
}
${o.priority === undefined ? '' : vrrp}virtual_server ${VIP} 80 {
  ${o.service ?? 'delay_loop 1'}
  lb_algo ${o.scheduler ?? 'wrr'}
  lb_kind ${o.kind}
  protocol TCP
${Array.from({ length: o.servers }, (_, i) => server(i)).join('')}}
${o.more ?? ''}`;
}

export type StageOptions = {
  readonly way: Way;
  readonly servers: number;
  readonly directors: number;
  readonly conf?: Partial<ConfOptions>;
};
const CONF = '/etc/keepalived/keepalived.conf';
export const bin = join(import.meta.dirname, '../../bin/holdfast');

/** What runs on a director for it; bpf xdp is not chosen by the daemon and runs alone. */
function command(way: Way, alone: boolean): readonly string[] | undefined {
  const part = alone ? ['-C'] : [];
  const holdfast = (plane: string): string[] => [
    bin,
    'keepalived',
    '-n',
    '-l',
    '-f',
    CONF,
    ...part,
    `--lb-plane=${plane}`,
  ];
  switch (way.name) {
    case 'bpf tc':
      return holdfast('bpf');
    case 'nft DR':
    case 'nft NAT':
      return holdfast('nft');
    case 'proxy':
      return holdfast('proxy');
    case 'HAProxy TCP':
      return ['haproxy', '-db', '-f', '/etc/haproxy.cfg'];
    case 'keepalived IPVS DR':
      return ['keepalived', '-n', '-l', '-f', CONF, ...part];
    default:
      return undefined;
  }
}

export class Stage implements AsyncDisposable {
  readonly lab: Lab;
  readonly url: string;
  private constructor(lab: Lab, url: string) {
    this.lab = lab;
    this.url = url;
  }

  /** Resolves when the client is answered. Every stage has addresses of its own kernel: nothing of another run waits in TIME_WAIT. */
  static async start(o: StageOptions): Promise<Stage> {
    const { way } = o;
    const dr = way.mode === 'DR';
    const station = (last: string, more: Partial<HostDefinition> = {}): HostDefinition => ({
      ...more,
      links: { eth0: { to: 'lan', addresses: [`${last}/24`] } },
    });
    const director = (n: number): HostDefinition => {
      const conf: ConfOptions = {
        kind: dr ? 'DR' : 'NAT',
        servers: o.servers,
        ...(o.directors > 1 && { priority: 200 - 50 * n }),
        ...o.conf,
      };
      return station(directorAddress(n), {
        sysctls: {
          'net.ipv4.ip_forward': '1',
          'net.ipv4.conf.all.send_redirects': '0',
          'net.ipv4.conf.default.send_redirects': '0',
          'net.ipv4.ip_local_port_range': '1024 65000',
        },
        files: { [CONF]: confOf(conf), '/etc/haproxy.cfg': haproxy(o.servers) },
      });
    };
    const real = (n: number): HostDefinition =>
      station(serverAddress(n), {
        files: { '/etc/nginx/lab.conf': nginx, '/srv/www/index.html': `s${n}\n`.padEnd(128, 'x') },
        sysctls: {
          'net.core.somaxconn': '8192',
          ...(dr && { 'net.ipv4.conf.all.arp_ignore': '1', 'net.ipv4.conf.all.arp_announce': '2' }),
        },
      });
    const of = (count: number, name: string, make: (n: number) => HostDefinition): [string, HostDefinition][] =>
      Array.from({ length: count }, (_, i) => [`${name}${i + 1}`, make(i + 1)]);
    const lab = await Lab.start({
      switches: ['lan'],
      hosts: {
        client: station(CLIENT, { sysctls: { 'net.ipv4.ip_local_port_range': '1024 65000' } }),
        ...Object.fromEntries([...of(o.directors, 'd', director), ...of(o.servers, 's', real)]),
      },
    });
    const stage = new Stage(lab, `http://${way.mode === 'none' ? serverAddress(1) : VIP}/`);
    try {
      for (let n = 1; n <= o.servers; n++) await stage.#server(lab.host(`s${n}`), way);
      for (let n = 1; n <= o.directors; n++) await stage.#director(lab.host(`d${n}`), o);
      await stage.#answered();
      return stage;
    } catch (e) {
      await lab.stop();
      throw e;
    }
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.lab.stop();
  }

  async #server(s: Host, way: Way): Promise<void> {
    await run(s, 'mkdir -p /var/lib/nginx /var/log/nginx && nginx -c /etc/nginx/lab.conf');
    if (way.mode === 'DR') await run(s, `ip addr add ${VIP}/32 dev lo`);
    // What comes from the director's table goes back by it, on one switch as well.
    if (way.mode === 'NAT') await run(s, `ip route add ${CLIENT} via ${directorAddress(1)}`);
  }
  async #director(d: Host, o: StageOptions): Promise<void> {
    if (o.way.mode === 'none') return;
    if (o.directors === 1) await run(d, `ip addr add ${VIP}/32 dev eth0`);
    if (o.way.name === 'bpf xdp') {
      const plane = new RemotePlane(d, { interfaces: ['eth0'], xdp: 'generic' });
      const { outcomes } = await plane.apply({ services: [serviceOf(o.servers)], timeouts: {}, sync: [] });
      const bad = outcomes.find((x) => !x.result.ok);
      if (bad) throw new Error(JSON.stringify(bad));
      return;
    }
    d.spawn(command(o.way, o.directors === 1) ?? []);
  }
  async #answered(): Promise<void> {
    const probe = await startProbe(this.lab.host('client'), { http: this.url }, { intervalMs: 50, patienceMs: 1000 });
    const answer = await probe.answered({ timeoutMs: 60_000 });
    await probe.stop();
    if (answer === undefined) throw new Error(`${this.url} is not answered`);
  }
}

const serviceOf = (servers: number): WantedService => ({
  key: `tcp ${VIP}:80`,
  match: { by: 'address', protocol: 'tcp', ranges: [{ from: VIP as IpAddress, to: VIP as IpAddress }], port: 80 },
  scheduler: 'wrr',
  flags: [],
  onePacket: false,
  servers: Array.from({ length: servers }, (_, i) => ({
    key: `${serverAddress(i + 1)}:80`,
    address: serverAddress(i + 1) as IpAddress,
    port: 80,
    weight: 1,
    forwarding: { method: 'direct-routing' as const },
  })),
});

export type WrkResult = {
  readonly perSecond: number;
  /** Connections that ended by an error while they were open. */
  readonly broken: number;
  readonly refused: number;
};
/** What wrk prints at its end. */
export function readWrk(output: string): WrkResult {
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+)/.exec(output);
  const [connect = 0, read = 0, write = 0] = (errors?.slice(1) ?? []).map(Number);
  const perSecond = /Requests\/sec: +([\d.]+)/.exec(output)?.[1];
  if (perSecond === undefined) throw new Error(`wrk says nothing of requests: ${output}`);
  return { perSecond: Number(perSecond), broken: read + write, refused: connect };
}
