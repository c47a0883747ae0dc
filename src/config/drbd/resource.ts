/** A `resource` section: its hosts, volumes and connections. */
import { type Place, text } from '../../base/index.ts';
import { readConnection, readMesh } from './connection.ts';
import { type HostGiven, noSections, type ResourceGiven, type VolumeGiven } from './model.ts';
import { type Context, live, needSection, numberBetween, readCommonPart, readOptionSet, unknown } from './sections.ts';
import type { Statement, Word } from './tree.ts';
import { readAddress, readDevice, readMeta } from './values.ts';

const HIGHEST_VOLUME = 65_535;
const HIGHEST_NODE = 31;
const VOLUME_WORDS = ['device', 'disk', 'meta-disk', 'flexible-meta-disk', 'flex-meta-disk', 'tiebreaker'];
const HOST_WORDS = [
  ...VOLUME_WORDS.slice(0, 5),
  'address',
  'node-id',
  'volume',
  'proxy',
  'options',
  'alternate-link-address',
];
const RESOURCE_WORDS = [
  ...VOLUME_WORDS.slice(0, 5),
  'volume',
  'on',
  'floating',
  'stacked-on-top-of',
  'connection',
  'connection-mesh',
  'protocol',
  'options',
  'disk',
  'net',
  'startup',
  'handlers',
  'proxy',
  'syncer',
  'template-file',
];

export function readResource(c: Context, s: Statement): ResourceGiven | undefined {
  const [word, name, extra] = s.words;
  if (!name || extra) {
    c.report.error(
      'drbd-resource-name',
      extra?.at ?? word.at,
      text('a resource has one name', '资源须有且只有一个名称'),
    );
    if (!name) return undefined;
  }
  if (!/^[^\s/]{1,127}$/.test(name.text))
    c.report.error(
      'drbd-resource-name',
      name.at,
      text(`'${name.text}' is no name of a resource`, `'${name.text}' 不能作为资源名称`),
    );
  const r: ResourceGiven = {
    name: name.text,
    at: name.at,
    sections: noSections(),
    volumes: new Map(),
    hosts: [],
    connections: [],
    meshes: [],
  };
  for (const inner of live(needSection(c, s))) readPart(c, r, inner);
  return r;
}

function readPart(c: Context, r: ResourceGiven, s: Statement): void {
  const [word] = s.words;
  if (readCommonPart(c, r.sections, s) || readVolumePart(c, r.volumes, s)) return;
  switch (word.text) {
    case 'on':
    case 'floating':
    case 'stacked-on-top-of':
      readHost(c, r, s);
      return;
    case 'connection':
      r.connections.push(readConnection(c, s));
      return;
    case 'connection-mesh':
      r.meshes.push(readMesh(c, s));
      return;
    case 'template-file':
      c.report.error(
        'drbd-template-file',
        word.at,
        text('template-file is not read', '不读取 template-file'),
        text("write its options here, or in 'common'", "请把其中的选项写在此处或 'common' 中"),
      );
      return;
    default:
      unknown(c, word, `resource ${r.name}`, RESOURCE_WORDS);
  }
}

/** `volume N { }`, or one of its lines straight under a host or a resource: volume 0. */
function readVolumePart(c: Context, into: Map<number, VolumeGiven>, s: Statement): boolean {
  const [word, ...rest] = s.words;
  if (word.text === 'volume') {
    const n = numberBetween(rest[0], 0, HIGHEST_VOLUME);
    if (n === undefined) {
      c.report.error(
        'drbd-volume-number',
        rest[0]?.at ?? word.at,
        text(`a volume has a number in 0..${HIGHEST_VOLUME}`, `卷编号须在 0..${HIGHEST_VOLUME} 之间`),
      );
      return true;
    }
    const before = into.get(n);
    if (before) {
      c.report.error(
        'drbd-volume-twice',
        word.at,
        before.implicit
          ? text('volume 0 is written without a section already', '卷 0 已不带小节写出')
          : text(`volume ${n} is in line ${before.at.line} already`, `卷 ${n} 已在第 ${before.at.line} 行`),
      );
      return true;
    }
    const v: VolumeGiven = { number: n, at: word.at, implicit: false, options: new Map() };
    into.set(n, v);
    for (const inner of live(needSection(c, s)))
      if (!readVolumeLine(c, v, inner)) unknown(c, inner.words[0], `volume ${n}`, VOLUME_WORDS);
    return true;
  }
  if (!VOLUME_WORDS.includes(word.text) || s.body) return false;
  const v = into.get(0) ?? { number: 0, at: word.at, implicit: true, options: new Map() };
  into.set(0, v);
  return readVolumeLine(c, v, s);
}

