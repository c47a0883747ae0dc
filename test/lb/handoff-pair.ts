/**
 * Two directors, DR by bpf or nft: a server is drained, then the active director loses its power. Connections of the
 * drained server go on if the directors have a link, and break without it.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, Lab, type Program } from '../../src/lab/index.ts';
import { run, TALK, Talks, VIP4 } from './bpf-rig.ts';
import { director, document, holdfast, skip, until } from './directors.ts';

const SERVERS = [11, 12, 13] as const;
const DRAINED = `10.8.0.11:${TALK}`;
const station = (last: number) => ({ links: { eth0: { to: 'lan', addresses: [`10.8.0.${last}/24`] } } });
const conf = (priority: number): string => `
vrrp_instance a {
  state BACKUP
  interface eth0
  version 3
  virtual_router_id 7
  priority ${priority}
  advert_int 1
  virtual_ipaddress { ${VIP4}/24 }
}
virtual_server ${VIP4} ${TALK} {
  lb_algo wrr
  lb_kind DR
  protocol TCP
${SERVERS.map(
  (n) => `  real_server 10.8.0.${n} ${TALK} {
    weight 1
    TCP_CHECK { connect_timeout 20 }
  }`,
).join('\n')}
}
`;
const real = (last: number) => ({
  ...station(last),
  sysctls: { 'net.ipv4.conf.all.arp_ignore': '1', 'net.ipv4.conf.all.arp_announce': '2' },
});

export class Pair {
  readonly lab: Lab;
  readonly daemons: Program[] = [];
  private constructor(lab: Lab) {
    this.lab = lab;
  }
  static async start(o: {
    readonly linked: boolean;
    readonly plane?: 'bpf' | 'nft';
    readonly keys?: readonly [string, string];
  }): Promise<Pair> {
    const [k1, k2] = o.keys ?? ['a key that both of them have', 'a key that both of them have'];
    const host = (last: number, priority: number, key: string) => ({
      ...station(last),
      files: { '/etc/k.conf': conf(priority), '/etc/lb.key': `${key}\n` },
    });
    const lab = await Lab.start({
      switches: ['lan'],
      hosts: {
        d1: host(1, 200, k1),
        d2: host(2, 100, k2),
        client: station(100),
        ...Object.fromEntries(SERVERS.map((n) => [`s${n}`, real(n)])),
      },
    });
    const pair = new Pair(lab);
    try {
      await pair.#begin(o.linked, o.plane ?? 'bpf');
    } catch (e) {
      await lab.stop();
      throw e;
    }
    return pair;
  }
  async #begin(linked: boolean, plane: 'bpf' | 'nft'): Promise<void> {
    const { lab } = this;
    for (const n of SERVERS) {
      const s = lab.host(`s${n}`);
      await run(s, `ip addr add ${VIP4}/32 dev lo`);
      const talk = s.spawn([process.execPath, join(import.meta.dirname, 'bpf-talk-main.ts'), 'server', String(TALK)]);
      await talk.line(/ready/, 60_000);
    }
    const link = (peer: string) => (linked ? [`--lb-peer=${peer}`, '--lb-peer-key=/etc/lb.key'] : []);
    for (const [name, peer] of [
      ['d1', '10.8.0.2'],
      ['d2', '10.8.0.1'],
    ] as const) {
      this.daemons.push(lab.host(name).spawn([...director(plane), ...link(peer)]));
    }
    for (const d of this.directors)
      await until(`${d.name} carries the service`, async () => {
        const [s] = (await document(d))?.services ?? [];
        return s?.plane === plane && s.servers.every((x) => x.planeWeight === 1);
      }).catch((e) => {
        throw new Error(`${e.message}\n${this.said}`);
      });
    // Where the first one starts late, the second one is master for a moment.
    await until(
      'the first director alone has the address',
      async () => (await this.#holds('d1')) && !(await this.#holds('d2')),
    );
  }
  get directors(): [Host, Host] {
    return [this.lab.host('d1'), this.lab.host('d2')];
  }
  get said(): string {
    return this.daemons.map((p) => p.lines.map((l) => l.text).join('\n')).join('\n----\n');
  }
  async #holds(name: string): Promise<boolean> {
    return (await this.lab.host(name).run(['ip', '-o', 'addr'])).stdout.includes(`${VIP4}/`);
  }
  async drain(): Promise<void> {
    for (const d of this.directors) {
      const r = await d.run([holdfast, 'lb', 'drain', `tcp ${VIP4}:${TALK}`, DRAINED, '-p', '/run/a.pid']);
      assert.equal(r.code, 0, r.stdout + r.stderr);
    }
  }
  async powerCut(): Promise<void> {
    await this.lab.host('d1').powerCut();
    await until('the second director has the address', () => this.#holds('d2'));
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.lab.stop();
  }
}

export function handoffBy(plane: 'bpf' | 'nft'): void {
  test(`${plane}: the active director loses its power while a server is drained: with a link between the directors no connection breaks`, {
    skip,
  }, async (t) => {
    await using pair = await Pair.start({ linked: true, plane });
    const [d1, d2] = pair.directors;
    const talks = await Talks.start(pair.lab.host('client'), VIP4, 90);
    const before = await talks.settled();
    const drained = before.by['s11'] ?? 0;
    assert.ok(drained > 4, JSON.stringify(before));
    await pair.drain();
    const peer = await until('the second director holds what is drained', async () => {
      const p = (await document(d2))?.peer;
      return p?.held === drained && p;
    }).catch(async (e) => {
      throw new Error(
        `${e.message}\n${JSON.stringify([(await document(d1))?.peer, (await document(d2))?.peer])}\n${pair.said}`,
      );
    });
    assert.equal(peer.state, 'heard');
    assert.equal(peer.own, 0, 'the standby claims nothing for itself');
    const one = await until('the first knows that it does', async () => {
      const p = (await document(d1))?.peer;
      return p?.acknowledged === drained && p;
    });
    assert.equal(one.own, drained);
    t.diagnostic((await d1.run([holdfast, 'lb', 'status', '--lang=en', '-p', '/run/a.pid'])).stdout);
    await pair.powerCut();
    assert.deepEqual(await talks.settled(), before, pair.said);
    // They are its own now, for a director that comes back.
    await until('the second director claims them', async () => (await document(d2))?.peer?.own === drained);
  });

  test(`${plane}: without the link exactly the connections of the drained server break`, { skip }, async () => {
    await using pair = await Pair.start({ linked: false, plane });
    const talks = await Talks.start(pair.lab.host('client'), VIP4, 90);
    const before = await talks.settled();
    await pair.drain();
    await sleep(3000);
    await pair.powerCut();
    const drained = before.by['s11'] ?? 0;
    const { s11: _, ...others } = before.by;
    assert.deepEqual(await talks.settled(), { broken: drained, by: others }, pair.said);
  });
}
