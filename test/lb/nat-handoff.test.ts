/**
 * Two directors, NAT by nft, servers taken in turn: the active director loses its power. Established connections go on at their
 * servers if the directors have a link, since the second has their entries of connection tracking already.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LbDocument } from '../../src/api/index.ts';
import { loadAddon } from '../../src/host/linux/index.ts';
import { type Host, Lab, type Program } from '../../src/lab/index.ts';
import { TALK, Talks } from './bpf-rig.ts';

const root = resolve(import.meta.dirname, '../..');
const holdfast = join(root, 'bin/holdfast');
const possible = spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).status === 0;
const skip = !possible ? 'needs root or user namespaces' : !loadAddon().ok ? 'needs the native addon' : false;

const VIP = { 4: '10.7.1.99', 6: 'fd00:7:1::99' } as const;
const GATEWAY = { 4: '10.7.2.254', 6: 'fd00:7:2::254' } as const;
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
const conf = (priority: number, protocol: Protocol): string => `
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

async function until<T>(what: string, look: () => Promise<T | undefined | false>, limitMs = 90_000): Promise<T> {
  for (const end = performance.now() + limitMs; ; await sleep(100)) {
    const got = await look();
    if (got) return got;
    assert.ok(performance.now() < end, `waited ${limitMs} ms in vain: ${what}`);
  }
}
async function document(h: Host): Promise<LbDocument | undefined> {
  const r = await h.run([holdfast, 'lb', 'status', '--json', '-p', '/run/a.pid']);
  return r.code === 0 || r.code === 8 ? (JSON.parse(r.stdout) as LbDocument) : undefined;
}

type PairOptions = {
  readonly linked: boolean;
  readonly protocol?: Protocol;
  /** Of the first director. */
  readonly sysctls?: Readonly<Record<string, string>>;
};

/** Connections that the kernel of a host follows for a service, and that are not over. */
async function entries(h: Host): Promise<number> {
  const { stdout } = await h.run(['cat', '/proc/net/nf_conntrack']);
  return stdout.split('\n').filter((l) => / ESTABLISHED /.test(l) && / mark=[1-9]/.test(l)).length;
}

class Pair {
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
    await until('the first director has the addresses', () => this.holds('d1'));
  }
  run(name: 'd1' | 'd2'): Program {
    const peer = name === 'd1' ? '10.7.1.2' : '10.7.1.1';
    const link = this.#linked ? [`--lb-peer=${peer}`, '--lb-peer-key=/etc/lb.key'] : [];
    const argv = ['keepalived', '-n', '-l', '--lang=en', '-p', '/run/a.pid', '-f', '/etc/k.conf', '--lb-plane=nft'];
    return this.lab.host(name).spawn([holdfast, ...argv, ...link]);
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
    const { stdout } = await this.lab.host(name).run(['ip', '-o', 'addr']);
    return [...Object.values(VIP), ...Object.values(GATEWAY)].every((a) => stdout.includes(`${a}/`));
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

test('the active director loses its power: with a link between the directors every established connection goes on at its server, IPv4 and IPv6', {
  skip,
}, async () => {
  await using pair = await Pair.start({ linked: true });
  const [, d2] = pair.directors;
  const both = await pair.talks(60);
  const before = await Promise.all(both.map((t) => t.now()));
  for (const b of before) assert.deepEqual(b, { broken: 0, by: { s11: 20, s12: 20, s13: 20 } });
  const p = await pair.peer(d2, 'the second director holds them', (x) => x.held === 120);
  assert.equal(p.own, 0, 'the standby claims nothing for itself');
  await pair.lab.host('d1').powerCut();
  await until('the second director has the addresses', () => pair.holds('d2'));
  for (const [i, t] of both.entries()) assert.deepEqual(await t.settled(), before[i], `${i}\n${pair.said}`);
  await pair.peer(d2, 'the second director claims them', (x) => x.own === 120);

  // The first comes back, and takes over again when it was told: until then it has the lower priority.
  const [d1] = pair.directors;
  await d1.powerOn();
  d1.write('/etc/k.conf', conf(50, 'TCP'));
  pair.daemons.push(pair.run('d1'));
  await pair.carries(d1);
  await pair.peer(d1, 'the first director holds them', (x) => x.held === 120);
  assert.equal(await pair.holds('d1'), false, 'it was to wait for that');
  d1.write('/etc/k.conf', conf(200, 'TCP'));
  assert.equal((await d1.run(['sh', '-c', 'kill -HUP $(cat /run/a.pid)'])).code, 0);
  await until('the first director has the addresses', () => pair.holds('d1'));
  await pair.peer(d1, 'the first director claims them', (x) => x.own === 120);
  for (const [i, t] of both.entries()) assert.deepEqual(await t.settled(), before[i], `${i}\n${pair.said}`);
  await pair.peer(d2, 'the second one does no longer, and holds them', (x) => x.own === 0 && x.held === 120);

  // What ends is over on both.
  for (const t of both) await t.stop();
  await pair.peer(d1, 'the first director has none', (x) => x.own === 0);
  await pair.peer(d2, 'nor has the second', (x) => x.held === 0);
  for (const d of pair.directors) assert.equal(await entries(d), 0, d.name);
});

test('conversations over UDP go on at their servers too, also where the kernel tells nothing of connections; and that is said', {
  skip,
}, async () => {
  await using pair = await Pair.start({
    linked: true,
    protocol: 'UDP',
    sysctls: { 'net.netfilter.nf_conntrack_events': '0' },
  });
  const [d1, d2] = pair.directors;
  const talks = await Talks.start(pair.lab.host('client'), VIP[4], 30, 'udp-talk-main.ts');
  const before = await talks.now();
  assert.deepEqual(before, { broken: 0, by: { s11: 10, s12: 10, s13: 10 } });
  const late = /nf_conntrack_events is 0: the kernel tells nothing of connections/;
  await pair.peer(d1, 'the first director says that it hears late', (x) => late.test(x.late?.en ?? ''));
  assert.match((await d1.run([holdfast, 'lb', 'status', '--lang=en', '-p', '/run/a.pid'])).stdout, late);
  assert.equal(pair.said.match(new RegExp(late, 'g'))?.length, 1, pair.said);
  await pair.peer(d2, 'the second director holds them', (x) => x.held === 30 && x.late === undefined);
  await d1.powerCut();
  await until('the second director has the addresses', () => pair.holds('d2'));
  assert.deepEqual(await talks.settled(), before, pair.said);
  await pair.peer(d2, 'the second director claims them', (x) => x.own === 30);
});

test('without the link all of them break', { skip }, async () => {
  await using pair = await Pair.start({ linked: false });
  const [four] = await pair.talks(60);
  await pair.lab.host('d1').powerCut();
  await until('the second director has the addresses', () => pair.holds('d2'));
  await until('all are broken', async () => (await four.now()).broken === 60);
});
