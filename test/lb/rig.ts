/** A client, a director with the plane, and three real servers; in NAT the director is their router, in DR all are on one LAN. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { IpAddress } from '../../src/base/index.ts';
import type { ServiceCounters, ServiceOutcome, Wanted, WantedServer, WantedService } from '../../src/director/types.ts';
import { type Host, Lab, type Program } from '../../src/lab/index.ts';

const possible = spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).status === 0;
export const skip = possible ? false : 'needs root or user namespaces';

/** What a busy machine may need to start a program, or to say something. Milliseconds. */
const PATIENCE_MS = 60_000;
/** TCP asks again at its own times, each twice as late: after some seconds without a way it may be silent for as long again. */
const SILENCE_MS = 90_000;

/** HTTP on 80 and 8080 with the host's name, `/slow` that talks for long; UDP on 53 with the name. It ends no idle connection. */
const SERVER = `
const http = require('http'), name = process.argv[1];
for (const port of [80, 8080])
  http.createServer({ keepAliveTimeout: 0 }, (q, r) => {
    if (q.url !== '/slow') return r.end(name);
    const t = setInterval(() => r.write('x'.repeat(100)), 20);
    r.on('close', () => clearInterval(t));
  }).listen(port, '::');
const s = require('dgram').createSocket({ type: 'udp6' });
s.on('message', (m, from) => s.send(name, from.port, from.address));
s.bind(53, '::', () => console.log('up'));`;
/** Asks so often, each time by a new connection, waits so many milliseconds for each answer, and prints the names. */
const CLIENT = `
const http = require('http'), [url, n, patience] = process.argv.slice(1), out = [];
const one = () => new Promise((done) => {
  const q = http.get(url, { agent: false, timeout: Number(patience) }, (r) => {
    let b = ''; r.on('data', (d) => b += d); r.on('end', () => done(b));
  });
  q.on('timeout', () => q.destroy(new Error('ETIMEDOUT')));
  q.on('error', (e) => done('! ' + (e.code ?? e.message)));
});
(async () => { for (let i = 0; i < n; i++) out.push(await one()); console.log(JSON.stringify(out)); })();`;
/** Asks so often, each time from the next port: what is remembered of a port would answer for another question. */
const UDP_CLIENT = `
const [address, n, port] = process.argv.slice(1), out = [];
const one = (i) => new Promise((done) => {
  const s = require('dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const end = (v) => { clearTimeout(t); s.close(); done(v); };
  const t = setTimeout(() => end('! timeout'), 20000);
  s.on('message', (m) => end(String(m)));
  s.bind(Number(port) + i, () => s.send('hi', 53, address));
});
(async () => { for (let i = 0; i < n; i++) out.push(await one(i)); console.log(JSON.stringify(out)); })();`;
/** One connection that is kept and asked every 20 ms: a line for each answer, or for its end. */
const KEEPER = `
const http = require('http'), agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let socket;
const ask = () => {
  const q = http.get(process.argv[1], { agent, timeout: 120000 }, (r) => {
    let b = ''; r.on('data', (d) => b += d);
    r.on('end', () => { console.log(b); setTimeout(ask, 20); });
  });
  q.on('socket', (s) => { if (socket && s !== socket) { console.log('! other connection'); process.exit(1); } socket = s; });
  q.on('timeout', () => q.destroy(new Error('ETIMEDOUT')));
  q.on('error', (e) => { console.log('! ' + (e.code ?? e.message)); process.exit(1); });
};
ask();`;

export const NAT = { 4: '10.77.1.100', 6: 'fd77:1::100' } as const;
export const DR = { 4: '10.77.2.100', 6: 'fd77:2::100' } as const;
export const real = (i: number, f: 4 | 6): string => (f === 4 ? `10.77.2.1${i}` : `fd77:2::1${i}`);

