import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { text } from '../../base/index.ts';
import { LabError } from '../error.ts';
import { type CpioEntry, cpio } from './cpio.ts';
import { type GuestKernel, toolPath } from './kernel.ts';
import type { VmDefinition } from './types.ts';

/** Until the machine's own root is mounted; everything else is loaded from there. */
const FIRST_MODULES = ['virtio_pci', '9p', '9pnet_virtio', 'overlay'];
const GUEST_MODULES = ['virtio_net', 'virtio_console', 'virtio_blk'];
const NINE_P = 'trans=virtio,version=9p2000.L,cache=loose,msize=262144';
const AGENT = resolve(import.meta.dirname, 'agent-main.ts');

/** Process 1 until the machine's root is there. What fails here switches the guest off, and the console says what it was. */
const INIT = `#!/bin/busybox sh
busybox=/bin/busybox
fail() { $busybox echo "holdfast-vm: $*" >/dev/console; $busybox poweroff -f; }
for d in proc sys dev host upper root; do $busybox mkdir -p /$d; done
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs devtmpfs /dev
for m in $($busybox cat /modules/order); do $busybox insmod /modules/$m || fail "cannot load $m"; done
$busybox mount -t 9p -o ro,${NINE_P} host0 /host || fail "cannot mount the machine's root"
$busybox mount -t tmpfs tmpfs /upper
$busybox mkdir /upper/files /upper/work
$busybox mount -t overlay -o lowerdir=/host,upperdir=/upper/files,workdir=/upper/work overlay /root || fail "cannot mount the overlay"
for d in proc sys dev; do $busybox mount -o move /$d /root/$d; done
exec $busybox switch_root /root /bin/sh -c "$($busybox cat /guest)" guest
`;

const quoted = (s: string): string => `'${s.replaceAll("'", "'\\''")}'`;

/** Process 1 from then on; `wait` reaps whatever is orphaned. The kernel finds its modules where it looks for them. */
const guestScript = (k: GuestKernel, d: VmDefinition): string => `
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
fail() { echo "holdfast-vm: $*" >/dev/console; busybox poweroff -f; }
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/netns /run/lock /dev/pts /dev/shm ${quoted(`/lib/modules/${k.version}`)}
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount --bind ${quoted(`${k.folder}/lib/modules/${k.version}`)} ${quoted(`/lib/modules/${k.version}`)}
busybox hostname ${quoted(d.hostname ?? 'guest')}
busybox ip link set lo up
for m in ${[...GUEST_MODULES, ...(d.modules ?? [])].map(quoted).join(' ')}; do modprobe $m || fail "cannot load $m"; done
${(d.shares ?? [])
  .map(
    (s, i) => `mkdir -p ${quoted(s.guest)}
mount -t 9p -o ${s.writable ? 'rw' : 'ro'},${NINE_P.replace('cache=loose', 'cache=none')} share${i} ${quoted(s.guest)} || fail "cannot mount share ${i}"`,
  )
  .join('\n')}
cd /
${quoted(process.execPath)} --no-warnings ${quoted(AGENT)} </dev/null >/dev/console 2>&1 &
wait $!
busybox poweroff -f
`;

/** The modules that a kernel needs first, in loading order, with busybox and the two scripts. */
export function initramfs(k: GuestKernel, d: VmDefinition): Uint8Array {
  const files = modulesFor(k, FIRST_MODULES);
  const folder = (path: string): CpioEntry => ({ path, mode: 0o040755 });
  const file = (path: string, bytes: Uint8Array | string): CpioEntry => ({
    path,
    mode: 0o100755,
    bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes,
  });
  return cpio([
    folder('bin'),
    file('bin/busybox', readFileSync(toolPath('busybox') ?? '')),
    folder('modules'),
    ...files.map((f) => file(`modules/${basename(f)}`, readFileSync(f))),
    file('modules/order', `${files.map((f) => basename(f)).join('\n')}\n`),
    file('guest', guestScript(k, d)),
    file('init', INIT),
  ]);
}

function modulesFor(k: GuestKernel, names: readonly string[]): string[] {
  const found = new Set<string>();
  for (const name of names) {
    const r = spawnSync(toolPath('modprobe') ?? '', ['-d', k.folder, '-S', k.version, '--show-depends', name], {
      encoding: 'utf8',
    });
    if (r.status !== 0)
      throw new LabError('lab-no-module', text(`the guest's kernel has no ${name}`, `虚拟机内核没有模块 ${name}`));
    for (const m of r.stdout.matchAll(/^insmod (\S+)/gm)) found.add(m[1] as string);
  }
  return [...found];
}
