/** Two hosts with a disk each, that are to be one mirror: for tests and for the demo. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './host.ts';
import { Lab } from './lab.ts';
import type { Exit } from './program.ts';

export const PAIR = ['ha1', 'ha2'] as const;
export type PairHost = (typeof PAIR)[number];
const ADDRESSES: Readonly<Record<PairHost, string>> = { ha1: '192.168.1.11', ha2: '192.168.1.12' };

export type PairOptions = {
  /** The mirror's name. */
  readonly name: string;
  /** Of each disk, in bytes; its metadata is at its end. */
  readonly size: number;
  /** Path of the command. */
  readonly holdfast: string;
  /** Sections of the mirror in drbd.conf: `net { timeout 20; }`. */
  readonly sections?: string;
  /** Where the folder with the disks is made: none that a host has for itself, so that its disk outlives its power. */
  readonly folder: string;
};
export type Ran = { readonly exit: Exit; readonly stdout: string; readonly stderr: string };

export class MirrorPair {
  readonly lab: Lab;
  readonly folder: string;
  readonly #o: PairOptions;

  private constructor(lab: Lab, folder: string, o: PairOptions) {
    this.lab = lab;
    this.folder = folder;
    this.#o = o;
  }
  static async start(o: PairOptions): Promise<MirrorPair> {
    mkdirSync(o.folder, { recursive: true });
    const folder = mkdtempSync(join(o.folder, 'mirror-'));
    const disk = (h: PairHost): string => join(folder, `${h}.disk`);
    for (const h of PAIR) execFileSync('truncate', ['-s', String(o.size), disk(h)]);
    const on = (h: PairHost): string =>
      `  on ${h} { device /dev/drbd0; disk ${disk(h)}; meta-disk internal; address ${ADDRESSES[h]}:7788; }\n`;
    const conf = `resource ${o.name} {\n  net { protocol C; }\n${o.sections ?? ''}\n${PAIR.map(on).join('')}}\n`;
    const host = (h: PairHost) => ({
      links: { eth0: { to: 'lan', addresses: [`${ADDRESSES[h]}/24`] } },
      files: { '/etc/drbd.conf': conf },
    });
    const lab = await Lab.start({ switches: ['lan'], hosts: { ha1: host('ha1'), ha2: host('ha2') } });
    const pair = new MirrorPair(lab, folder, o);
    for (const h of PAIR) await pair.#ownDevices(h);
    return pair;
  }
  /** Names below /dev/holdfast are the host's own: what is mounted there goes with its power. */
  async #ownDevices(h: PairHost): Promise<void> {
    await this.run(h, [
      'sh',
      '-c',
      'mkdir -p /dev/holdfast && mount -t tmpfs tmpfs /dev/holdfast && mkdir -p /srv/data',
    ]);
  }
  host(h: PairHost): Host {
    return this.lab.host(h);
  }
  disk(h: PairHost): string {
    return join(this.folder, `${h}.disk`);
  }
  /** A program inside, and what it said; it may fail. */
  async run(h: PairHost, argv: readonly string[]): Promise<Ran> {
    const p = this.host(h).spawn(argv);
    const exit = await p.exited;
    return { exit, stdout: p.text('stdout'), stderr: p.text('stderr') };
  }
  /** `holdfast mirror ...` inside. */
  mirror(h: PairHost, ...words: readonly string[]): Promise<Ran> {
    return this.run(h, ['env', 'HOLDFAST_LANG=en', this.#o.holdfast, 'mirror', ...words]);
  }
  create(h: PairHost): Promise<Ran> {
    return this.mirror(h, 'create', this.#o.name, '-f', '/etc/drbd.conf', `--accept-data-loss=${this.#o.name}`);
  }
  up(h: PairHost, ...more: readonly string[]): Promise<Ran> {
    return this.mirror(h, 'up', this.#o.name, '-f', '/etc/drbd.conf', ...more);
  }
  async powerOn(h: PairHost): Promise<void> {
    await this.host(h).powerOn();
    await this.#ownDevices(h);
  }
  async stop(): Promise<void> {
    await this.lab.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
