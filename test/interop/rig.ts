/**
 * Routers, a client and a switch: what interoperation tests and benchmarks are run on. Every router runs either program
 * from the same configuration text; what happened is judged from the kernels' address tables, from packets on the
 * client's cable, and by a client that asks the virtual address.
 */
import { join } from 'node:path';
import type { Microseconds } from '../../src/base/index.ts';
import {
  type Host,
  type HostDefinition,
  Lab,
  now,
  type Probe,
  type Program,
  startProbe,
  startResponder,
} from '../../src/lab/index.ts';
import { AddressBook } from './addresses.ts';
import { Packets } from './packets.ts';

export type Software = 'holdfast' | 'keepalived';
export type RouterSpec = { readonly software: Software; readonly conf: string };

export const LINK = 'eth0';
export const CLIENT = 'client';
/** Echo (RFC 862). */
const PORT = 7;
const CONF = '/etc/keepalived/keepalived.conf';
const holdfast = join(import.meta.dirname, '../../bin/holdfast');

/** r1 is 10.9.0.1 and fd00:9::1, and so on; the client is .100. */
export const routerAddress = (n: number): string => `10.9.0.${n}`;

/** What is started in a host whose /etc/keepalived/keepalived.conf is there. VRRP alone: no part of it needs the kernel's ip_vs. */
export const command = (software: Software, detail: boolean): readonly string[] => [
  ...(software === 'keepalived' ? ['keepalived'] : [holdfast, 'keepalived']),
  ...['-n', '-l', '-P', '-f', CONF],
  ...(detail ? ['-D'] : []),
];

const station = (n: number, links: number, more: Partial<HostDefinition> = {}): HostDefinition => ({
  ...more,
  links: Object.fromEntries(
    Array.from({ length: links }, (_, i) => [
      `eth${i}`,
      { to: `lan${i}`, addresses: [`10.${9 + i}.0.${n}/16`, `fd00:${9 + i}::${n}/64`] },
    ]),
  ),
});

export type RigOptions = {
  /** Key: r1, r2, ... */
  readonly routers: Readonly<Record<string, RouterSpec>>;
  /** eth0 .. of every router, each on a switch of its own; 1 unless said. The client has the first only. */
  readonly links?: number;
  /** Every router says its name to who asks (see `ask`), from power on. */
  readonly responders?: boolean;
  /** The daemons log in detail (-D): for tests, whose failures show it. Off unless said: it costs time. */
  readonly detail?: boolean;
};

export class Rig {
  readonly lab: Lab;
  readonly addresses = new AddressBook();
  readonly #specs = new Map<string, RouterSpec>();
  readonly #daemons = new Map<string, Program>();

  readonly #options: RigOptions;

  private constructor(lab: Lab, options: RigOptions) {
    this.lab = lab;
    this.#options = options;
    for (const [name, spec] of Object.entries(options.routers)) this.#specs.set(name, spec);
  }

