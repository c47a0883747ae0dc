/** `holdfast mirror create`: looks at the devices of a mirror, and writes fresh metadata where nothing can be lost or all was confirmed. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { err, ok, type Result, type Text, text } from '../base/index.ts';
import {
  type DeviceFacts,
  findSignatures,
  freshMetadata,
  HEAD_BYTES,
  type MirrorConfig,
  mayOverwrite,
  type Overwrite,
  TAIL_BYTES,
  type VolumeConfig,
} from '../mirror/index.ts';
import { type Checked, checkFile } from './mirror-files.ts';

export type CreateStep = {
  readonly volume: number;
  /** Where the metadata goes. */
  readonly device: string;
  readonly facts: DeviceFacts;
  readonly overwrite: Overwrite;
  /** Bytes left for data. */
  readonly usable: number;
  readonly write: () => void;
};
export type CreatePlan = { readonly name: string; readonly steps: readonly CreateStep[] };
export type CreateError = { readonly text: Text; readonly checked?: Checked };

const failure = (en: string, zh: string): Result<never, CreateError> => err({ text: text(en, zh) });

export async function planCreate(
  name: string,
  file: string,
  hostName: string | undefined,
  typed: string | undefined,
): Promise<Result<CreatePlan, CreateError>> {
  const checked = await checkFile(file, hostName);
  if (checked.diagnostics.some((d) => d.severity === 'error'))
    return err({ text: text(`${file} has errors`, `${file} 有错误`), checked });
  const { mirrors } = checked;
  const m = mirrors.find((x) => x.name === name);
  if (!m) {
    const names = mirrors.map((x) => x.name);
    return failure(
      `${file} has no mirror ${name} for this host; it has ${names.join(', ') || 'none'}`,
      `${file} 中没有本主机的镜像 ${name}；现有：${names.join('、') || '无'}`,
    );
  }
  const steps: CreateStep[] = [];
  for (const v of m.volumes) {
    if (v.disk === undefined) continue;
    const step = planVolume(m, v, v.disk, typed);
    if (!step.ok) return step;
    steps.push(step.value);
  }
  return ok({ name, steps });
}
function planVolume(
  m: MirrorConfig,
  v: VolumeConfig,
  data: string,
  typed: string | undefined,
): Result<CreateStep, CreateError> {
  const device = v.metadata.kind === 'internal' ? data : v.metadata.device;
  const [own, other] = [inspect(device), device === data ? undefined : inspect(data)];
  if (!own.ok) return own;
  if (other && !other.ok) return other;
  const fresh = freshMetadata(v.metadata, {
    metaSize: own.value.size,
    dataSize: (other?.value ?? own.value).size,
    alExtents: v.options.alExtents,
  });
  if (!fresh.ok) return failure(`${device} is too small for metadata`, `${device} 容纳不下元数据`);
  const { usable, writes } = fresh.value;
  return ok({
    volume: v.number,
    device,
    facts: own.value,
    overwrite: mayOverwrite(own.value, m.name, typed),
    usable: usable * 512,
    write: () => {
      const fd = openSync(device, constants.O_RDWR | constants.O_EXCL);
      try {
        for (const w of writes) {
          if (writeSync(fd, w.bytes, 0, w.bytes.length, w.at * 512) !== w.bytes.length)
            throw new Error(`${device}: short write`);
          fsyncSync(fd);
        }
      } finally {
        closeSync(fd);
      }
    },
  });
}

/** What a device holds and who uses it. */
export function inspect(path: string): Result<DeviceFacts, CreateError> {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isBlockDevice() && !stat.isFile())
      return failure(`${path} is neither a block device nor a file`, `${path} 既不是块设备也不是文件`);
    const number = stat.isBlockDevice()
      ? {
          major: Math.floor(stat.rdev / 256) & 0xfff,
          minor: (stat.rdev & 0xff) | ((Math.floor(stat.rdev / 2 ** 12) >>> 0) & 0xfff00),
        }
      : undefined;
    const size = number
      ? Number(readFileSync(`/sys/dev/block/${number.major}:${number.minor}/size`, 'utf8')) * 512
      : stat.size;
    const head = readAt(fd, 0, Math.min(size, HEAD_BYTES));
    const tail = readAt(fd, Math.max(0, size - TAIL_BYTES), Math.min(size, TAIL_BYTES));
    const users = number ? usersOf(number) : { mountedOn: [], heldBy: [] };
    return ok({ path, size, signatures: findSignatures({ size, head, tail }), ...users });
  } catch (e) {
    const code = (e as NodeJS.ErrnoException).code ?? String(e);
    return failure(
      `${path}: ${code === 'ENOENT' ? 'there is no such device' : code}`,
      `${path}：${code === 'ENOENT' ? '设备不存在' : code}`,
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
export function readAt(fd: number, at: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const n = readSync(fd, out, done, length - done, at + done);
    if (n === 0) break;
    done += n;
  }
  return out;
}
/** Mounts, swap, and what of device mapper and md holds the device or one of its partitions. */
function usersOf(n: { readonly major: number; readonly minor: number }): Pick<DeviceFacts, 'mountedOn' | 'heldBy'> {
  const base = `/sys/dev/block/${n.major}:${n.minor}`;
  const parts = list(base).filter((name) => list(`${base}/${name}`).includes('partition'));
  const numbers = new Set([
    `${n.major}:${n.minor}`,
    ...parts.map((p) => readFileSync(`${base}/${p}/dev`, 'utf8').trim()),
  ]);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((l) => l.split(' '));
  const mountedOn = mounts.filter((f) => numbers.has(f[2] ?? '')).map((f) => f[4] ?? '?');
  const holders = [base, ...parts.map((p) => `${base}/${p}`)].flatMap((b) => list(`${b}/holders`));
  const swaps = readFileSync('/proc/swaps', 'utf8')
    .split('\n')
    .slice(1)
    .map((l) => l.split(/\s/)[0] ?? '');
  const swapping = swaps.filter((s) => s.startsWith('/dev/') && numbers.has(numberOf(s)));
  return { mountedOn: [...new Set(mountedOn)], heldBy: [...holders, ...swapping.map((s) => `swap (${s})`)] };
}
const numberOf = (path: string): string => {
  try {
    return readFileSync(`/sys/class/block/${path.slice('/dev/'.length)}/dev`, 'utf8').trim();
  } catch {
    return '';
  }
};
function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
