/**
 * A mirror of two hosts: one is a guest whose kernel has DRBD 8.4, the other is ours, a process of this machine.
 *
 * ```
 * holdfast mirror run ── 10.99.0.1 tap0 ═══ eth0 10.99.0.2 ── kernel DRBD, /dev/drbd0
 *       │                                                          │
 *    ours.img            (both files of this machine)        /dev/vda = kern.img
 * ```
 * The guest has the other file too, as /dev/vdb: `swapped`, each side lies on what was the other's.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  MirrorAnswer,
  MirrorAsk,
  MirrorDocument,
  MirrorRequest,
  MirrorStatus,
  VolumeStatus,
} from '../../src/api/index.ts';
import { Vm } from '../../src/lab/vm/index.ts';

const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
export const sha256 = (b: Uint8Array): string => createHash('sha256').update(b).digest('hex');
export const MIB = 1 << 20;
export const SIZE = 24 * MIB;
/** Less than what internal metadata of that size leaves. */
const DATA = SIZE - MIB;
/** Of an emulated guest on a busy machine. */
const PATIENCE_MS = 60_000;

/** What a case adds to the sections of the resource. */
export type Settings = { readonly net?: string; readonly disk?: string; readonly more?: string };
/** Lines of the kernel's and of ours where they must not be the same. */
export type Sides = { readonly ours?: Settings; readonly kern?: Settings };

const TAP = `
ip tuntap add dev tap0 mode tap
ip address add 10.99.0.1/24 dev tap0
ip link set tap0 up
`;

/** The line of /proc/drbd and its counters. */
export type Proc = {
  readonly cs: string;
  readonly ro: string;
  readonly ds: string;
  readonly counters: Readonly<Record<string, number>>;
  readonly text: string;
};

export class DrbdRig {
  readonly folder: string;
  readonly vm: Vm;
  readonly #socket: string;
  #ours: ChildProcess | undefined;
  swapped = false;
  /** What our process said, all runs. */
  said = '';

