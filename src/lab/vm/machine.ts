/** One run of QEMU, from power on to power off. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { LineChannel } from './channel.ts';
import { initramfs } from './initramfs.ts';
import { type GuestKernel, toolPath } from './kernel.ts';
import type { VmDefinition, VmNic } from './types.ts';

const MEMORY_MIB = 768;
/** Descriptors that QEMU is born with: sockets whose other ends are here, so that no file and no port is left of a guest. */
const FD = { agent: 3, qmp: 4, initramfs: 5, nics: 6 } as const;
const KEPT_CONSOLE = 64 * 1024;

export class Machine {
  readonly agent: Duplex;
  readonly cables: readonly Duplex[];
  /** When nothing of it is left. */
  readonly ended: Promise<void>;
  console = '';
  readonly #child: ChildProcess;
  readonly #qmp: LineChannel;
  readonly #answers: ((m: { readonly error?: { readonly desc: string } }) => void)[] = [];

  constructor(kernel: GuestKernel, d: VmDefinition, macs: readonly string[], consoleChanged: () => void) {
    const initrd = nameless(initramfs(kernel, d));
    const argv = qemuArguments(kernel, d, macs);
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', toolPath('qemu-system-x86_64') ?? '', ...argv], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', initrd, ...(d.nics ?? []).map(() => 'pipe' as const)],
      detached: true, // Ctrl-C in the controller's terminal is the controller's alone
    });
    closeSync(initrd);
    const socket = (fd: number): Duplex => this.#child.stdio[fd] as unknown as Duplex;
    this.agent = socket(FD.agent);
    this.cables = (d.nics ?? []).map((_, i) => socket(FD.nics + i));
    for (const s of [this.#child.stdout, this.#child.stderr] as Readable[])
      s.setEncoding('utf8').on('data', (words: string) => {
        this.console = (this.console + words).slice(-KEPT_CONSOLE);
        consoleChanged();
      });
    this.#qmp = new LineChannel(socket(FD.qmp), (m) => {
      const answer = m as { readonly return?: unknown; readonly error?: { readonly desc: string } };
      if (answer.return !== undefined || answer.error !== undefined) this.#answers.shift()?.(answer); // else an event
    });
    void this.qmp('qmp_capabilities');
    this.ended = new Promise((done) => {
      const end = (): void => {
        for (const answer of this.#answers.splice(0)) answer({});
        done();
      };
      this.#child.once('error', end).once('exit', end);
    });
  }
  get pid(): number | undefined {
    return this.#child.pid;
  }
  /** A command of QEMU's monitor, done when this resolves. */
  async qmp(execute: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<{ readonly error?: { readonly desc: string } }>();
    this.#answers.push(resolve);
    this.#qmp.say({ execute });
    const { error } = await promise;
    if (error !== undefined) throw new Error(`bug: QEMU refuses ${execute}: ${error.desc}`);
  }
  /** The plug is pulled: no write of the guest's reaches anything from now on. */
  cut(): void {
    this.#child.kill('SIGKILL');
  }
}

/** A descriptor of a file that has no name any more, so that nothing is left of it however its reader ends. */
function nameless(bytes: Uint8Array): number {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-vm-'));
  try {
    const path = join(folder, 'initramfs');
    writeFileSync(path, bytes);
    return openSync(path, 'r');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function qemuArguments(k: GuestKernel, d: VmDefinition, macs: readonly string[]): string[] {
  const share = (id: string, path: string, writable: boolean): string[] => [
    '-fsdev',
    `local,id=${id},path=${path.replaceAll(',', ',,')},security_model=none,multidevs=remap${writable ? '' : ',readonly=on'}`,
    '-device',
    `virtio-9p-pci,fsdev=${id},mount_tag=${id}`,
  ];
  const netdev = (n: VmNic, i: number): string => {
    if (n.to === 'user') return `user,id=n${i}`;
    if ('tap' in n.to) return `tap,id=n${i},ifname=${n.to.tap},script=no,downscript=no`;
    return `socket,id=n${i},fd=${FD.nics + i}`;
  };
  return [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '1', '-m', `${d.memory ?? MEMORY_MIB}`],
    ...[
      '-nodefaults',
      '-display',
      'none',
      '-serial',
      'stdio',
      '-kernel',
      k.image,
      '-initrd',
      `/proc/self/fd/${FD.initramfs}`,
    ],
    ...['-append', 'console=ttyS0 quiet mitigations=off'],
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=agent,fd=${FD.agent}`],
    ...['-device', 'virtserialport,chardev=agent,name=holdfast'],
    ...['-chardev', `socket,id=qmp,fd=${FD.qmp}`, '-mon', 'chardev=qmp,mode=control'],
    ...share('host0', '/', false),
    ...(d.shares ?? []).flatMap((s, i) => share(`share${i}`, s.host, s.writable ?? false)),
    // In this machine's page cache: what the guest has written survives its power cut, as on a disk with a battery.
    ...(d.disks ?? []).flatMap((path, i) => [
      ...['-drive', `file=${path.replaceAll(',', ',,')},if=none,id=d${i},format=raw,discard=unmap,cache=writeback`],
      ...['-device', `virtio-blk-pci,drive=d${i}`],
    ]),
    ...(d.nics ?? []).flatMap((n, i) => [
      ...['-netdev', netdev(n, i)],
      ...['-device', `virtio-net-pci,netdev=n${i},mac=${macs[i]},romfile=`],
    ]),
  ];
}
