/** The `mirrors` section as this host would run each of them. */
import { bytes, type IpAddress, ms, type Place, text } from '../../base/index.ts';
import {
  type DigestName,
  type MetadataPlace,
  MIRROR_HANDLERS,
  type MirrorConfig,
  type NetOptions,
  type ReplicationProtocol,
  type VolumeConfig,
} from '../../mirror/config.ts';
import type { Report } from '../keepalived/report.ts';
import { nearest } from '../keepalived/suggest.ts';
import type { ClusterHost } from './hosts.ts';
import type { Tree } from './tree.ts';

const MODES: Readonly<Record<string, ReplicationProtocol>> = {
  sync: 'C',
  memory: 'B',
  async: 'A',
  A: 'A',
  B: 'B',
  C: 'C',
};
const DEFAULT_PORT = 7788;

/** Values below one key, with what counts where nothing is said. */
class Of {
  readonly #t: Tree | undefined;
  constructor(t: Tree | undefined) {
    this.#t = t;
  }
  tree(key: string): Tree | undefined {
    return this.#t?.keys.get(key);
  }
  in(key: string): Of {
    return new Of(this.tree(key));
  }
  number(key: string, usual: number): number {
    return (this.tree(key)?.value as number | undefined) ?? usual;
  }
  flag(key: string, usual: boolean): boolean {
    return (this.tree(key)?.value as boolean | undefined) ?? usual;
  }
  word<T extends string>(key: string, usual: T): T {
    return (this.tree(key)?.value as T | undefined) ?? usual;
  }
}
export type MirrorContext = {
  readonly report: Report;
  readonly hosts: ReadonlyMap<string, ClusterHost>;
  readonly hostName: string;
};
type Claim = (what: string, value: string, at: Place) => void;

/** Undefined: not of this host, or told as wrong. */
export function buildMirror(name: string, t: Tree, c: MirrorContext, claim: Claim): MirrorConfig | undefined {
  const o = new Of(t);
  const pair = hostsOf(t, c);
  if (!pair) return undefined;
  const volumes = volumesOf(name, t, pair, c, claim);
  const [a, b] = pair.map((host) => endOf(host, t, c));
  if (!a || !b) return undefined;
  for (const [host, end] of [
    [pair[0], a],
    [pair[1], b],
  ] as const)
    claim(`port ${host}`, `${end.address} ${end.port}`, o.tree('port')?.at ?? t.keyAt);
  const net = netOf(o, c.report);
  const mine = pair.indexOf(c.hostName);
  if (mine < 0) return undefined;
  return {
    name,
    host: c.hostName,
    peer: pair[1 - mine] as string,
    local: mine === 0 ? a : b,
    remote: mine === 0 ? b : a,
    volumes: volumes[mine] ?? [],
    net,
    onNoDataAccessible: o.word('on-no-data', 'io-error'),
    handlers: Object.fromEntries(
      MIRROR_HANDLERS.flatMap((h) => {
        const command = o.in('handlers').tree(h)?.value;
        return command === undefined ? [] : [[h, String(command)]];
      }),
    ),
    startup: {
      waitForConnection: ms(0),
      waitDegraded: ms(0),
      waitOutdated: ms(0),
      waitAfterSplitBrain: false,
      becomePrimary: false,
    },
  };
}

function hostsOf(t: Tree, c: MirrorContext): readonly [string, string] | undefined {
  const all = [...c.hosts.keys()];
  const named = t.keys.get('hosts');
  const names = named ? named.items.map((i) => String(i.value)) : all;
  const where = named?.at ?? t.keyAt;
  for (const i of named?.items ?? [])
    if (!c.hosts.has(String(i.value))) {
      const near = nearest(String(i.value), all);
      c.report.error(
        'MIR-10',
        i.at,
        text(`host '${i.value}' is not in hosts`, `hosts 中没有主机 '${i.value}'`),
        near === undefined ? undefined : text(`did you mean '${near}'?`, `是否想写 '${near}'？`),
      );
    }
  const [first, second] = names;
  if (names.length === 2 && first !== undefined && second !== undefined && first !== second)
    return c.hosts.has(first) && c.hosts.has(second) ? [first, second] : undefined;
  c.report.error(
    'MIR-11',
    where,
    text(
      `a mirror has two hosts, and this has ${new Set(names).size}`,
      `镜像须有两台主机，此处为 ${new Set(names).size} 台`,
    ),
    text('write hosts: [ha1, ha2]', '请写 hosts: [ha1, ha2]'),
  );
  return undefined;
}

