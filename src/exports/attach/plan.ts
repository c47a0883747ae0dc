/** How an export becomes a device here, what the kernel is told, and whether it may be taken away. Pure. */
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import { NBD_FLAG, type NbdSetup } from '../../wire/index.ts';
import type { Offer } from './client.ts';

/** kernel: the nbd module's own client. fuse: nbdfuse and a loop device, over a process that holds requests. */
export type Way = 'kernel' | 'fuse';
/** What this machine has. */
export type Means = {
  /** The generic netlink family is there, or the kernel could load it. */
  readonly nbd: boolean;
  readonly nbdfuse: boolean;
  readonly fuseDevice: boolean;
  readonly loopControl: boolean;
};

const lacksForFuse = (m: Means): readonly string[] => [
  ...(m.nbdfuse ? [] : ['nbdfuse (apt install libnbd-bin)']),
  ...(m.fuseDevice ? [] : ['/dev/fuse (modprobe fuse)']),
  ...(m.loopControl ? [] : ['/dev/loop-control (modprobe loop)']),
];

/** One line says what is missing and the way out. */
export function chooseWay(asked: 'auto' | Way, m: Means): Result<Way, Text> {
  const lacks = lacksForFuse(m);
  if (asked !== 'fuse' && m.nbd) return ok('kernel');
  if (asked !== 'kernel' && lacks.length === 0) return ok('fuse');
  if (asked === 'kernel')
    return err(
      text(
        'this kernel has no nbd module: modprobe nbd, or leave out --way kernel',
        '此内核没有 nbd 模块：请 modprobe nbd，或去掉 --way kernel',
      ),
    );
  const list = lacks.join(', ');
  if (asked === 'fuse') return err(text(`--way fuse needs ${list}`, `--way fuse 需要 ${list}`));
  return err(
    text(
      `nothing here can attach it: the kernel's nbd module (modprobe nbd), or else ${list}`,
      `此处无法挂接：需要内核 nbd 模块（modprobe nbd），或者 ${list}`,
    ),
  );
}

/** By it a device that another process left attached is found again. */
export const backendOf = (name: string): string => `holdfast:${name}`;
/** A year: requests wait for the server, and do not fail. */
const HOLD_SECONDS = 31_536_000n;
/** The kernel's client takes no smaller block than this, and none larger than a page. */
const SMALLEST = 512;
const PAGE = 4096;

/** A block size between the export's own and a page, of which the size is a multiple; undefined where there is none. */
export function blockSizeOf(o: Offer): number | undefined {
  for (let b = Math.min(PAGE, Math.max(SMALLEST, o.preferredBlock)); b >= Math.max(SMALLEST, o.minimumBlock); b /= 2)
    if (o.size % b === 0) return b;
  return undefined;
}
export const oddSize = (o: Offer): Text =>
  text(
    `the export's ${o.size} bytes are no whole number of blocks of ${Math.max(SMALLEST, o.minimumBlock)}; a device must have whole blocks`,
    `导出的 ${o.size} 字节不是 ${Math.max(SMALLEST, o.minimumBlock)} 字节块的整数倍；设备必须由整块组成`,
  );

/** What CONNECT says. No time limit for a request: a slow disk is no dead server. */
export function firstSetup(name: string, o: Offer, blockSize: number, descriptor: number): NbdSetup {
  return {
    index: undefined,
    size: BigInt(o.size),
    blockSize: BigInt(blockSize),
    timeout: undefined,
    // One connection; what the kernel's client does not know it would leave alone.
    serverFlags: BigInt(o.flags & ~NBD_FLAG.df),
    clientFlags: 0n,
    deadConnTimeout: HOLD_SECONDS,
    backend: backendOf(name),
    sockets: [descriptor],
  };
}
/** What RECONFIGURE says: a new socket in the place of a dead one. */
export function nextSetup(name: string, index: number, descriptor: number): NbdSetup {
  const none = { size: undefined, blockSize: undefined, timeout: undefined, serverFlags: undefined } as const;
  return {
    ...none,
    index,
    clientFlags: undefined,
    deadConnTimeout: HOLD_SECONDS,
    backend: backendOf(name),
    sockets: [descriptor],
  };
}

/** Names become files below /dev. */
export const isDeviceName = (s: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(s);

/** Where a block device is mounted, from /proc/self/mountinfo. `device`: `7:3`. proc_pid_mountinfo(5). */
export function mountsOf(mountinfo: string, device: string): readonly string[] {
  const found: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const [, , number, , point] = line.split(' ');
    if (number === device && point !== undefined)
      found.push(point.replace(/\\([0-7]{3})/g, (_, o: string) => String.fromCharCode(Number.parseInt(o, 8))));
  }
  return found;
}
export function explainUses(name: string, mounts: readonly string[], otherwise: boolean): Text | undefined {
  if (mounts.length > 0)
    return text(
      `${name} is mounted on ${mounts.join(', ')}: umount ${mounts[0]} first`,
      `${name} 挂载于 ${mounts.join('、')}：请先 umount ${mounts[0]}`,
    );
  if (!otherwise) return undefined;
  return text(
    `${name} is in use (mounted elsewhere, or held by device-mapper, md or swap): release it first`,
    `${name} 正在使用（挂载于别处，或被 device-mapper、md、swap 占用）：请先释放`,
  );
}
