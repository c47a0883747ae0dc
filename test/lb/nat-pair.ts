/** Two directors, NAT by nft, servers taken in turn, a client of both families, and how to wait for what they know of each other. */
import { join } from 'node:path';
import type { LbDocument } from '../../src/api/index.ts';
import { type Host, Lab, type Program } from '../../src/lab/index.ts';
import { TALK, Talks } from './bpf-rig.ts';
import { director, document, until } from './directors.ts';

export const VIP = { 4: '10.7.1.99', 6: 'fd00:7:1::99' } as const;
const GATEWAY = { 4: '10.7.2.254', 6: 'fd00:7:2::254' } as const;
/** What the master holds. */
const SHARED = [...Object.values(VIP), ...Object.values(GATEWAY)];
const SERVERS = [11, 12, 13] as const;
const wan = (last: number) => ({ to: 'wan', addresses: [`10.7.1.${last}/24`, `fd00:7:1::${last}/64`] });
const lan = (last: number) => ({ to: 'lan', addresses: [`10.7.2.${last}/24`, `fd00:7:2::${last}/64`] });

type Protocol = 'TCP' | 'UDP';
const virtualServer = (vip: string, net: string, protocol: Protocol): string => `
virtual_server ${vip} ${TALK} {
  lb_algo rr
  lb_kind NAT
  protocol ${protocol}
${SERVERS.map((n) => `  real_server ${net}${n} ${TALK} {\n    weight 1\n    TCP_CHECK { connect_timeout 20 }\n  }`).join('\n')}
}`;
export const conf = (priority: number, protocol: Protocol): string => `
vrrp_instance a {
  state BACKUP
  interface eth0
  version 3
  virtual_router_id 7
  priority ${priority}
  advert_int 1
  virtual_ipaddress {
    ${VIP[4]}/24 dev eth0
    ${GATEWAY[4]}/24 dev eth1
  }
  virtual_ipaddress_excluded {
    ${VIP[6]}/64 dev eth0
    ${GATEWAY[6]}/64 dev eth1
  }
}
${virtualServer(VIP[4], '10.7.2.', protocol)}
${virtualServer(VIP[6], 'fd00:7:2::', protocol)}
`;

type PairOptions = {
  readonly linked: boolean;
  readonly protocol?: Protocol;
  /** Of the first director. */
  readonly sysctls?: Readonly<Record<string, string>>;
};

/** Connections that the kernel of a host follows for a service, and that are not over. */
export async function entries(h: Host): Promise<number> {
  const { stdout } = await h.run(['cat', '/proc/net/nf_conntrack']);
  return stdout.split('\n').filter((l) => / ESTABLISHED /.test(l) && / mark=[1-9]/.test(l)).length;
}

export class Pair {
  readonly lab: Lab;
  readonly daemons: Program[] = [];
  readonly #linked: boolean;
  readonly #protocol: Protocol;
  private constructor(lab: Lab, o: PairOptions) {
    this.lab = lab;
    this.#linked = o.linked;
    this.#protocol = o.protocol ?? 'TCP';
  }
  static async start(o: PairOptions): Promise<Pair> {
    const director = (last: number, priority: number, more: PairOptions['sysctls'] = {}) => ({
      links: { eth0: wan(last), eth1: lan(last) },
      sysctls: {
        'net.ipv4.ip_forward': '1',
        'net.ipv6.conf.all.forwarding': '1',
        // Nothing is picked up in its middle: what goes on has an entry.
        'net.netfilter.nf_conntrack_tcp_loose': '0',
        ...more,
      },
      files: { '/etc/k.conf': conf(priority, o.protocol ?? 'TCP'), '/etc/lb.key': 'a key that both of them have\n' },
    });
    const lab = await Lab.start({
      switches: ['wan', 'lan'],
      hosts: {
        d1: director(1, 200, o.sysctls),
        d2: director(2, 100),
        client: { links: { eth0: wan(100) } },
        ...Object.fromEntries(
          SERVERS.map((n) => [
            `s${n}`,
            { links: { eth0: lan(n) }, routes: [`10.7.1.0/24 via ${GATEWAY[4]}`, `fd00:7:1::/64 via ${GATEWAY[6]}`] },
          ]),
        ),
      },
    });
    const pair = new Pair(lab, o);
    try {
      await pair.#begin();
    } catch (e) {
      await lab.stop();
      throw e;
    }
    return pair;
  }
  async #begin(): Promise<void> {
    const { lab } = this;
    for (const n of SERVERS) {
      const argv = [process.execPath, join(import.meta.dirname, 'bpf-talk-main.ts'), 'server', String(TALK)];
      await lab.host(`s${n}`).spawn(argv).line(/ready/, 60_000);
      if (this.#protocol === 'TCP') continue;
      const udp = [process.execPath, join(import.meta.dirname, 'udp-talk-main.ts'), 'server', String(TALK)];
      await lab.host(`s${n}`).spawn(udp).line(/ready/, 60_000);
    }
    for (const name of ['d1', 'd2'] as const) this.daemons.push(this.run(name));
    for (const d of this.directors) await this.carries(d);
    // Where the first one starts late, the second one is master for a moment.
    await until(
      'the first director alone has the addresses',
      async () => (await this.holds('d1')) && (await this.#addresses('d2')).length === 0,
    );
  }
  run(name: 'd1' | 'd2'): Program {
    const peer = name === 'd1' ? '10.7.1.2' : '10.7.1.1';
    const link = this.#linked ? [`--lb-peer=${peer}`, '--lb-peer-key=/etc/lb.key'] : [];
    return this.lab.host(name).spawn([...director('nft'), ...link]);
  }
  async carries(d: Host): Promise<void> {
    await until(`${d.name} carries the services`, async () => {
      const services = (await document(d))?.services ?? [];
      return (
        services.length === 2 && services.every((s) => s.plane === 'nft' && s.servers.every((x) => x.planeWeight === 1))
      );
    }).catch((e) => {
      throw new Error(`${e.message}\n${this.said}`);
    });
  }
  get directors(): [Host, Host] {
    return [this.lab.host('d1'), this.lab.host('d2')];
  }
  get said(): string {
    return this.daemons.map((p) => p.lines.map((l) => l.text).join('\n')).join('\n----\n');
  }
  async holds(name: string): Promise<boolean> {
    return (await this.#addresses(name)).length === SHARED.length;
  }
  async #addresses(name: string): Promise<readonly string[]> {
    const { stdout } = await this.lab.host(name).run(['ip', '-o', 'addr']);
    return SHARED.filter((a) => stdout.includes(` ${a}/`));
  }
  async talks(n: number): Promise<[Talks, Talks]> {
    const client = this.lab.host('client');
    return [await Talks.start(client, VIP[4], n), await Talks.start(client, VIP[6], n)];
  }
  /** What one director knows of the other, once it is so. */
  async peer(d: Host, what: string, is: (p: NonNullable<LbDocument['peer']>) => boolean) {
    return until(what, async () => {
      const p = (await document(d))?.peer;
      return p !== undefined && p !== null && is(p) && p;
    }).catch(async (e) => {
      const both = await Promise.all(this.directors.map((h) => document(h).catch(() => undefined)));
      throw new Error(`${e.message}\n${JSON.stringify(both.map((b) => b?.peer))}\n${this.said}`);
    });
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.lab.stop();
  }
}