function endOf(
  host: string,
  t: Tree,
  c: MirrorContext,
): { readonly address: IpAddress; readonly port: number } | undefined {
  const links = c.hosts.get(host)?.links ?? new Map<string, IpAddress>();
  const wanted = t.keys.get('links')?.items ?? [];
  const port = Number(t.keys.get('port')?.value ?? DEFAULT_PORT);
  for (const l of wanted)
    if (!links.has(String(l.value)))
      c.report.error(
        'MIR-12',
        l.at,
        text(`host ${host} has no link '${l.value}'`, `主机 ${host} 没有链路 '${l.value}'`),
      );
  const [first, second] = wanted;
  if (second)
    c.report.warn(
      'MIR-13',
      second.at,
      text(
        `the mirror uses link ${first?.value}; it does not change over to another by itself`,
        `镜像使用链路 ${first?.value}；不会自动切换到其他链路`,
      ),
    );
  const address = first ? links.get(String(first.value)) : [...links.values()][0];
  return address === undefined ? undefined : { address, port };
}

/** Of each of the two hosts. */
function volumesOf(
  name: string,
  t: Tree,
  pair: readonly [string, string],
  c: MirrorContext,
  claim: Claim,
): VolumeConfig[][] {
  const several = t.keys.get('volumes');
  if (several && t.keys.has('disk'))
    c.report.error('MIR-14', t.keys.get('disk')?.keyAt, text('either disk or volumes', 'disk 与 volumes 二选一'));
  const numbered: [number, Tree][] = several ? [...several.keys].flatMap(([k, v]) => numberOf(k, v, c)) : [[0, t]];
  return pair.map((host) =>
    numbered.flatMap(([number, v]) => {
      const disk = perHost(v.keys.get('disk'), host);
      if (disk === undefined) {
        c.report.error(
          'MIR-15',
          v.keys.get('disk')?.at ?? v.keyAt,
          text(`mirror ${name} has no disk on host ${host}`, `镜像 ${name} 在主机 ${host} 上没有磁盘`),
          text('write disk: /dev/...', '请写 disk: /dev/...'),
        );
        return [];
      }
      const device = numbered.length === 1 ? `/dev/holdfast/${name}` : `/dev/holdfast/${name}-${number}`;
      const minor = v.keys.get('minor')?.value as number | undefined;
      claim(`disk ${host}`, disk.value, disk.at);
      if (minor !== undefined) claim(`minor ${host}`, String(minor), v.keys.get('minor')?.at ?? v.at);
      return [
        {
          number,
          minor,
          device,
          disk: disk.value,
          metadata: metadataOf(v, host, c, claim),
          options: diskOf(new Of(t), new Of(v)),
        },
      ];
    }),
  );
}
function numberOf(key: string, v: Tree, c: MirrorContext): [number, Tree][] {
  if (/^\d{1,5}$/.test(key) && Number(key) <= 65_535) return [[Number(key), v]];
  c.report.error(
    'MIR-16',
    v.keyAt,
    text(`'${key}' is no volume number in 0..65535`, `'${key}' 不是 0..65535 之间的卷编号`),
  );
  return [];
}
function perHost(t: Tree | undefined, host: string): { readonly value: string; readonly at: Place } | undefined {
  const one = t?.value === undefined ? t?.keys.get(host) : t;
  return one?.value === undefined ? undefined : { value: String(one.value), at: one.at };
}
function metadataOf(v: Tree, host: string, c: MirrorContext, claim: Claim): MetadataPlace {
  const m = perHost(v.keys.get('metadata'), host);
  if (!m || m.value === 'internal') return { kind: 'internal' };
  if (!m.value.startsWith('/'))
    c.report.error(
      'SYN-07',
      m.at,
      text(
        `metadata: '${m.value}' is neither internal nor a path`,
        `metadata：'${m.value}' 既不是 internal 也不是路径`,
      ),
    );
  claim(`disk ${host}`, m.value, m.at);
  return { kind: 'flexible', device: m.value };
}