function readVolumeLine(c: Context, v: VolumeGiven, s: Statement): boolean {
  const [word, ...rest] = s.words;
  const once = <T>(before: { readonly at: Place } | undefined, now: T | undefined): T | undefined => {
    if (before && now !== undefined)
      c.report.error(
        'drbd-twice',
        word.at,
        text(`${word.text} is in line ${before.at.line} already`, `${word.text} 已在第 ${before.at.line} 行`),
      );
    return now;
  };
  switch (word.text) {
    case 'device': {
      const d = once(v.device, readDevice(rest, word.at, c.report));
      if (d) v.device = d;
      return true;
    }
    case 'disk': {
      if (s.body) {
        for (const [name, given] of readOptionSet(c, 'disk', s.body)) v.options.set(name, given);
        return true;
      }
      const d = once(v.disk, readDisk(c, rest, word.at));
      if (d) v.disk = d;
      return true;
    }
    case 'meta-disk':
    case 'flexible-meta-disk':
    case 'flex-meta-disk': {
      const m = once(v.meta, readMeta(rest, word.at, c.report));
      if (!m) return true;
      if (word.text !== 'meta-disk' && m.value.index !== undefined)
        c.report.error('drbd-meta-disk', m.at, text('flexible metadata has no index', 'flexible 元数据没有索引'));
      v.meta = m;
      return true;
    }
    case 'tiebreaker':
      if (rest[0]?.text !== 'yes' && rest[0]?.text !== 'no')
        c.report.error(
          'drbd-value',
          rest[0]?.at ?? word.at,
          text('tiebreaker is yes or no', 'tiebreaker 只能是 yes 或 no'),
        );
      return true;
    default:
      return false;
  }
}
function readDisk(c: Context, words: readonly Word[], at: Place): { value: string; at: Place } | undefined {
  const [path] = words;
  if (path && words.length === 1 && (path.text === 'none' || path.text.startsWith('/')))
    return { value: path.text, at: path.at };
  c.report.error(
    'drbd-disk',
    path?.at ?? at,
    text(
      `disk: '${words.map((w) => w.text).join(' ')}' is no path`,
      `disk：'${words.map((w) => w.text).join(' ')}' 不是路径`,
    ),
    text("a path begins with '/'; 'none' is diskless for good", "路径以 '/' 开头；'none' 表示永久无盘"),
  );
  return undefined;
}

function readHost(c: Context, r: ResourceGiven, s: Statement): void {
  const [word, ...names] = s.words;
  const kind = word.text === 'on' ? 'on' : word.text === 'floating' ? 'floating' : 'stacked';
  if (names.length === 0) {
    c.report.error('drbd-host-name', word.at, text(`${word.text} needs a name`, `${word.text} 缺少名称`));
    return;
  }
  const h: HostGiven = { kind, names, at: word.at, volumes: new Map() };
  if (kind === 'floating') {
    const a = readAddress(names, word.at, c.report);
    if (a) h.address = a;
  } else
    for (const n of names) {
      const twice = r.hosts.some((o) => o.kind === kind && o.names.some((x) => x.text === n.text));
      if (twice)
        c.report.error(
          'drbd-host-twice',
          n.at,
          text(`host ${n.text} is in this resource already`, `主机 ${n.text} 已在此资源中`),
        );
    }
  r.hosts.push(h);
  for (const inner of live(needSection(c, s))) readHostLine(c, h, inner);
}
function readHostLine(c: Context, h: HostGiven, s: Statement): void {
  const [word, ...rest] = s.words;
  if (readVolumePart(c, h.volumes, s)) return;
  switch (word.text) {
    case 'address': {
      if (h.address)
        c.report.error(
          'drbd-twice',
          word.at,
          text(`address is in line ${h.address.at.line} already`, `address 已在第 ${h.address.at.line} 行`),
        );
      const a = readAddress(rest, word.at, c.report);
      if (!a) return;
      if (a.value.port === undefined)
        c.report.error(
          'drbd-address',
          a.at,
          text('the address has no port', '地址没有端口'),
          text("write '10.0.0.1:7788'", "请写 '10.0.0.1:7788'"),
        );
      h.address = a;
      return;
    }
    case 'node-id':
      if (numberBetween(rest[0], 0, HIGHEST_NODE) === undefined)
        c.report.error(
          'drbd-range',
          rest[0]?.at ?? word.at,
          text(`node-id is a number in 0..${HIGHEST_NODE}`, `node-id 须为 0..${HIGHEST_NODE} 之间的数`),
        );
      return;
    case 'alternate-link-address':
      c.report.warn(
        'drbd-no-effect',
        word.at,
        text(
          'alternate-link-address has no effect: no kernel ever used it',
          'alternate-link-address 不起作用：内核从未使用它',
        ),
      );
      return;
    case 'proxy':
      h.proxy = word.at;
      return;
    case 'options':
      if (s.body) readOptionSet(c, 'options', s.body);
      return;
    default:
      unknown(c, word, `${h.kind === 'on' ? 'on' : h.kind} ${h.names[0]?.text}`, HOST_WORDS);
  }
}
