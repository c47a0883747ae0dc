import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { err, ok, type Result, text } from '../../../base/index.ts';
import type {
  Bpf,
  BpfAttachment,
  BpfLink,
  BpfMap,
  BpfObject,
  BpfProgram,
  HostError,
  Netlink,
  NetlinkChannel,
} from '../../index.ts';
import { hostError } from '../addon.ts';
import { packageRoot } from '../native.ts';
import { systemError } from '../system-error.ts';
import { type BpfAddon, KIND } from './addon.ts';
import { hasFilter, removeFilter, setFilter } from './clsact.ts';
import { type ElfObject, readElf, relocate } from './elf.ts';
import { LinuxMap, MAP_TYPE } from './map.ts';
import { type LinuxProgram, loadProgram } from './program.ts';

const XDP = 37;
const TCX_INGRESS = 46;
const XDP_FLAGS = { 'xdp-generic': 2, 'xdp-native': 4 } as const;
const [EINVAL, ENOENT] = [-22, -2];
const NO_PREALLOC = 1;

type Loaded = { readonly elf: ElfObject; readonly fingerprint: string };

/** native/bpf/NAME.c as compiled by scripts/build-native, or the object that came with the package. */
function readObject(name: string): Result<Loaded, HostError> {
  const root = packageRoot();
  const candidates = ['build/native/bpf', 'native/prebuilt/bpf'].map((f) => join(root, f, `${name}.o`));
  const path = candidates.find(existsSync);
  if (!path) {
    const build = join(root, 'scripts/build-native');
    const doing = text(
      `load the BPF program ${name}: neither ${candidates.join(' nor ')} exists; ${build} compiles it (needs clang)`,
      `加载 BPF 程序 ${name}：${candidates.join(' 与 ')} 均不存在；运行 ${build} 可编译（需要 clang）`,
    );
    return err({ code: 'ENOENT', doing });
  }
  const bytes = new Uint8Array(readFileSync(path));
  const elf = readElf(bytes);
  if (!elf.ok) {
    const why = elf.error.kind === 'broken' ? elf.error.what : elf.error.kind;
    return err({ code: 'ENOEXEC', doing: text(`read ${path}: ${why}`, `读取 ${path}：${why}`) });
  }
  return ok({ elf: elf.value, fingerprint: createHash('sha256').update(bytes).digest('hex') });
}

class TcxOrXdpLink implements BpfLink {
  readonly #addon: BpfAddon;
  readonly #handle: Parameters<BpfAddon['updateLink']>[0];
  #path: string | undefined;
  constructor(addon: BpfAddon, handle: Parameters<BpfAddon['updateLink']>[0], path?: string) {
    this.#addon = addon;
    this.#handle = handle;
    this.#path = path;
  }
  replace(program: BpfProgram): Result<void, HostError> {
    const r = this.#addon.updateLink(this.#handle, (program as LinuxProgram).handle);
    return r < 0
      ? err(hostError(r, text(`replace the program by ${program.name}`, `替换为程序 ${program.name}`)))
      : ok(undefined);
  }
  pin(path: string): Result<void, HostError> {
    const r = this.#addon.pin(this.#handle, path);
    if (r < 0) return err(hostError(r, text(`pin a link at ${path}`, `将链接固定到 ${path}`)));
    this.#path = path;
    return ok(undefined);
  }
  detach(): Result<void, HostError> {
    const done = this.#path === undefined ? ok(undefined) : unpin(this.#path);
    this.close();
    return done;
  }
  close(): void {
    this.#addon.close(this.#handle);
  }
}

function unpin(path: string): Result<void, HostError> {
  try {
    unlinkSync(path);
    return ok(undefined);
  } catch (e) {
    const failed = systemError(e, text(`unpin ${path}`, `取消固定 ${path}`));
    return failed.code === 'ENOENT' ? ok(undefined) : err(failed);
  }
}

/** `netlink`: for kernels without TCX links. */
export class LinuxBpf implements Bpf {
  readonly #addon: BpfAddon;
  readonly #netlink: Netlink;
  readonly #objects = new Map<string, Result<Loaded, HostError>>();
  constructor(addon: BpfAddon, netlink: Netlink) {
    this.#addon = addon;
    this.#netlink = netlink;
  }