const SECTOR = 512;
const KIB = 1024;
function diskOf(o: Of, v: Of): VolumeConfig['options'] {
  const resync = o.in('resync');
  const size = v.number('size', 0);
  return {
    size: size === 0 ? undefined : bytes(size - (size % SECTOR)),
    onIoError: o.word('on-io-error', 'detach'),
    fencing: o.word('fencing', 'dont-care'),
    diskFlushes: o.flag('disk-flushes', true),
    mdFlushes: o.flag('disk-flushes', true),
    resyncAfter: undefined,
    alExtents: o.number('hot-extents', 1237),
    alUpdates: true,
    diskTimeout: undefined,
    readBalancing: 'prefer-local',
    rsDiscardGranularity: undefined,
    resync: {
      rate: bytes(250 * KIB),
      planAhead: ms(2000),
      delayTarget: ms(1000),
      fillTarget: bytes(100 * SECTOR),
      maxRate: bytes(resync.number('at-most', 100 * 1024 * KIB)),
      minRate: bytes(resync.number('at-least', 250 * KIB)),
    },
  };
}

const digest = (o: Of, key: string, usual: DigestName | 'none'): DigestName | undefined => {
  const d = o.word<DigestName | 'none'>(key, usual);
  return d === 'none' ? undefined : d;
};
function netOf(o: Of, report: Report): NetOptions {
  const protocol = MODES[o.word('mode', 'sync')] ?? 'C';
  const two = o.tree('two-primaries');
  if (two?.value === true && protocol !== 'C')
    report.error('MIR-17', two.at, text('two primaries need mode: sync', '双主需要 mode: sync'));
  const split = o.in('split-brain');
  const auth = o.in('authenticate');
  const secret = auth.tree('secret')?.value;
  const pingTimeout = ms(o.in('ping').number('timeout', 500));
  const net: NetOptions = {
    protocol,
    timeout: ms(o.number('timeout', 6000)),
    pingInterval: ms(o.in('ping').number('every', 10_000)),
    pingTimeout,
    connectInterval: ms(o.number('connect-every', 10_000)),
    socketCheckTimeout: pingTimeout,
    koCount: 7,
    maxBuffers: bytes(2048 * 4096),
    maxEpochSize: 2048,
    sendBuffer: undefined,
    receiveBuffer: undefined,
    allowTwoPrimaries: two?.value === true,
    auth:
      secret === undefined
        ? undefined
        : { algorithm: auth.word('with', 'sha256'), secret: { from: 'file', path: String(secret) } },
    dataIntegrity: digest(o, 'check-data-with', 'none'),
    verify: digest(o, 'verify-with', 'crc32c'),
    checksums: digest(o, 'resync-with', 'none'),
    checksumsAfterCrashOnly: false,
    after0Primaries: split.word('no-primary', 'disconnect'),
    after1Primary: split.word('one-primary', 'disconnect'),
    after2Primaries: split.word('two-primaries', 'disconnect'),
    alwaysAfterSplitBrain: false,
    resyncRoleConflict: 'disconnect',
    onCongestion: 'block',
    congestionFill: bytes(0),
    congestionExtents: 1237,
    compressBitmap: true,
  };
  const timeout = o.tree('timeout');
  if (timeout && net.timeout > Math.min(net.pingInterval, net.connectInterval))
    report.error(
      'TIME-03',
      timeout.at,
      text('timeout is longer than ping every or connect-every', 'timeout 长于 ping every 或 connect-every'),
    );
  return net;
}