export type Applied = {
  readonly refused: readonly { code: string }[];
  readonly outcomes: readonly ServiceOutcome[];
  readonly ms: number;
};
export class PlaneProcess {
  readonly #program: Program;
  #seen = 1;
  constructor(program: Program) {
    this.#program = program;
  }
  static async start(host: Host, options: object = {}): Promise<PlaneProcess> {
    const program = host.spawn(
      [process.execPath, join(import.meta.dirname, 'plane-main.ts'), JSON.stringify(options)],
      {
        input: 'pipe',
      },
    );
    await program.line(/^"ready"$/, PATIENCE_MS);
    return new PlaneProcess(program);
  }
  async ask(verb: string, value?: unknown, patienceMs = PATIENCE_MS): Promise<unknown> {
    this.#program.write(`${JSON.stringify({ verb, value })}\n`);
    for (const end = performance.now() + patienceMs; performance.now() < end; ) {
      const lines = this.#program.lines.filter((l) => l.from === 'stdout');
      const line = lines[this.#seen];
      if (line !== undefined) {
        this.#seen++;
        return JSON.parse(line.text);
      }
      assert.ok(this.#program.running, this.#program.text('stderr'));
      await new Promise((r) => setTimeout(r, 5));
    }
    assert.fail(`no answer to ${verb} within ${patienceMs} ms: ${this.#program.text('stderr')}`);
  }
  async apply(services: readonly WantedService[], patienceMs?: number): Promise<Applied> {
    return (await this.ask('apply', { services, timeouts: {}, sync: [] } satisfies Wanted, patienceMs)) as Applied;
  }
  /** Applies, and demands that all is well. */
  async holds(services: readonly WantedService[], patienceMs?: number): Promise<('kept' | 'changed')[]> {
    const { refused, outcomes } = await this.apply(services, patienceMs);
    assert.deepEqual(refused, []);
    return outcomes.map((o) => (o.result.ok ? o.result.value : assert.fail(JSON.stringify(o.result.error))));
  }
  async counters(): Promise<readonly ServiceCounters[]> {
    const got = (await this.ask('counters')) as { ok: true; value: ServiceCounters[] };
    assert.ok(got.ok, JSON.stringify(got));
    return got.value;
  }
  /** What the plane reported, a line each. */
  stderr(): string {
    return this.#program.text('stderr');
  }
  async close(keep: boolean): Promise<void> {
    await this.ask('close', { keep });
    await this.#program.exited;
  }
  async kill(): Promise<void> {
    await this.#program.kill('SIGKILL');
    await this.#program.exited;
  }
}

/** Below those that the kernel hands out. */
const FIRST_UDP_PORT = 10_000;

export class Rig {
  readonly lab: Lab;
  #udpPort = FIRST_UDP_PORT;
  constructor(lab: Lab) {
    this.lab = lab;
  }
  static async start(): Promise<Rig> {
    const lab = await Lab.start({
      switches: ['wan', 'lan'],
      hosts: {
        client: {
          links: {
            eth0: { to: 'wan', addresses: ['10.77.1.2/24', 'fd77:1::2/64'] },
            eth1: { to: 'lan', addresses: ['10.77.2.2/24', 'fd77:2::2/64'] },
          },
        },
        director: {
          links: {
            eth0: { to: 'wan', addresses: ['10.77.1.1/24', 'fd77:1::1/64', `${NAT[4]}/32`, `${NAT[6]}/128`] },
            eth1: { to: 'lan', addresses: ['10.77.2.1/24', 'fd77:2::1/64', `${DR[4]}/32`, `${DR[6]}/128`] },
          },
          sysctls: { 'net.ipv4.ip_forward': '1', 'net.ipv6.conf.all.forwarding': '1' },
        },
        ...Object.fromEntries(
          [1, 2, 3].map((i) => [
            `r${i}`,
            {
              links: { eth0: { to: 'lan', addresses: [`${real(i, 4)}/24`, `${real(i, 6)}/64`] } },
              sysctls: { 'net.ipv4.conf.all.arp_ignore': '1', 'net.ipv4.conf.all.arp_announce': '2' },
              routes: ['10.77.1.0/24 via 10.77.2.1', 'fd77:1::/64 via fd77:2::1'],
            },
          ]),
        ),
      },
    });
    for (const i of [1, 2, 3]) {
      const host = lab.host(`r${i}`);
      for (const f of [4, 6] as const)
        await host.run(['ip', 'address', 'add', `${DR[f]}/${f === 4 ? 32 : 128}`, 'dev', 'lo']);
      await host.spawn([process.execPath, '-e', SERVER, `r${i}`]).line(/^up$/, PATIENCE_MS);
    }
    return new Rig(lab);
  }
  get client(): Host {
    return this.lab.host('client');
  }
  get director(): Host {
    return this.lab.host('director');
  }
  async #names(argv: readonly string[]): Promise<string[]> {
    const done = await this.client.run([process.execPath, '-e', ...argv], { timeout: 120_000 });
    assert.equal(done.code, 0, `${argv.slice(1)}: ${done.timedOut ? 'no end' : done.stderr}`);
    return JSON.parse(done.stdout) as string[];
  }
  http(address: string, port: number, n: number, patienceMs = 20_000): Promise<string[]> {
    const host = address.includes(':') ? `[${address}]` : address;
    return this.#names([CLIENT, `http://${host}:${port}/`, String(n), String(patienceMs)]);
  }
  udp(address: string, n: number): Promise<string[]> {
    const port = this.#udpPort;
    this.#udpPort += n;
    return this.#names([UDP_CLIENT, address, String(n), String(port)]);
  }
  /** A connection that is asked again and again, and the server it is at. */
  async keep(address: string, port: number): Promise<{ program: Program; at: string }> {
    const host = address.includes(':') ? `[${address}]` : address;
    const program = this.client.spawn([process.execPath, '-e', KEEPER, `http://${host}:${port}/`]);
    const at = (await program.line(/./, PATIENCE_MS)).text;
    return { program, at };
  }
  /** Demands that a kept connection is answered on by its server. */
  async goesOn(k: { program: Program; at: string }, plane: PlaneProcess, when: string): Promise<void> {
    if (!(await answersOn(k))) assert.fail(`${when}: ${await this.#silence(k, plane)}`);
  }
  /** Why a kept connection may have fallen silent: what it said last, and where its packets are to go. */
  async #silence(k: { program: Program; at: string }, plane: PlaneProcess): Promise<string> {
    const said = k.program.lines.slice(-3).map((l) => `${l.from} ${l.at} ${l.text}`);
    const show = async (h: Host, ...argv: string[]): Promise<string> => {
      const { stdout, stderr } = await h.run(argv);
      return `${h.name}# ${argv.join(' ')}\n${stdout}${stderr}`;
    };
    return [
      `${k.at} fell silent at ${process.hrtime.bigint() / 1000n}; last lines: ${said.join(' | ')}`,
      `running: ${k.program.running}; the plane reported: ${plane.stderr()}`,
      await show(this.client, 'ss', '-tinpo'),
      await show(this.client, 'ip', 'neigh'),
      await show(this.director, 'ip', 'neigh'),
      await show(this.director, 'nft', 'list', 'ruleset'),
      await show(this.lab.host(k.at), 'ss', '-tinpo'),
      await show(this.lab.host(k.at), 'ip', 'neigh'),
    ].join('\n');
  }
  async nft(...argv: string[]): Promise<string> {
    const done = await this.director.run(['nft', ...argv]);
    assert.equal(done.code, 0, done.stderr);
    return done.stdout;
  }
}
/** Whether a kept connection is answered `n` more times. */
async function answersOn(k: { program: Program; at: string }, n = 10): Promise<boolean> {
  const from = k.program.lines.length;
  for (const end = performance.now() + SILENCE_MS; performance.now() < end; ) {
    const since = k.program.lines.slice(from);
    if (since.some((l) => l.text.startsWith('!'))) return false;
    if (since.length >= n) return since.every((l) => l.text === k.at);
    await new Promise((r) => setTimeout(r, 10));
  }
  return false;
}
/**
 * Demands that the connections at one server are lost and no other: while each of the others is answered fifty times more,
 * none of them is ten times. However many there are, and whether they end or fall silent, that takes no time of its own.
 */