  missing(): HostError | undefined {
    const probe = this.#addon.createMap(MAP_TYPE.array, 4, 4, 1, 0, 'probe');
    if (typeof probe === 'number')
      return hostError(probe, text('use BPF: the kernel refuses a map', '使用 BPF：内核拒绝创建映射表'));
    this.#addon.close(probe);
    return undefined;
  }
  #object(name: string): Result<Loaded, HostError> {
    let known = this.#objects.get(name);
    if (!known?.ok) {
      known = readObject(name);
      this.#objects.set(name, known);
    }
    return known;
  }
  fingerprint(name: string): Result<string, HostError> {
    const o = this.#object(name);
    return o.ok ? ok(o.value.fingerprint) : o;
  }

  load(
    name: string,
    o: {
      readonly programs: readonly string[];
      readonly use?: ReadonlyMap<string, BpfMap>;
      readonly entries?: Readonly<Record<string, number>>;
    },
  ): Result<BpfObject, HostError> {
    const object = this.#object(name);
    if (!object.ok) return object;
    const { elf } = object.value;
    const maps = new Map<string, LinuxMap>();
    const made: LinuxMap[] = [];
    const programs = new Map<string, LinuxProgram>();
    const undo = (): void => {
      for (const x of [...made, ...programs.values()]) x.close();
    };
    for (const m of elf.maps) {
      const given = o.use?.get(m.name) as LinuxMap | undefined;
      const entries = o.entries?.[m.name] ?? m.entries;
      const map = given ? ok(given) : this.#createMap(m.name, m.type, m.keyBytes, m.valueBytes, entries, m.flags);
      if (!map.ok) {
        undo();
        return map;
      }
      if (!given) made.push(map.value);
      maps.set(m.name, map.value);
    }
    for (const code of elf.programs.filter((p) => o.programs.includes(p.name))) {
      const instructions = relocate(code, (map) => this.#addon.descriptor((maps.get(map) as LinuxMap).handle));
      const program = loadProgram(this.#addon, code.name, code.section.startsWith('xdp'), instructions, elf.license);
      if (!program.ok) {
        undo();
        return program;
      }
      programs.set(code.name, program.value);
    }
    return ok({ maps, programs, close: undo });
  }
  #createMap(name: string, type: number, key: number, value: number, entries: number, flags: number) {
    const made = this.#addon.createMap(
      type,
      key,
      value,
      entries,
      type === MAP_TYPE['lpm-trie'] ? NO_PREALLOC : flags,
      name.slice(0, 15),
    );
    if (typeof made !== 'number') return LinuxMap.of(this.#addon, made, name);
    const size = `${entries} x ${key + value}`;
    return err(hostError(made, text(`create the map ${name} (${size} bytes)`, `创建映射表 ${name}（${size} 字节）`)));
  }

  attach(program: BpfProgram, ifindex: number, where: BpfAttachment): Result<BpfLink, HostError> {
    const { handle, name } = program as LinuxProgram;
    const made =
      where === 'tc'
        ? this.#addon.createLink(handle, ifindex, TCX_INGRESS, 0)
        : this.#addon.createLink(handle, ifindex, XDP, XDP_FLAGS[where]);
    if (typeof made !== 'number') return ok(new TcxOrXdpLink(this.#addon, made));
    if (where === 'tc' && made === EINVAL) return this.#attachFilter(program as LinuxProgram, ifindex);
    const doing = text(
      `attach ${name} to interface ${ifindex} (${where})`,
      `将 ${name} 挂载到接口 ${ifindex}（${where}）`,
    );
    return err(hostError(made, doing));
  }
  #attachFilter(program: LinuxProgram, ifindex: number): Result<BpfLink, HostError> {
    const channel = this.#netlink.open('route');
    if (!channel.ok) return channel;
    const first = this.#setFilter(channel.value, ifindex, program);
    if (!first.ok) {
      channel.value.close();
      return first;
    }
    return ok(this.#filterLink(channel.value, ifindex, program.name));
  }
  #filterLink(channel: NetlinkChannel, ifindex: number, program: string): BpfLink {
    return {
      replace: (p) => this.#setFilter(channel, ifindex, p as LinuxProgram),
      pin: () => ok(undefined),
      detach: () => {
        const done = removeFilter(channel, ifindex, program);
        channel.close();
        return done;
      },
      close: () => channel.close(),
    };
  }
  #setFilter(channel: NetlinkChannel, ifindex: number, p: LinuxProgram): Result<void, HostError> {
    return setFilter(channel, ifindex, p.name, this.#addon.programDescriptor(p.handle));
  }
  adopt(path: string, ifindex: number, where: BpfAttachment, program: string): BpfLink | undefined {
    const found = this.#addon.open(path, KIND.link);
    if (typeof found !== 'number') return new TcxOrXdpLink(this.#addon, found, path);
    if (where !== 'tc') return undefined;
    const channel = this.#netlink.open('route');
    if (!channel.ok) return undefined;
    if (hasFilter(channel.value, ifindex, program)) return this.#filterLink(channel.value, ifindex, program);
    channel.value.close();
    return undefined;
  }
  openMap(path: string): Result<BpfMap, HostError> {
    const found = this.#addon.open(path, KIND.map);
    if (typeof found !== 'number') return LinuxMap.of(this.#addon, found, path);
    return err(hostError(found, text(`open the map ${path}`, `打开映射表 ${path}`)));
  }

  mount(folder: string): Result<void, HostError> {
    const doing = text(`make ${folder} a BPF file system`, `将 ${folder} 设为 BPF 文件系统`);
    try {
      // Below one (/sys/fs/bpf/NAME) a folder is enough; elsewhere one is mounted, once.
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (isBpfFs(folder)) return ok(undefined);
      const r = this.#addon.mountBpf(folder);
      return r < 0 && r !== ENOENT ? err(hostError(r, doing)) : ok(undefined);
    } catch (e) {
      return err(systemError(e, doing));
    }
  }
  unpin(path: string): Result<void, HostError> {
    return unpin(path);
  }
}

function isBpfFs(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const here = mounts.filter((l) => l.split(' ')[4] === at).at(-1);
    if (here !== undefined) return here.includes(' - bpf ');
    if (at === dirname(at)) return false;
  }
}