  private constructor(folder: string, vm: Vm) {
    this.folder = folder;
    this.vm = vm;
    this.#socket = join(folder, 'sock');
  }
  /** Only in a network namespace of its own. */
  static async start(): Promise<DrbdRig> {
    execFileSync('sh', ['-e', '-c', TAP]);
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-drbd-'));
    for (const host of ['ours', 'kern']) execFileSync('truncate', ['-s', `${SIZE}`, join(folder, `${host}.img`)]);
    const vm = await Vm.start({
      hostname: 'kern',
      modules: ['drbd'],
      nics: [{ to: { tap: 'tap0' }, addresses: ['10.99.0.2/24'] }],
      disks: [join(folder, 'kern.img'), join(folder, 'ours.img')],
    });
    return new DrbdRig(folder, vm);
  }
  async stop(): Promise<void> {
    this.kill();
    await this.vm.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
  image(host: 'ours' | 'kern'): string {
    return join(this.folder, `${host}.img`);
  }
  /** What is on its disk, without the metadata at the end. */
  data(host: 'ours' | 'kern'): Buffer {
    return readFileSync(this.image(host)).subarray(0, DATA);
  }

  // ------------------------------------------------------------------------------------------ configuration

  /** Both sides are stopped, told this, and started: what they have on their disks they keep. */
  async configure(both: Settings, sides: Sides = {}): Promise<void> {
    await this.stopOurs();
    if (this.#kernelUp) await this.adm('down', 'r0');
    this.#kernelUp = false;
    await this.tellKernel(join2(both, sides.kern));
    this.tellOurs(join2(both, sides.ours));
  }
  #kernelUp = false;
  tellOurs(s: Settings): void {
    writeFileSync(join(this.folder, 'drbd.conf'), this.#conf(s));
  }
  async tellKernel(s: Settings): Promise<void> {
    await this.sh('cat > /etc/drbd.conf', this.#conf(s));
  }
  #conf(s: Settings): string {
    const [ours, kern] = this.swapped ? ['kern.img', '/dev/vdb'] : ['ours.img', '/dev/vda'];
    return confOf(join(this.folder, ours), kern, s);
  }
  /** Metadata of both sides as a new mirror has it, and on each disk what `fill` says, byte by byte the same number. */
  async create(fill: { readonly ours: number; readonly kern: number }): Promise<void> {
    for (const host of ['ours', 'kern'] as const) {
      const fd = openSync(this.image(host), 'r+');
      const block = Buffer.alloc(MIB, fill[host]);
      for (let at = 0; at < SIZE; at += MIB) writeSync(fd, block, 0, MIB, at);
      closeSync(fd);
    }
    await this.sh('blockdev --flushbufs /dev/vda');
    this.createOurs();
    await this.adm('create-md', '--force', 'r0');
  }
  createOurs(): void {
    truncateSync(this.image('ours'), SIZE);
    execFileSync(holdfast, ['mirror', 'create', 'r0', ...this.#who, '--accept-data-loss=r0'], { stdio: 'pipe' });
  }
  get #who(): string[] {
    return ['-f', join(this.folder, 'drbd.conf'), '--host', 'ours'];
  }

  // ------------------------------------------------------------------------------------------ ours

  async startOurs(): Promise<void> {
    assert.equal(this.#ours, undefined);
    const argv = ['mirror', 'run', 'r0', ...this.#who, '--socket', this.#socket, '--nbd', join(this.folder, 'nbd')];
    const p = spawn(holdfast, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ours = p;
    for (const from of [p.stdout, p.stderr])
      from.setEncoding('utf8').on('data', (words: string) => {
        this.said += words;
      });
    await this.until('our process is up', () =>
      this.#ask({ ask: 'mirrors' }).then(
        () => true,
        () => false,
      ),
    );
  }
  /** The power of our host goes: nothing is said any more. */
  kill(): void {
    this.#ours?.kill('SIGKILL');
    this.#ours = undefined;
  }
  async stopOurs(): Promise<void> {
    const p = this.#ours;
    this.#ours = undefined;
    if (p === undefined || p.exitCode !== null) return;
    const gone = new Promise((done) => p.once('exit', done));
    p.kill('SIGTERM');
    await gone;
  }
  signal(name: NodeJS.Signals): void {
    this.#ours?.kill(name);
  }
  #ask(q: MirrorAsk): Promise<unknown> {
    return new Promise((done, failed) => {
      let got = '';
      const s = connect(this.#socket);
      s.setEncoding('utf8').on('data', (words: string) => {
        got += words;
      });
      s.on('error', failed).on('end', () => (got === '' ? failed(new Error('no answer')) : done(JSON.parse(got))));
      s.write(`${JSON.stringify(q)}\n`);
    });
  }
  ask(request: MirrorRequest): Promise<MirrorAnswer> {
    return this.#ask({ ask: 'mirror', name: 'r0', request }) as Promise<MirrorAnswer>;
  }
  /** Of our side; it must be agreed to. */
  async order(request: MirrorRequest): Promise<void> {
    const a = await this.ask(request);
    assert.ok(a.ok, `${request.verb}: ${a.text.en}`);
  }
  async status(): Promise<MirrorStatus> {
    const { mirrors } = (await this.#ask({ ask: 'mirrors' })) as MirrorDocument;
    return mirrors[0] ?? assert.fail('no mirror');
  }
  async volume(): Promise<VolumeStatus> {
    return (await this.status()).volumes[0] ?? assert.fail('no volume');
  }
  /** Commands of qemu-io, through our NBD export; each must succeed. */
  io(...commands: string[]): string {
    const argv = [
      '-f',
      'raw',
      `nbd+unix:///r0?socket=${join(this.folder, 'nbd')}`,
      ...commands.flatMap((c) => ['-c', c]),
    ];
    const r = spawnSync('qemu-io', argv, { encoding: 'utf8', timeout: PATIENCE_MS });
    assert.equal(r.status, 0, `${commands.join('; ')}: ${r.stdout}${r.stderr}`);
    assert.doesNotMatch(r.stdout, /Pattern verification failed|failed:/);
    return r.stdout;
  }

  // ------------------------------------------------------------------------------------------ the kernel

  async sh(script: string, input?: string): Promise<string> {
    const r = await this.vm.run(['sh', '-e', '-c', script], input === undefined ? {} : { input });
    assert.equal(r.code, 0, `${script}: ${r.stdout}${r.stderr}`);
    return r.stdout;
  }
  /** `drbdadm`, which must succeed. */
  async adm(...args: string[]): Promise<string> {
    const r = await this.vm.run(['drbdadm', ...args]);
    assert.equal(r.code, 0, `drbdadm ${args.join(' ')}: ${r.stdout}${r.stderr}`);
    if (args[0] === 'up') this.#kernelUp = true;
    return r.stdout;
  }
  /** As a primary it writes that many KiB of one byte, and stays primary if it is told so. Undefined: nothing. */
  async kernelWrites(kib: number | undefined, byte: number, at: number, stay: boolean): Promise<void> {
    if (kib === undefined) return;
    const octal = `\\${byte.toString(8)}`;
    const write = `tr '\\0' '${octal}' </dev/zero | head -c ${kib * 1024} |
      dd of=/dev/drbd0 bs=4k seek=${at / 4096} iflag=fullblock oflag=direct 2>&1`;
    await this.sh(`drbdadm primary r0; ${kib > 0 ? write : ''}; ${stay ? '' : 'drbdadm secondary r0'}`);
  }
  async proc(): Promise<Proc> {
    const text = await this.sh('cat /proc/drbd');
    const field = (name: string): string => new RegExp(` ${name}:(\\S+)`).exec(text)?.[1] ?? '';
    const counters = Object.fromEntries(
      [...text.matchAll(/\b(ns|nr|dw|dr|al|bm|lo|pe|ua|ap|ep|oos):(\d+)/g)].map((m) => [m[1], Number(m[2])]),
    );
    return { cs: field('cs'), ro: field('ro'), ds: field('ds'), counters, text };
  }
  async kernelLog(): Promise<string> {
    return this.sh('dmesg | grep drbd | tail -60');
  }

  // ------------------------------------------------------------------------------------------ both

  /** Rejects with what both sides say of themselves. */
  async until(what: string, holds: () => Promise<boolean> | boolean, patience = PATIENCE_MS): Promise<void> {
    const end = Date.now() + patience;
    while (!(await holds())) {
      if (Date.now() > end) assert.fail(`never: ${what}\n${await this.#state()}`);
      await sleep(100);
    }
  }
  async #state(): Promise<string> {
    const ours = await this.status().then((s) => JSON.stringify(s.volumes), String);
    const kern = this.vm.powered ? `${(await this.proc()).text}\n${await this.kernelLog()}` : 'no power';
    return `ours: ${ours}\n${this.said.split('\n').slice(-40).join('\n')}\nkernel: ${kern}`;
  }
  /** Ours starts first: the kernel finds somebody. */
  async up(): Promise<void> {
    await this.startOurs();
    await this.adm('up', 'r0');
  }
  async connected(): Promise<void> {
    await this.until('both are connected', async () => {
      const v = await this.volume().catch(() => undefined);
      return v?.connection === 'Connected' && (await this.proc()).cs === 'Connected';
    });
  }
  /** Connected, both good, nothing left to copy, as both sides say. */
  async settled(): Promise<void> {
    await this.until('both are connected and UpToDate', async () => {
      const v = await this.volume().catch(() => undefined);
      if (v?.connection !== 'Connected' || v.disk !== 'UpToDate' || v.peerDisk !== 'UpToDate' || v.outOfSync > 0)
        return false;
      const p = await this.proc();
      return p.cs === 'Connected' && p.ds === 'UpToDate/UpToDate' && p.counters['oos'] === 0;
    });
  }
  /** Every byte that the volume offers, on both disks. */
  async equal(): Promise<Buffer> {
    const { size } = await this.volume();
    return this.equalTo(size);
  }
  async equalTo(size: number): Promise<Buffer> {
    await this.sh('sync; blockdev --flushbufs /dev/drbd0 2>/dev/null || true');
    const [a, b] = (['ours', 'kern'] as const).map((h) => readFileSync(this.image(h)).subarray(0, size)) as [
      Buffer,
      Buffer,
    ];
    if (!a.equals(b)) {
      const at = a.findIndex((x, i) => x !== b[i]);
      assert.fail(`the disks differ, first at ${at}: ${a[at]} here, ${b[at]} there\n${await this.#state()}`);
    }
    return a;
  }
}

const join2 = (a: Settings, b: Settings = {}): Settings => ({
  net: `${a.net ?? ''} ${b.net ?? ''}`,
  disk: `${a.disk ?? ''} ${b.disk ?? ''}`,
  more: `${a.more ?? ''} ${b.more ?? ''}`,
});
/** Times are those of a guest that is emulated on a busy machine. */
const confOf = (ours: string, kern: string, s: Settings): string => `global { usage-count no; }
resource r0 {
  net { timeout 50; connect-int 6; ping-int 6; ping-timeout 30; socket-check-timeout 2; ${s.net ?? ''} }
  disk { resync-rate 100M; c-plan-ahead 0; c-min-rate 0; ${s.disk ?? ''} }
  ${s.more ?? ''}
  on ours { device /dev/drbd0; disk ${ours}; meta-disk internal; address 10.99.0.1:7788; }
  on kern { device /dev/drbd0; disk ${kern}; meta-disk internal; address 10.99.0.2:7788; }
}
`;
