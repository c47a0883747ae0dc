/** Debian's kernel, unpacked beside the build and never installed: every driver that this machine's own kernel may lack. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from '../../base/index.ts';
import { LabError } from '../error.ts';

export type GuestKernel = {
  readonly version: string;
  readonly image: string;
  /** Holds `lib/modules/VERSION` with its index. */
  readonly folder: string;
};

const CACHE = resolve(import.meta.dirname, '../../../build/vm');

/**
 * Of two processes that fetch at once the second waits and finds it done. The folder gets its name last, so that one
 * that is there is whole. Releases since 2024 keep modules below /usr only.
 */
const FETCH = `
set -e
exec 9>"$1/lock"
flock 9
[ ! -e "$1/kernel" ] || exit 0
work=$1/fetching
rm -rf "$work" && mkdir -p "$work/root" && cd "$work"
get() {
  package=$(apt-cache depends linux-image-amd64 | sed -n 's/^  Depends: \\(linux-image-.*\\)/\\1/p' | head -n 1)
  [ -n "$package" ] && apt-get download -q -o APT::Sandbox::User=root "$package"
}
get || { apt-get update -qq -o APT::Sandbox::User=root && get; }
dpkg -x ./linux-image-*.deb root
rm ./linux-image-*.deb
[ -e root/lib ] || ln -s usr/lib root/lib
depmod -b "$work/root" "$(ls root/lib/modules)"
mv root "$1/kernel"
cd "$1" && rm -rf "$work"
`;

/** What a guest needs of this machine and is not here: packages by the command that shows them. */
const TOOLS = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  modprobe: 'kmod',
  setpriv: 'util-linux',
} as const;
const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;
export const toolPath = (name: string): string | undefined =>
  PATH.split(':')
    .map((folder) => join(folder, name))
    .find(existsSync);

/**
 * The kernel, fetched (about 70 MB) where it is not there yet. Rejects with LabError `lab-no-vm` where this machine
 * cannot have guests: another processor, no Debian archive in reach, a program missing.
 */
export async function guestKernel(): Promise<GuestKernel> {
  if (process.arch !== 'x64') throw none('guests are x86-64 only', '虚拟机仅支持 x86-64');
  const missing = Object.entries(TOOLS).flatMap(([tool, name]) => (toolPath(tool) === undefined ? [name] : []));
  if (missing.length > 0)
    throw none(`apt-get install ${missing.join(' ')} is needed`, `需要先运行 apt-get install ${missing.join(' ')}`);
  const folder = join(CACHE, 'kernel');
  if (!existsSync(folder)) await fetch();
  const modules = join(folder, 'lib/modules');
  const version = readdirSync(modules)[0] ?? '';
  return { version, image: join(folder, `boot/vmlinuz-${version}`), folder };
}

async function fetch(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', FETCH, 'fetch', CACHE], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (s: string) => {
    said += s;
  });
  const code = await new Promise<number | null>((done) => child.once('error', () => done(127)).once('close', done));
  if (code === 0) return;
  const why = said.trim().split('\n').slice(-2).join(' ');
  throw none(`Debian's kernel package cannot be fetched: ${why}`, `无法获取 Debian 内核软件包：${why}`);
}

const none = (en: string, zh: string): LabError =>
  new LabError('lab-no-vm', text(`no virtual machines here: ${en}`, `此处无法运行虚拟机：${zh}`));