  /** Everything is there and powered; no daemon runs yet. */
  static async start(o: RigOptions): Promise<Rig> {
    const links = o.links ?? 1;
    const names = Object.keys(o.routers);
    const nonlocal = { 'net.ipv4.ip_nonlocal_bind': '1', 'net.ipv6.ip_nonlocal_bind': '1' };
    const lab = await Lab.start({
      switches: Array.from({ length: links }, (_, i) => `lan${i}`),
      hosts: {
        ...Object.fromEntries(names.map((name, i) => [name, station(i + 1, links, { sysctls: nonlocal })])),
        [CLIENT]: station(100, 1),
      },
    });
    const rig = new Rig(lab, o);
    await Promise.all(names.map((name) => rig.#prepare(name)));
    return rig;
  }
  async stop(): Promise<void> {
    await this.lab.stop();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get routers(): readonly string[] {
    return [...this.#specs.keys()];
  }
  host(name: string): Host {
    return this.lab.host(name);
  }

  /** Starts a router's daemon with its configuration, or with another one from now on. */
  startDaemon(name: string, spec?: RouterSpec): Program {
    if (spec) this.#specs.set(name, spec);
    const { software, conf } = this.#specs.get(name) as RouterSpec;
    this.host(name).write(CONF, conf);
    const daemon = this.host(name).spawn(command(software, this.#options.detail ?? false));
    this.#daemons.set(name, daemon);
    return daemon;
  }
  daemon(name: string): Program {
    return this.#daemons.get(name) as Program;
  }
  /** New text for the file, and SIGHUP. */
  async reload(name: string, conf: string): Promise<void> {
    this.#specs.set(name, { ...(this.#specs.get(name) as RouterSpec), conf });
    this.host(name).write(CONF, conf);
    await this.daemon(name).kill('SIGHUP');
  }
  /** SIGTERM, and waits for the end. */
  async stopDaemon(name: string): Promise<void> {
    await this.daemon(name).kill('SIGTERM');
    await this.daemon(name).exited;
  }
  async powerOn(name: string): Promise<void> {
    await this.host(name).powerOn();
    await this.#prepare(name);
  }
  async #prepare(name: string): Promise<void> {
    await this.addresses.follow(this.host(name));
    if (this.#options.responders === true) await startResponder(this.host(name), PORT);
  }
  /** A client that asks an address all the time which router it reaches. Needs `responders`. */
  ask(address: string, intervalMs: number): Promise<Probe> {
    return startProbe(this.host(CLIENT), { udp: { address, port: PORT } }, { intervalMs });
  }

  /**
   * The network stacks of two routers no longer hear each other, as behind firewalls that drop what the other sends;
   * everybody else hears both. Packet sockets still see the other's frames: they are read before the rule.
   */
  async separate(a: string, b: string): Promise<void> {
    const rules = (other: string): string =>
      [
        'add table netdev separate',
        `add chain netdev separate in { type filter hook ingress device "${LINK}" priority 0; }`,
        `add rule netdev separate in ether saddr ${this.lab.link(other, LINK).mac} drop`,
      ].join('\n');
    await Promise.all([this.#nft(a, rules(b)), this.#nft(b, rules(a))]);
  }
  /** Resolves with the moment just before they hear each other again. */
  async rejoin(a: string, b: string): Promise<Microseconds> {
    const since = now();
    await Promise.all([a, b].map((name) => this.#nft(name, 'delete table netdev separate')));
    return since;
  }
  async #nft(name: string, rules: string): Promise<void> {
    const done = await this.host(name).run(['nft', '-f', '-'], { input: `${rules}\n` });
    if (done.code !== 0) throw new Error(`nft in ${name}: ${done.stderr}`);
  }

  /** Resolves with the moment when `host` alone holds the address; rejects, with what is there instead, when the time is over. */
  async holder(address: string, host: string, withinMs: number): Promise<Microseconds> {
    await this.until(
      () => this.addresses.holders(address).join() === host,
      withinMs,
      () => `${host} alone should hold ${address}, which is held by [${this.addresses.holders(address)}]`,
    );
    return now();
  }
  /** Checked at every change of any address, and now and then. */
  async until(holds: () => boolean, withinMs: number, expected: () => string): Promise<void> {
    await this.addresses.until(holds, withinMs, () => `${expected()}\n${this.#lastWords()}`);
  }

  /** Everything about virtual routers that reaches the client's cable, from when this resolves. */
  packets(): Promise<Packets> {
    return Packets.follow(this.host(CLIENT), LINK);
  }

  #lastWords(): string {
    return [...this.#daemons]
      .map(([name, d]) => {
        const said = d.lines.slice(-12).map((l) => `    ${l.text}`);
        return `  ${name} (${this.#specs.get(name)?.software}):\n${said.join('\n')}`;
      })
      .join('\n');
  }
}
