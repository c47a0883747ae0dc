/** Message exchanges of two hosts as text: what a reviewer reads when behaviour changes. */
import { test } from 'node:test';
import { type IpAddress, us } from '../../src/base/index.ts';
import { type Carried, Segment, SimHost, World } from '../../src/sim/index.ts';
import { exampleConfig, exampleInstance, type Instance, Vrrp } from '../../src/vrrp/index.ts';
import { decodeArp, decodeVrrp } from '../../src/wire/index.ts';
import { golden } from '../golden/golden.ts';

const S = 1_000_000;

/** Two hosts on a switch with a listener; everything on the wire and in the log becomes a line. */
class Exchange {
  readonly world = new World(1);
  readonly segment = new Segment('net', this.world);
  readonly lines: string[] = [];
  readonly hosts: SimHost[] = [];
  readonly routers: (Vrrp | undefined)[] = [];

  constructor() {
    this.segment.leastDelay = 100;
    this.segment.mostDelay = 100;
    this.segment.attach({ name: 'listener', carrier: () => true, arrive: (c) => this.#wire(c) });
  }
  start(changes: Partial<Instance>): void {
    const n = this.hosts.length + 1;
    const host = new SimHost(`host${n}`, this.world);
    host.connect('eth0', this.segment, `02:00:00:00:00:0${n}`, { address: `10.0.0.${n}` as IpAddress, length: 24 });
    this.hosts.push(host);
    host.boot((ports) => {
      const log = { write: (e: { text: { en: string } }) => this.#line(`host${n}`, e.text.en) };
      const options = {
        leaseAddresses: true,
        adopt: new Set<string>(),
        uptime: us(0),
        notify: () => {},
        willChanged: () => {},
      };
      const vrrp = new Vrrp(exampleConfig([exampleInstance(changes)]), { ...ports, log }, options);
      this.routers.push(vrrp);
      vrrp.start();
    });
  }
  wait(seconds: number): void {
    this.world.runUntil(this.world.now + seconds * S);
  }
  note(words: string): void {
    this.#line('-----', words);
  }
  /** Equal lines of one instant are written once, with their number. */
  text(): string {
    const out: string[] = [];
    for (let i = 0; i < this.lines.length; ) {
      let n = 1;
      while (this.lines[i + n] === this.lines[i]) n++;
      out.push(n === 1 ? (this.lines[i] as string) : `${this.lines[i]}  x ${n}`);
      i += n;
    }
    return out.join('\n');
  }
  #line(who: string, what: string): void {
    this.lines.push(`${(this.world.now / S).toFixed(4).padStart(9)}  ${who.padEnd(9)} ${what}`);
  }
  #wire(c: Carried): void {
    if (c.kind === 'frame') {
      const arp = decodeArp(c.bytes.subarray(14));
      if (arp.ok)
        this.#line(
          arp.value.senderMac.slice(-2),
          `ARP ${arp.value.senderIp} is at ${arp.value.senderMac}, asks for ${arp.value.targetIp}`,
        );
      return;
    }
    const path = { family: c.family, source: c.source as IpAddress, destination: c.destination as IpAddress };
    const advert = decodeVrrp(c.payload, path);
    if (advert.ok) this.#line(c.source, `VRRP ${advert.value.virtualRouter} priority ${advert.value.priority}`);
  }
}

test('start, preemption by a better host, orderly stop', (t) => {
  const x = new Exchange();
  x.start({ priority: 100 });
  x.wait(4.5);
  x.note('host2 starts with priority 150');
  x.start({ priority: 150 });
  x.wait(5);
  x.note('host2 is stopped');
  x.routers[1]?.stop();
  x.wait(2);
  golden(t, 'vrrp-preempt-and-stop', x.text());
});
test('a partition heals: the loser says so, the winner announces again', (t) => {
  const x = new Exchange();
  x.start({ priority: 150 });
  x.start({ priority: 100 });
  x.wait(5);
  x.note('the hosts no longer reach each other');
  x.segment.cut('host1', 'host2');
  x.segment.cut('host2', 'host1');
  x.wait(5);
  x.note('healed');
  x.segment.heal();
  x.wait(2);
  golden(t, 'vrrp-partition-heals', x.text());
});
