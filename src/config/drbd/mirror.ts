/** A resource as this host would run it: everything inherited, every default filled in. */
import { bytes, type Place, type Text, text } from '../../base/index.ts';
import type { DiskOptions, MetadataPlace, MirrorConfig, VolumeConfig } from '../../mirror/config.ts';
import type { Report } from '../keepalived/report.ts';
import { endpointOf, type Me, nameOf, type Pair, pairOf } from './hosts.ts';
import { Options } from './inherit.ts';
import type { FileGiven, Given, HostGiven, ResourceGiven, VolumeGiven } from './model.ts';
import { buildHandlers, buildNet, buildStartup } from './net.ts';
import { STRIPING } from './options.ts';

export type Run =
  | { readonly kind: 'here'; readonly mirror: MirrorConfig; readonly said: Said }
  /** This host is not in it. */
  | { readonly kind: 'elsewhere' }
  | { readonly kind: 'refused'; readonly why: Text }
  /** Told as an error. */
  | { readonly kind: 'wrong' };
export type DrbdResource = {
  readonly name: string;
  readonly at: Place;
  readonly written: ResourceGiven;
  readonly run: Run;
};
/** What the file says for it, after inheritance and before defaults. */
export type Said = {
  readonly resource: readonly Given[];
  readonly net: readonly Given[];
  readonly disk: ReadonlyMap<number, readonly Given[]>;
};
/** What two resources on one host may not share. */
export type Claim = {
  readonly what: 'minor' | 'disk' | 'meta-disk' | 'address';
  readonly value: string;
  readonly at: Place;
};

export function buildRun(r: ResourceGiven, file: FileGiven, me: Me, report: Report, claims: Claim[]): Run {
  const found = pairOf(r, me);
  switch (found.kind) {
    case 'elsewhere':
      return found;
    case 'wrong':
      report.error(found.code, found.at, found.message);
      return found;
    case 'refused':
      report.warn(
        'drbd-not-run',
        found.at,
        text(
          `resource ${r.name} is read and cannot be run: ${found.why.en}`,
          `资源 ${r.name} 可读取但无法运行：${found.why.zh}`,
        ),
      );
      return { kind: 'refused', why: found.why };
    case 'pair':
      return buildPair(r, file, found.pair, found.morePaths, report, claims);
  }
}

function buildPair(
  r: ResourceGiven,
  file: FileGiven,
  p: Pair,
  morePaths: number,
  report: Report,
  claims: Claim[],
): Run {
  const { common } = file;
  const { sections: own } = r;
  const net = new Options('net', common.net, own.net, r.meshes[0]?.net, p.connection?.net);
  const transport = net.given('transport');
  if (transport && transport.typed !== 'tcp') {
    const why = text(
      `its transport is ${transport.typed}; the mirror speaks TCP`,
      `其传输方式为 ${transport.typed}；镜像只使用 TCP`,
    );
    report.warn(
      'drbd-not-run',
      transport.at,
      text(`resource ${r.name} is read and cannot be run: ${why.en}`, `资源 ${r.name} 可读取但无法运行：${why.zh}`),
    );
    return { kind: 'refused', why };
  }
  if (morePaths > 0)
    report.warn(
      'drbd-9-only',
      p.connection?.at ?? r.at,
      text(
        `resource ${r.name} has ${morePaths + 1} paths; the first is used`,
        `资源 ${r.name} 有 ${morePaths + 1} 条路径；使用第一条`,
      ),
    );
  const host = nameOf(p.mine);
  const volumes = buildVolumes(r, file, p, net, report, claims);
  claims.push({ what: 'address', value: JSON.stringify(endpointOf(p.local)), at: p.local.at });
  const handlers = buildHandlers(new Options('handlers', common.handlers, own.handlers));
  warnUnfenced(r, volumes, handlers, report);
  const resource = new Options('options', common.options, own.options);
  const mirror: MirrorConfig = {
    name: r.name,
    host,
    peer: nameOf(p.other),
    local: endpointOf(p.local),
    remote: endpointOf(p.remote),
    volumes,
    net: buildNet(net, host, report),
    onNoDataAccessible: resource.word('on-no-data-accessible'),
    handlers,
    startup: buildStartup(new Options('startup', common.startup, own.startup), host, report),
  };
  const said: Said = {
    resource: [...resource.entries()],
    net: [...net.entries()],
    disk: new Map(volumes.map((v) => [v.number, [...diskOptions(r, file, p, v.number).entries()]])),
  };
  return { kind: 'here', mirror, said };
}

/** A host's lines win over those of the resource. */
type Merged = {
  readonly number: number;
  readonly device: VolumeGiven['device'];
  readonly disk: VolumeGiven['disk'];
  readonly meta: VolumeGiven['meta'];
  readonly at: Place;
};
function mergedVolumes(r: ResourceGiven, h: HostGiven): Map<number, Merged> {
  const numbers = [...new Set([...r.volumes.keys(), ...h.volumes.keys()])].sort((a, b) => a - b);
  return new Map(
    numbers.map((number) => {
      const [above, own] = [r.volumes.get(number), h.volumes.get(number)];
      const at = own?.at ?? above?.at ?? h.at;
      return [
        number,
        {
          number,
          at,
          device: own?.device ?? above?.device,
          disk: own?.disk ?? above?.disk,
          meta: own?.meta ?? above?.meta,
        },
      ];
    }),
  );
}

