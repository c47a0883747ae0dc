/** A client, two directors and real servers on one switch, with the bpf plane in a process of its own on the directors. */
import { join } from 'node:path';
import type { IpAddress } from '../../src/base/index.ts';
import type { Forwarding, Scheduler } from '../../src/director/index.ts';
import type { BpfPlaneOptions } from '../../src/director/planes/bpf/index.ts';
import type {
  FlowException,
  ServiceCounters,
  ServiceOutcome,
  Wanted,
  WantedServer,
  WantedService,
} from '../../src/director/types.ts';
import { type Host, type HostDefinition, Lab, type Program, startResponder } from '../../src/lab/index.ts';
import type { PlaneCommand, RunResult } from './bpf-plane-main.ts';

export const VIP4 = '10.8.0.99';
export const VIP6 = 'fd00:8::99';
/** Of the responders: HTTP and UDP, both say the server's name. */
export const PORT = 8000;
/** Of the connections that live long. */
export const TALK = 8001;
const SERVERS = ['s1', 's2', 's3'] as const;
/** What a busy machine may need for anything. Milliseconds. */
const PATIENCE_MS = 60_000;
/** TCP asks again at its own times, each twice as late: after some seconds without a way it may be silent for as long again. */
const SILENCE_MS = 90_000;
/** One request after the other, each on a connection of its own; prints who answered, or `none`. */
const ASK = `
const http = require('http'), [url, n, patience] = process.argv.slice(1), out = [];
const one = () => new Promise((done) => {
  const q = http.get(url, { agent: false, timeout: Number(patience) }, (r) => {
    let b = ''; r.on('data', (d) => b += d); r.on('end', () => done(b.trim()));
  });
  q.on('timeout', () => q.destroy());
  q.on('error', () => done('none'));
});
(async () => { for (let i = 0; i < n; i++) out.push(await one()); console.log(JSON.stringify(out)); })();`;
export const serverAddress = (n: number, family: 4 | 6): string =>
  family === 4 ? `10.8.0.${10 + n}` : `fd00:8::${10 + n}`;

const station = (n: number, more: Partial<HostDefinition> = {}): HostDefinition => ({
  ...more,
  links: { eth0: { to: 'lan', addresses: [`10.8.0.${n}/24`, `fd00:8::${n}/64`] } },
});
const REAL_SERVER = {
  'net.ipv4.conf.all.arp_ignore': '1',
  'net.ipv4.conf.all.arp_announce': '2',
  'net.ipv4.conf.all.rp_filter': '0',
  'net.ipv4.conf.default.rp_filter': '0',
};

export type ServerSpec = { readonly n: number; readonly weight?: number; readonly family?: 4 | 6 };
export function service(o: {
  readonly vip?: string;
  readonly port?: number;
  readonly protocol?: 'tcp' | 'udp';
  readonly scheduler?: Scheduler;
  readonly forwarding?: Forwarding;
  readonly servers: readonly ServerSpec[];
}): WantedService {
  const vip = (o.vip ?? VIP4) as IpAddress;
  const port = o.port ?? PORT;
  const family = vip.includes(':') ? 6 : 4;
  const protocol = o.protocol ?? 'tcp';
  return {
    key: `${protocol} ${vip}:${port}`,
    match: { by: 'address', protocol, ranges: [{ from: vip, to: vip }], port },
    scheduler: o.scheduler ?? 'wrr',
    flags: [],
    onePacket: false,
    servers: o.servers.map((s): WantedServer => {
      const address = serverAddress(s.n, s.family ?? family) as IpAddress;
      return {
        key: `${address}:${port}`,
        address,
        port,
        weight: s.weight ?? 1,
        forwarding: o.forwarding ?? { method: 'direct-routing' },
      };
    }),
  };
}
export const wanted = (...services: readonly WantedService[]): Wanted => ({ services, timeouts: {}, sync: [] });

/** All real servers, and every service that they have. */
export const three: readonly ServerSpec[] = [{ n: 1 }, { n: 2 }, { n: 3 }];
export const everything = (servers = three): Wanted =>
  wanted(
    ...[VIP4, VIP6].flatMap((vip) =>
      [
        ['tcp', PORT],
        ['udp', PORT],
        ['tcp', TALK],
      ].map(([protocol, port]) => service({ vip, protocol: protocol as 'tcp', port: port as number, servers })),
    ),
  );

