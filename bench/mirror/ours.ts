/** Two nodes of Holdfast with one resource: each a process `holdfast mirror run`, as an operator starts it. */
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorAnswer, MirrorRequest, MirrorStatus } from '../../src/api/index.ts';
import { ask } from '../../src/cli/ask.ts';
import { Daemon } from '../shared/daemon.ts';
import { ADDRESSES, type NodeName, type Stage } from './stage.ts';

export const holdfast = join(import.meta.dirname, '../../bin/holdfast');
export type Protocol = 'A' | 'B' | 'C';
export type PairOptions = {
  readonly name: string;
  readonly protocol: Protocol;
  /** Options in drbd.conf's words, beyond the protocol. */
  readonly disk?: string;
  readonly net?: string;
  /** What each lies on, made by the caller: data and metadata. */
  readonly disks: Readonly<Record<NodeName, string>>;
  /** Where the other one looks for a node, where that is not the node itself: a relay. */
  readonly peers?: Readonly<Record<NodeName, string>>;
  /** Called with the port of both before they start. */
  readonly between?: (port: number) => Promise<void>;
};
const WAIT_MS = 120_000;

export class HoldfastNode {
  readonly name: NodeName;
  readonly #stage: Stage;
  readonly #resource: string;
  readonly #file: string;
  #daemon: Daemon | undefined;

  constructor(stage: Stage, resource: string, file: string, name: NodeName) {
    this.#stage = stage;
    this.#resource = resource;
    this.#file = file;
    this.name = name;
  }
  get daemon(): Daemon {
    if (this.#daemon === undefined) throw new Error(`${this.name} does not run`);
    return this.#daemon;
  }
  #path(kind: string): string {
    return join(this.#stage.folder, `${this.#resource}-${this.name}.${kind}`);
  }
  get uri(): string {
    return `nbd+unix:///${this.#resource}?socket=${this.#path('nbd')}`;
  }
  /** Milliseconds until it served its device. */
  async start(): Promise<number> {
    for (const left of ['nbd', 'sock']) rmSync(this.#path(left), { force: true });
    const argv = [holdfast, 'mirror', 'run', this.#resource, '-f', this.#file, '--host', this.name];
    const sockets = ['--socket', this.#path('sock'), '--nbd', this.#path('nbd')];
    this.#daemon = Daemon.start(this.name, this.#stage.inside([...argv, ...sockets]), this.#path('log'));
    const served = await this.#daemon.serves(this.#path('nbd'));
    await this.#daemon.serves(this.#path('sock'));
    return served;
  }
  async ask(request: MirrorRequest): Promise<MirrorAnswer> {
    const got = await ask(this.#path('sock'), { ask: 'mirror', name: this.#resource, request });
    if (!got.ok) throw new Error(got.error.text.en);
    return got.value as MirrorAnswer;
  }
  async status(): Promise<MirrorStatus> {
    const got = await ask(this.#path('sock'), { ask: 'mirrors' });
    if (!got.ok) throw new Error(got.error.text.en);
    const [first] = (got.value as { mirrors: readonly MirrorStatus[] }).mirrors;
    if (first === undefined) throw new Error('the node has no mirror');
    return first;
  }
  /** Milliseconds until it was so. */
  async until(so: (s: MirrorStatus) => boolean, every = 50): Promise<number> {
    const from = performance.now();
    for (;;) {
      const waited = performance.now() - from;
      const s = await this.status();
      if (so(s)) return waited;
      if (waited > WAIT_MS) throw new Error(`${this.name}: still ${JSON.stringify(s.volumes)}`);
      await sleep(every);
    }
  }
}
export const equal = (s: MirrorStatus): boolean =>
  s.connection === 'Connected' &&
  s.volumes.every((v) => v.connection === 'Connected' && v.disk === 'UpToDate' && v.peerDisk === 'UpToDate');

export class HoldfastPair {
  readonly alfa: HoldfastNode;
  readonly bravo: HoldfastNode;

  private constructor(alfa: HoldfastNode, bravo: HoldfastNode) {
    this.alfa = alfa;
    this.bravo = bravo;
  }
  /** Fresh metadata, both nodes up, nothing decided yet: both disks are Inconsistent. */
  static async start(stage: Stage, o: PairOptions): Promise<HoldfastPair> {
    const port = stage.port();
    const node = (n: NodeName): HoldfastNode => {
      const file = join(stage.folder, `${o.name}-${n}.conf`);
      const host = (of: NodeName): string => {
        const address = of === n ? ADDRESSES[of] : (o.peers?.[of] ?? ADDRESSES[of]);
        return `on ${of} { device /dev/drbd0; disk ${o.disks[of]}; meta-disk internal; address ${address}:${port}; }`;
      };
      const options = [`net { protocol ${o.protocol}; ${o.net ?? ''} }`, `disk { ${o.disk ?? ''} }`];
      writeFileSync(file, `resource ${o.name} {\n${[...options, host('alfa'), host('bravo')].join('\n')}\n}\n`);
      execFileSync(holdfast, ['mirror', 'create', o.name, '-f', file, '--host', n], { stdio: 'ignore' });
      return new HoldfastNode(stage, o.name, file, n);
    };
    const pair = new HoldfastPair(node('alfa'), node('bravo'));
    await o.between?.(port);
    const { alfa, bravo } = pair;
    await Promise.all([alfa.start(), bravo.start()]);
    await alfa.until((s) => s.connection === 'Connected');
    return pair;
  }
  /** The first node's content becomes that of both; it is primary then. */
  async copyAll(): Promise<void> {
    const answer = await this.alfa.ask({ verb: 'primary', force: true });
    if (!answer.ok) throw new Error(answer.text.en);
    await this.alfa.until(equal);
  }
  get uri(): string {
    return this.alfa.uri;
  }
  /** Of both nodes together. */
  cpu(): number {
    return this.alfa.daemon.cpu() + this.bravo.daemon.cpu();
  }
  async stop(signal?: NodeJS.Signals): Promise<void> {
    await Promise.all([this.alfa.daemon.stop(signal), this.bravo.daemon.stop(signal)]);
  }
}