function buildVolumes(
  r: ResourceGiven,
  file: FileGiven,
  p: Pair,
  net: Options,
  report: Report,
  claims: Claim[],
): VolumeConfig[] {
  const [mine, theirs] = [mergedVolumes(r, p.mine), mergedVolumes(r, p.other)];
  if (mine.size === 0)
    report.error(
      'drbd-volume-missing',
      r.at,
      text(`resource ${r.name} has no volume`, `资源 ${r.name} 没有卷`),
      text('device, disk and meta-disk make one', '由 device、disk 和 meta-disk 组成'),
    );
  for (const [a, b, host] of [
    [mine, theirs, p.other],
    [theirs, mine, p.mine],
  ] as const)
    for (const v of a.values())
      if (!b.has(v.number))
        report.error(
          'drbd-volume-missing',
          v.at,
          text(`volume ${v.number} is missing on host ${nameOf(host)}`, `主机 ${nameOf(host)} 缺少卷 ${v.number}`),
        );
  const out: VolumeConfig[] = [];
  for (const v of mine.values()) {
    if (!v.device) {
      report.error(
        'drbd-device-missing',
        v.at,
        text(`volume ${v.number} of ${r.name} has no device`, `${r.name} 的卷 ${v.number} 没有 device`),
        text("write 'device minor N;'", "请写 'device minor N;'"),
      );
      continue;
    }
    if (!v.disk) {
      report.error(
        'drbd-disk-missing',
        v.at,
        text(`volume ${v.number} of ${r.name} has no disk`, `${r.name} 的卷 ${v.number} 没有 disk`),
        text(
          "write 'disk /dev/...;', or 'disk none;' to be diskless for good",
          "请写 'disk /dev/...;'，永久无盘则写 'disk none;'",
        ),
      );
      continue;
    }
    const disk = v.disk.value === 'none' ? undefined : v.disk.value;
    const metadata = metadataOf(v, disk);
    claims.push({ what: 'minor', value: String(v.device.value.minor), at: v.device.at });
    if (disk !== undefined) claims.push({ what: 'disk', value: disk, at: v.disk.at });
    if (v.meta && metadata.kind !== 'internal')
      claims.push({
        what: 'meta-disk',
        value: metadata.kind === 'indexed' ? `${metadata.device} [${metadata.index}]` : metadata.device,
        at: v.meta.at,
      });
    const o = diskOptions(r, file, p, v.number);
    out.push({
      number: v.number,
      minor: v.device.value.minor,
      device: v.device.value.name,
      disk,
      metadata,
      options: buildDisk(o, net, report),
    });
  }
  return out;
}
const diskOptions = (r: ResourceGiven, file: FileGiven, p: Pair, volume: number): Options =>
  new Options(
    'disk',
    file.common.disk,
    r.sections.disk,
    r.volumes.get(volume)?.options,
    p.mine.volumes.get(volume)?.options,
    p.connection?.disk,
    p.connection?.volumes.get(volume),
  );
function metadataOf(v: Merged, disk: string | undefined): MetadataPlace {
  const given = v.meta?.value;
  if (!given || given.device === 'internal' || disk === undefined) return { kind: 'internal' };
  return given.index === undefined
    ? { kind: 'flexible', device: given.device }
    : { kind: 'indexed', device: given.device, index: given.index };
}

function buildDisk(o: Options, net: Options, report: Report): DiskOptions {
  const balancing = o.word<string>('read-balancing');
  const striped = STRIPING.includes(balancing);
  if (striped)
    report.warn(
      'drbd-no-effect',
      o.given('read-balancing')?.at,
      text(`read-balancing ${balancing} is read as round-robin`, `read-balancing ${balancing} 按 round-robin 读取`),
    );
  const diskTimeout = o.time('disk-timeout');
  return {
    size: o.bytesOrNone('size'),
    onIoError: o.word('on-io-error'),
    fencing: net.given('fencing') ? net.word('fencing') : o.word('fencing'),
    diskFlushes: o.flag('disk-flushes'),
    mdFlushes: o.flag('md-flushes'),
    resyncAfter: o.text('resync-after'),
    alExtents: o.number('al-extents'),
    alUpdates: o.flag('al-updates'),
    diskTimeout: diskTimeout === 0 ? undefined : diskTimeout,
    readBalancing: striped ? 'round-robin' : (balancing as DiskOptions['readBalancing']),
    rsDiscardGranularity: o.bytesOrNone('rs-discard-granularity'),
    resync: {
      rate: o.bytes('resync-rate'),
      planAhead: o.time('c-plan-ahead'),
      delayTarget: o.time('c-delay-target'),
      fillTarget: bytes(o.number('c-fill-target')),
      maxRate: o.bytes('c-max-rate'),
      minRate: o.bytes('c-min-rate'),
    },
  };
}
function warnUnfenced(
  r: ResourceGiven,
  volumes: readonly VolumeConfig[],
  handlers: MirrorConfig['handlers'],
  report: Report,
): void {
  const fenced = volumes.find((v) => v.options.fencing !== 'dont-care');
  if (fenced && handlers['fence-peer'] === undefined)
    report.warn(
      'drbd-fence-handler',
      r.at,
      text(
        `fencing ${fenced.options.fencing} of ${r.name} has no fence-peer handler: without the peer it stays frozen or is not promoted`,
        `${r.name} 的 fencing ${fenced.options.fencing} 没有 fence-peer 处理程序：失去对端后将保持冻结或无法提升`,
      ),
      text('add handlers { fence-peer "..."; }', '请加上 handlers { fence-peer "..."; }'),
    );
}