/** A plane that runs in a host. */
export class RemotePlane {
  readonly program: Program;
  #asked = 0;
  constructor(host: Host, options: Partial<BpfPlaneOptions> = {}) {
    this.program = host.spawn(
      [process.execPath, join(import.meta.dirname, 'bpf-plane-main.ts'), JSON.stringify(options)],
      {
        input: 'pipe',
      },
    );
  }
  async #ask(c: PlaneCommand): Promise<unknown> {
    const n = ++this.#asked;
    const answers = (): string[] =>
      this.program.lines.filter((l) => l.from === 'stdout' && l.text.startsWith('answer ')).map((l) => l.text.slice(7));
    this.program.write(`${JSON.stringify(c)}\n`);
    for (const end = performance.now() + 2 * PATIENCE_MS; performance.now() < end; ) {
      const { running } = this.program;
      const answer = answers()[n - 1];
      if (answer !== undefined) return JSON.parse(answer);
      if (!running) {
        await this.program.exited; // what it still said is read by then
        if (answers()[n - 1] === undefined) break;
      }
      await new Promise((r) => setTimeout(r, 5));
    }
    throw new Error(`no answer to ${c.do}: ${this.program.text('stderr')}`);
  }
  async apply(w: Wanted): Promise<{ readonly microseconds: number; readonly outcomes: readonly ServiceOutcome[] }> {
    return (await this.#ask({ do: 'apply', wanted: w })) as never;
  }
  async refuses(w: Wanted): Promise<readonly (string | undefined)[]> {
    return (await this.#ask({ do: 'refuses', wanted: w })) as never;
  }
  async counters(): Promise<readonly ServiceCounters[]> {
    return (await this.#ask({ do: 'counters' })) as never;
  }
  async exceptions(): Promise<readonly FlowException[]> {
    return (await this.#ask({ do: 'exceptions' })) as never;
  }
  async tick(): Promise<void> {
    await this.#ask({ do: 'tick' });
  }
  async run(program: 'tc_director' | 'xdp_director', frames: readonly Uint8Array[], repeat = 1): Promise<RunResult[]> {
    const hex = frames.map((f) => Buffer.from(f).toString('hex'));
    return (await this.#ask({ do: 'run', program, frames: hex, repeat })) as never;
  }
  async inject(
    frame: Uint8Array,
    o: { readonly repeat: number; readonly ports: number; readonly drop: boolean },
  ): Promise<number> {
    return (await this.#ask({ do: 'inject', frame: Buffer.from(frame).toString('hex'), ...o })) as never;
  }
  async close(keep: boolean): Promise<void> {
    await this.#ask({ do: 'close', keep });
    await this.program.exited;
  }
}

export type TalksAre = { readonly broken: number; readonly by: Readonly<Record<string, number>> };
/** A client's long connections. */
export class Talks {
  readonly #program: Program;
  private constructor(program: Program) {
    this.#program = program;
  }
  static async start(
    client: Host,
    address: string,
    n: number,
    main: 'bpf-talk-main.ts' | 'udp-talk-main.ts' = 'bpf-talk-main.ts',
  ): Promise<Talks> {
    const argv = [process.execPath, join(import.meta.dirname, main), 'client', address, String(TALK), String(n)];
    const program = client.spawn(argv, { input: 'pipe' });
    await program.line(/^all$/, PATIENCE_MS);
    return new Talks(program);
  }
  /** Once each was answered to what it said later than this call, or has ended. Broken: what has ended, and what stays silent for `ms`. */
  settled(ms = SILENCE_MS): Promise<TalksAre> {
    return this.#ask(`settle ${ms}`, ms + PATIENCE_MS);
  }
  /** As they are: what hears nothing for 3 s is broken too. */
  now(): Promise<TalksAre> {
    return this.#ask('now', PATIENCE_MS);
  }
  /** All of them end. */
  async stop(): Promise<void> {
    await this.#program.kill('SIGTERM');
    await this.#program.exited;
  }
  async #ask(command: string, patienceMs: number): Promise<TalksAre> {
    const before = this.#program.lines.length;
    this.#program.write(`${command}\n`);
    for (const end = performance.now() + patienceMs; performance.now() < end; ) {
      const line = this.#program.lines.slice(before).find((l) => l.text.startsWith('now '));
      if (line) return JSON.parse(line.text.slice(4));
      if (!this.#program.running) break;
      await new Promise((r) => setTimeout(r, 10));
    }
    throw new Error(`no answer to ${command}: ${this.#program.text('stderr')}`);
  }
}

export class BpfRig {
  readonly lab: Lab;
  private constructor(lab: Lab) {
    this.lab = lab;
  }
  /** `tunnel`: the real servers get no path to the VIP of their own; else DR. */
  static async start(): Promise<BpfRig> {
    const lab = await Lab.start({
      switches: ['lan'],
      hosts: {
        client: station(100),
        d1: station(1, { sysctls: { 'net.ipv4.ip_nonlocal_bind': '1' } }),
        d2: station(2),
        ...Object.fromEntries(SERVERS.map((name, i) => [name, station(11 + i, { sysctls: REAL_SERVER })])),
      },
    });
    const rig = new BpfRig(lab);
    await Promise.all(SERVERS.map((name) => rig.#realServer(lab.host(name))));
    await rig.takeAddress('d1');
    return rig;
  }
  async #realServer(host: Host): Promise<void> {
    await run(host, `ip addr add ${VIP4}/32 dev lo; ip -6 addr add ${VIP6}/128 dev lo nodad`);
    const talk = host.spawn([process.execPath, join(import.meta.dirname, 'bpf-talk-main.ts'), 'server', String(TALK)]);
    await Promise.all([startResponder(host, PORT), talk.line(/ready/, PATIENCE_MS)]);
  }
  host(name: string): Host {
    return this.lab.host(name);
  }
  plane(name: string, options?: Partial<BpfPlaneOptions>): RemotePlane {
    return new RemotePlane(this.host(name), options);
  }
  /** The virtual addresses come to this director, and the client is told: it is asked for its link address by them. */
  async takeAddress(name: string): Promise<void> {
    const host = this.host(name);
    await run(
      host,
      `ip addr add ${VIP4}/32 dev eth0; ip -6 addr add ${VIP6}/128 dev eth0 nodad; ip neigh flush dev eth0`,
    );
    const say = (type: string, from: string, to: string): string =>
      `{const s=require('dgram').createSocket('${type}');s.bind({address:'${from}'},()=>s.send('',9,'${to}',()=>s.close()))}`;
    const both = say('udp4', VIP4, '10.8.0.100') + say('udp6', VIP6, 'fd00:8::100');
    await host.run([process.execPath, '-e', both]);
  }
  /** The servers' names that answered `n` HTTP requests, each on a connection of its own; `none` where nobody did in time. */
  ask(n: number, address = VIP4, patienceMs?: number): Promise<string[]> {
    return askHttp(this.host('client'), n, address, patienceMs);
  }
  stop(): Promise<void> {
    return this.lab.stop();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

export async function askHttp(client: Host, n: number, address: string, patienceMs = 20_000): Promise<string[]> {
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${PORT}/`;
  const argv = [process.execPath, '-e', ASK, url, String(n), String(patienceMs)];
  const done = await client.run(argv, { timeout: 2 * PATIENCE_MS });
  if (done.code !== 0) throw new Error(`${n} requests to ${url}: ${done.timedOut ? 'no end' : done.stderr}`);
  return JSON.parse(done.stdout) as string[];
}
export async function run(host: Host, script: string): Promise<string> {
  const done = await host.run(['sh', '-c', script], { timeout: PATIENCE_MS });
  if (done.code !== 0) throw new Error(`${script}: ${done.timedOut ? 'no end' : done.stderr}`);
  return done.stdout;
}
export function tally(names: readonly string[]): Record<string, number> {
  const out: Record<string, number> = {};
  for (const n of names) out[n] = (out[n] ?? 0) + 1;
  return out;
}