export async function losesOnly(at: string, kept: readonly { program: Program; at: string }[]): Promise<void> {
  const [lost, others] = [kept.filter((k) => k.at === at), kept.filter((k) => k.at !== at)];
  const from = lost.map((k) => k.program.lines.length);
  const on = await Promise.all(others.map((k) => answersOn(k, 50)));
  assert.deepEqual(
    others.filter((_, i) => !on[i]).map((k) => k.at),
    [],
    'lost too',
  );
  for (const [i, k] of lost.entries()) {
    const answers = k.program.lines.slice(from[i]).filter((l) => l.text === at);
    assert.ok(answers.length < 10, `${at} answers on: ${answers.length} times`);
  }
}

export const server = (i: number, weight: number, o: Partial<WantedServer> & { family?: 4 | 6 } = {}): WantedServer => {
  const { family, ...rest } = o;
  const port = rest.port ?? 80;
  const address = real(i, family ?? 4) as IpAddress;
  return {
    key: `${address.includes(':') ? `[${address}]` : address}:${port}`,
    address,
    port,
    weight,
    forwarding: { method: 'nat' },
    ...rest,
  };
};
export const service = (
  address: string,
  port: number,
  servers: readonly WantedServer[],
  o: Partial<WantedService> & { protocol?: 'tcp' | 'udp' } = {},
): WantedService => {
  const { protocol, ...rest } = o;
  return {
    key: `${protocol ?? 'tcp'} ${address.includes(':') ? `[${address}]` : address}:${port}`,
    match: {
      by: 'address',
      protocol: protocol ?? 'tcp',
      ranges: [{ from: address as IpAddress, to: address as IpAddress }],
      port,
    },
    scheduler: 'wrr',
    flags: [],
    onePacket: false,
    servers,
    ...rest,
  };
};
export function tally(names: readonly string[]): Record<string, number> {
  const n: Record<string, number> = {};
  for (const x of names) n[x] = (n[x] ?? 0) + 1;
  return n;
}

export const direct = { forwarding: { method: 'direct-routing' } } as const;
export const directPool = (weights: readonly number[], o: Parameters<typeof server>[2] = {}): WantedServer[] =>
  weights.map((w, i) => server(i + 1, w, { ...direct, ...o }));

/** So many flows that the shares of a hash are seen. */
export const FLOWS = 400;
/** Each flow is hashed: of n, a share of p comes within six standard deviations of n p, but for two in a thousand million times. */
export function isShare(by: Readonly<Record<string, number>>, shares: Readonly<Record<string, number>>): void {
  const n = Object.values(by).reduce((a, b) => a + b, 0);
  assert.deepEqual(Object.keys(by).sort(), Object.keys(shares).sort());
  for (const [name, p] of Object.entries(shares)) {
    const off = Math.abs((by[name] as number) - n * p);
    assert.ok(off <= 6 * Math.sqrt(n * p * (1 - p)) + n / 251, `${name}: ${JSON.stringify(by)}`);
  }
}
