/**
 * A mirror of two hosts: one is a guest whose kernel has DRBD 8.4, the other is ours, a process of this machine.
 *
 * ```
 * holdfast mirror run ── 10.99.0.1 tap0 ═══ eth0 10.99.0.2 ── kernel DRBD, /dev/drbd0
 *       │                                                          │
 *    ours.img            (both files of this machine)        /dev/vda = kern.img
 * ```
 * The guest has the other file too, as /dev/vdb: each side can be told to lie on what was the other's. A second volume lies on
 * ours1.img and kern1.img (/dev/vdc).
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
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
import { type Addresses, confOf, type Settings, type Sides } from './drbd-conf.ts';

const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
export const sha256 = (b: Uint8Array): string => createHash('sha256').update(b).digest('hex');
export const MIB = 1 << 20;
export const SIZE = 24 * MIB;
/** Less than what internal metadata of that size leaves. */
const DATA = SIZE - MIB;
/** Of an emulated guest on a busy machine. */
const PATIENCE_MS = 60_000;

/** `relay`: both believe that the other lives there. */
export const ADDRESS = { ours: '10.99.0.1', kern: '10.99.0.2', relay: '10.99.0.3' } as const;

const TAP = `
ip tuntap add dev tap0 mode tap
ip address add ${ADDRESS.ours}/24 dev tap0
ip address add ${ADDRESS.relay}/24 dev tap0
ip link set tap0 up
`;

const imagesOf = (volumes: number): string[] =>
  ['', '1'].slice(0, volumes).flatMap((n) => [`ours${n}.img`, `kern${n}.img`]);

/**
 * Whom the kernel calls before and after each resync, and waits for: without handlers drbdadm finds nothing to do, for seconds
 * each time.
 */
