/**
 * The fabric and every host are a process tree in namespaces of their own. All hosts live inside the fabric's PID
 * namespace, and the fabric's init holds one end of a pipe whose other end only the controller has: whatever happens to
 * the controller, the pipe closes, that init ends, and the kernel kills everything below and frees every namespace.
 */
import { readFileSync } from 'node:fs';
import { text } from '../base/index.ts';
import { LabError } from './error.ts';
import { childOf, type Program, signalTo, start } from './program.ts';

export type Namespace = {
  /** Of its init, in the controller's view. */
  readonly pid: number;
  /** Of its init, in the view of the namespace around it: what `ip link ... netns PID` run there understands. */
  readonly pidAround: number;
  /** The process that unshared: ends when the namespace is gone. */
  readonly root: Program;
};

const UNSHARE = ['unshare', '--net', '--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** The kernel knows what a bridge floods; it must not add router solicitations and listener reports of its own. */
const FABRIC_INIT = `
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
exec 3<&0
cat <&3 >/dev/null &
echo ready
wait $!`;

/**
 * $1 hostname, $2 the folders to copy, the rest NAME=VALUE below /proc/sys. The uppers of the overlays are hidden under
 * a second tmpfs. In the user namespace of an ordinary user, the machine's folders belong to nobody, and root there may
 * not write to them: folders of the host's own are laid over them. `wait` reaps whatever is orphaned in the host.
 */
const HOST_INIT = `
set -e
name=$1; folders=$2; shift 2
mount -t tmpfs -o mode=0755 tmpfs /run
for d in $folders; do
  [ -d "$d" ] || continue
  mkdir -p "/run/upper$d" "/run/work$d"
  chmod --reference="$d" "/run/upper$d"
  if [ "$(stat -c %u "$d")" != 0 ]; then
    find "$d" -xdev -maxdepth 3 -type d -printf '/run/upper%p\\0' 2>/dev/null | xargs -0 -r mkdir -p
  fi
  mount -t overlay -o "lowerdir=$d,upperdir=/run/upper$d,workdir=/run/work$d" overlay "$d"
done
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -m 1777 /run/lock
[ ! -d /dev/shm ] || mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t sysfs sysfs /sys 2>/dev/null || true
hostname "$name"
for f in all default; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; done
for s; do f=/proc/sys/\${s%%=*}; [ ! -e "$f" ] || printf %s "\${s#*=}" > "$f"; done
exec sh -c 'sleep infinity & echo ready; wait $!' init`;

async function settle(root: Program, depth: number): Promise<Namespace> {
  try {
    await root.line(/^ready$/, 60_000);
  } catch {
    const why = root.text('stderr').trim() || root.text('stdout').trim();
    throw new LabError(
      'lab-no-namespaces',
      text(
        `cannot make a namespace: ${why} (run as root, or allow user namespaces)`,
        `无法创建命名空间：${why}（请以 root 运行，或允许用户命名空间）`,
      ),
    );
  }
  let pid = root.entrancePid;
  for (let i = 0; i < depth && pid !== undefined; i++) pid = childOf(pid);
  if (pid === undefined) throw new Error(`bug: ${root.argv.join(' ')} said ready and has no child`);
  const views = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.split(/\s+/) ?? [];
  return { pid, pidAround: Number(views.at(-2)), root };
}

export async function startFabric(): Promise<Namespace> {
  const root = start(UNSHARE, ['sh', '-c', FABRIC_INIT], { input: 'pipe' });
  return settle(root, 1);
}

export async function startHost(
  fabric: Namespace,
  o: {
    readonly hostname: string;
    readonly folders: readonly string[];
    readonly sysctls: Readonly<Record<string, string>>;
  },
): Promise<Namespace> {
  const settings = Object.entries(o.sysctls).map(([name, value]) => `${sysctlPath(name)}=${value}`);
  const root = start(
    ['nsenter', '--target', `${fabric.pid}`, '--pid', ...UNSHARE],
    ['sh', '-c', HOST_INIT, 'init', o.hostname, o.folders.join(' '), ...settings],
  );
  return settle(root, 2);
}

/** The slashed form, where an interface name may hold dots; the dotted form is turned into it. */
export const sysctlPath = (name: string): string => (name.includes('/') ? name : name.replaceAll('.', '/'));

/** `nsenter` into all of a namespace's own namespaces. */
export const entrance = (n: Namespace): readonly string[] => [
  'nsenter',
  '--target',
  `${n.pid}`,
  '--mount',
  '--uts',
  '--ipc',
  '--net',
  '--pid',
  '--wd=/',
];

/** The kernel ends everything inside when init is killed; resolves when nothing is left. */
export async function destroy(n: Namespace): Promise<void> {
  signalTo(n.pid, 'SIGKILL');
  n.root.continueEntrance();
  await n.root.exited;
}