const helperOf = (handlers: string): string =>
  // No line end: the kernel takes it for a part of the name.
  `printf %s ${handlers === '' ? '/bin/true' : '/sbin/drbdadm'} >/sys/module/drbd/parameters/usermode_helper`;

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
  readonly #volumes: 1 | 2;
  readonly #socket: string;
  #ours: ChildProcess | undefined;
  /** What our process said, all runs. */
  said = '';

  private constructor(folder: string, vm: Vm, volumes: 1 | 2) {
    this.folder = folder;
    this.vm = vm;
    this.#volumes = volumes;
    this.#socket = join(folder, 'sock');
  }
  /** Only in namespaces of its own: device and folder (/run) vanish with them. */
  static async start(volumes: 1 | 2 = 1): Promise<DrbdRig> {
    execFileSync('sh', ['-e', '-c', TAP]);
    const folder = mkdtempSync('/run/holdfast-drbd-');
    for (const file of imagesOf(volumes)) execFileSync('truncate', ['-s', `${SIZE}`, join(folder, file)]);
    const vm = await Vm.start({
      hostname: 'kern',
      modules: ['drbd', 'dm_mod'],
      nics: [{ to: { tap: 'tap0' }, addresses: [`${ADDRESS.kern}/24`] }],
      disks: ['kern.img', 'ours.img', ...(volumes > 1 ? ['kern1.img'] : [])].map((f) => join(folder, f)),
    });
    return new DrbdRig(folder, vm, volumes);
  }
  /** And both hosts are secondary, connected and equal. */
  static async started(volumes: 1 | 2 = 1, both: Settings = {}): Promise<DrbdRig> {
    const rig = await DrbdRig.start(volumes);
    await rig.founded(both);
    return rig;
  }
  /** A new mirror, of which both hosts are secondary, connected and equal. */
  async founded(both: Settings, way: 'straight' | 'relay' = 'straight'): Promise<void> {
    await this.configure(both, {}, 'own', way);
    await this.create({ ours: 0x10, kern: 0x20 });
    await this.up();
    await this.connected();
    await this.order({ verb: 'primary', force: true });
    await this.settled();
    await this.order({ verb: 'secondary' });
  }
  async stop(): Promise<void> {
    this.kill();
    await this.vm.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
  image(host: 'ours' | 'kern', volume = 0): string {
    return join(this.folder, `${host}${volume || ''}.img`);
  }
  /** What is on its disk, without the metadata at the end. */
  data(host: 'ours' | 'kern'): Buffer {
    return readFileSync(this.image(host)).subarray(0, DATA);
  }

  // ------------------------------------------------------------------------------------------ configuration

  /** Both sides are stopped, told this, and started: what they have on their disks they keep. */
  async configure(
    both: Settings,
    sides: Sides = {},
    disks: 'own' | 'swapped' = 'own',
    way: 'straight' | 'relay' = 'straight',
  ): Promise<void> {
    await this.stopOurs();
    const first =
      disks === 'own'
        ? { ours: this.image('ours'), kern: sides.kern?.lower ?? '/dev/vda' }
        : { ours: this.image('kern'), kern: '/dev/vdb' };
    const places = [first, { ours: this.image('ours', 1), kern: '/dev/vdc' }].slice(0, this.#volumes);
    const relay = way === 'relay' ? ADDRESS.relay : undefined;
    const conf = (volumes: number, a: Addresses, s?: Settings): string => confOf(places.slice(0, volumes), a, both, s);
    this.#confFor = {
      kern: (n, s) => conf(n, { ours: relay ?? ADDRESS.ours, kern: ADDRESS.kern }, s ?? sides.kern),
      ours: (n, s) => conf(n, { ours: ADDRESS.ours, kern: relay ?? ADDRESS.kern }, s ?? sides.ours),
    };
    this.#forKernel = this.#confFor.kern(places.length);
    this.#helper = helperOf(`${both.handlers ?? ''}${sides.kern?.handlers ?? ''}`);
    writeFileSync(join(this.folder, 'drbd.conf'), this.#confFor.ours(places.length));
    // The kernel refuses to go down in the midst of a handshake: it is asked until it has.
    const down = 'drbdadm down r0 2>/dev/null || true';
    const gone = `for i in $(seq 100); do ${down}; grep -q '^ *0:' /proc/drbd || break; sleep 0.2; done`;
    await this.sh(`${gone}; ${this.#helper}; cat >/etc/drbd.conf; blockdev --flushbufs /dev/vd?`, this.#forKernel);
  }
  #forKernel = '';
  #helper = '';
  #confFor: Record<'ours' | 'kern', (volumes: number, s?: Settings) => string> = { ours: () => '', kern: () => '' };
  /** The file of that side names so many volumes from now on, which is taken over while it runs. */
  async adjust(host: 'ours' | 'kern', volumes: number): Promise<void> {
    const conf = this.#confFor[host](volumes);
    if (host === 'kern') await this.sh('cat > /etc/drbd.conf; drbdadm adjust r0', conf);
    else await this.#takeOver(conf);
  }
  /** The file of our side alone says something else now, and our process takes that over as it runs. Returns what was said of it. */
  adjustOurs(ours: Settings): Promise<string> {
    return this.#takeOver(this.#confFor.ours(this.#volumes, ours));
  }
  async #takeOver(conf: string): Promise<string> {
    writeFileSync(join(this.folder, 'drbd.conf'), conf);
    const { promise, resolve: end } = Promise.withResolvers<{ code: unknown; said: string }>();
    const env = { ...process.env, HOLDFAST_LANG: 'en' };
    execFile(holdfast, ['mirror', 'adjust', 'r0', '--socket', this.#socket], { env }, (e, out, err) =>
      end({ code: e === null ? 0 : e.code, said: out + err }),
    );
    const { code, said } = await promise;
    assert.equal(code, 0, said);
    return said;
  }
  /** After a power cut, up to the resource that looks for us. */
  async powerOn(): Promise<void> {
    await this.vm.powerOn();
    await this.sh(`${this.#helper}; cat > /etc/drbd.conf`, this.#forKernel);
    await this.adm('up', 'r0');
  }
  /** Metadata of both sides as a new mirror has it, and on each disk what `fill` says, byte by byte the same number. */
  async create(fill: { readonly ours: number; readonly kern: number }, size = SIZE): Promise<void> {
    for (const host of ['ours', 'kern'] as const)
      for (let volume = 0; volume < this.#volumes; volume++) {
        const fd = openSync(this.image(host, volume), 'r+');
        const block = Buffer.alloc(MIB, fill[host]);
        for (let at = 0; at < SIZE; at += MIB) writeSync(fd, block, 0, MIB, at);
        closeSync(fd);
      }
    await this.sh('blockdev --flushbufs /dev/vd?');
    this.createOurs(size);
    await this.adm('create-md', '--force', 'r0');
  }
  /** `size`: of its first volume. */
  createOurs(size = SIZE): void {
    truncateSync(this.image('ours'), size);
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
  async volume(n = 0): Promise<VolumeStatus> {
    return (await this.status()).volumes[n] ?? assert.fail('no volume');
  }
  /** Until one of the reasons that it tells says so. */
  async told(why: RegExp): Promise<void> {
    await this.until(`${why} is told`, async () => (await this.status()).reasons.some((r) => why.test(r.text.en)));
  }
  get nbd(): string {
    return this.#export(0);
  }
  #export(volume: number): string {
    const name = this.#volumes === 1 ? 'r0' : `r0.${volume}`;
    return `nbd+unix:///${name}?socket=${join(this.folder, 'nbd')}`;
  }
  /** Commands of qemu-io, through our NBD export; each must succeed. */
  io(...commands: string[]): Promise<string> {
    return this.ioOf(0, ...commands);
  }
  async ioOf(volume: number, ...commands: string[]): Promise<string> {
    const argv = ['-f', 'raw', this.#export(volume), ...commands.flatMap((c) => ['-c', c])];
    const { promise, resolve: end } = Promise.withResolvers<{ code: unknown; said: string }>();
    const child = execFile('qemu-io', argv, { timeout: PATIENCE_MS }, (e, out, err) =>
      end({ code: e === null ? 0 : e.code, said: out + err }),
    );
    child.on('error', () => {});
    const { code, said } = await promise;
    assert.equal(code, 0, `${commands.join('; ')}: ${said}`);
    assert.doesNotMatch(said, /Pattern verification failed|failed:/);
    return said;
  }

  // ------------------------------------------------------------------------------------------ the kernel

  /** With drbdsetup of 8.4, which is several times faster in a guest than drbdadm. */
  async sh(script: string, input?: string): Promise<string> {
    const words = `PATH=$PATH:/lib/drbd; ${script}`;
    const r = await this.vm.run(['sh', '-e', '-c', words], input === undefined ? {} : { input });
    assert.equal(r.code, 0, `${script}: ${r.stdout}${r.stderr}`);
    return r.stdout;
  }
  /** `drbdadm`, which must succeed; where it does no more than call drbdsetup, that is called. */
  async adm(...args: string[]): Promise<string> {
    const role = args.length === 2 && (args[0] === 'primary' || args[0] === 'secondary');
    const r = await this.vm.run(role ? ['/lib/drbd/drbdsetup-84', args[0] as string, '0'] : ['drbdadm', ...args]);
    assert.equal(r.code, 0, `drbdadm ${args.join(' ')}: ${r.stdout}${r.stderr}`);
    return r.stdout;
  }
  /** As a primary it writes that many KiB of one byte, and stays primary if it is told so. Undefined: nothing. */
  async kernelWrites(kib: number | undefined, byte: number, at: number, stay: boolean): Promise<void> {
    if (kib === undefined) return;
    const octal = `\\${byte.toString(8)}`;
    const write = `tr '\\0' '${octal}' </dev/zero | head -c ${kib * 1024} |
      dd of=/dev/drbd0 bs=4k seek=${at / 4096} iflag=fullblock oflag=direct 2>&1`;
    await this.sh(`drbdsetup-84 primary 0; ${kib > 0 ? write : ':'}; ${stay ? ':' : 'drbdsetup-84 secondary 0'}`);
  }
  async proc(minor = 0): Promise<Proc> {
    const all = await this.sh('cat /proc/drbd');
    const text = all.split(/^(?= *\d+: cs:)/m).find((part) => part.trimStart().startsWith(`${minor}:`)) ?? '';
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

  /** The cable between them. */
  cable(is: 'up' | 'down'): void {
    execFileSync('ip', ['link', 'set', 'tap0', is]);
  }
  /** Bytes of one side change beneath the mirror, as a bad disk changes them. */
  rot(host: 'ours' | 'kern', at: number, length: number): void {
    const fd = openSync(this.image(host), 'r+');
    writeSync(fd, Buffer.alloc(length, 0xee), 0, length, at);
    closeSync(fd);
  }
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
      const volumes = (await this.status().catch(() => undefined))?.volumes ?? [];
      if (volumes.length === 0) return false;
      for (const v of volumes) {
        if (v.connection !== 'Connected' || v.disk !== 'UpToDate' || v.peerDisk !== 'UpToDate' || v.outOfSync > 0)
          return false;
        const p = await this.proc(v.volume);
        if (p.cs !== 'Connected' || p.ds !== 'UpToDate/UpToDate' || p.counters['oos'] !== 0) return false;
      }
      return true;
    });
  }
  /** Every byte that the volume offers, on both disks. */
  async equal(volume = 0): Promise<Buffer> {
    let size = 0;
    // A role is told behind the writes: who has heard of it has them all, and only the disk may still be at work.
    await this.until('what was written has arrived', async () => {
      const v = await this.volume(volume);
      size = v.size;
      const role = (await this.proc(volume)).ro.split('/')[0];
      return v.peerRole === role && v.counters.lo === 0 && v.counters.ua === 0;
    });
    const [a, b] = (['ours', 'kern'] as const).map((h) => readFileSync(this.image(h, volume)).subarray(0, size));
    assert.ok(a && b);
    if (!a.equals(b)) {
      const at = a.findIndex((x, i) => x !== b[i]);
      assert.fail(`the disks differ, first at ${at}: ${a[at]} here, ${b[at]} there\n${await this.#state()}`);
    }
    return a;
  }
}
