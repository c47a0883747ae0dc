/** The sections of a holdfast.yaml. What a later version will read is named here already, so that nothing is mistaken for a typing error. */
import { text } from '../../base/index.ts';
import { MIRROR_HANDLERS } from '../../mirror/config.ts';
import {
  count,
  either,
  type Key,
  list,
  map,
  name,
  object,
  oneOf,
  path,
  type Schema,
  scalar,
  time,
  yesNo,
} from './schema.ts';

const key = (schema: Schema, en: string, zh: string): Key => ({ schema, help: text(en, zh) });
const must = (schema: Schema, en: string, zh: string): Key => ({ schema, help: text(en, zh), required: true });
const later = (en: string, zh: string): Key => ({ schema: scalar({ kind: 'text' }), help: text(en, zh), later: true });

const address: Schema = scalar({ kind: 'address' });
const HOST = text('host', '主机');
const LINK = text('link', '链路');
const digest = oneOf('md5', 'sha1', 'sha256', 'sha512', 'crc32c', 'none');
const KIB = 1024;
const PIB = 1024 ** 5;
const size: Schema = scalar({ kind: 'size', low: 4 * KIB, high: PIB });
const rate = (low: number): Schema => scalar({ kind: 'rate', low, high: 8 * 1024 ** 3 });
/** The same on both hosts, or `ha1: ..., ha2: ...`. */
const perHost = (of: Schema): Schema => either(of, map(HOST, of));
const metadata = perHost(scalar({ kind: 'text' }));

const VOLUME: Readonly<Record<string, Key>> = {
  disk: key(perHost(path), 'the disk beneath, on both hosts or for each', '底层磁盘，两台主机相同或分别指定'),
  metadata: key(metadata, 'internal (the usual), or a device', 'internal（默认）或某个设备'),
  size: key(size, 'use only that much', '只使用这么大'),
  minor: key(
    count(0, 1_048_575),
    'for /dev/drbdN and for tools that ask by minor number',
    '用于 /dev/drbdN 及按次设备号查询的工具',
  ),
};
const SPLIT = {
  'no-primary': key(
    oneOf(
      'disconnect',
      'discard-younger-primary',
      'discard-older-primary',
      'discard-zero-changes',
      'discard-least-changes',
      'discard-local',
      'discard-remote',
    ),
    'split brain found with no primary',
    '发现脑裂且无主',
  ),
  'one-primary': key(
    oneOf('disconnect', 'consensus', 'violently-as0p', 'discard-secondary', 'call-pri-lost-after-sb'),
    'with one primary',
    '有一个主',
  ),
  'two-primaries': key(oneOf('disconnect', 'violently-as0p', 'call-pri-lost-after-sb'), 'with two', '有两个主'),
};

const MIRROR = object({
  ...VOLUME,
  volumes: key(
    map(text('volume', '卷'), object(VOLUME)),
    'several volumes by number, in one order of writes',
    '多个按编号的卷，共用一个写入顺序',
  ),
  hosts: key(
    list(name),
    'the two that hold a copy; may be left out where there are two',
    '保存副本的两台主机；只有两台时可省略',
  ),
  mode: key(
    oneOf('sync', 'memory', 'async', 'C', 'B', 'A'),
    'a write is complete when it is on both disks, in the peer’s memory, or sent',
    '写入完成的条件：两个磁盘、对端内存或已发出',
  ),
  links: key(list(name), 'over which link', '使用的链路'),
  port: key(count(1, 65_535), 'TCP port, one for each mirror; 7788 if left out', 'TCP 端口，每个镜像一个；默认 7788'),
  authenticate: key(
    object({
      with: key(oneOf('sha256', 'sha512', 'sha1', 'md5'), 'digest', '摘要算法'),
      secret: must({ is: 'secret' }, 'where the shared secret is', '共享密钥的位置'),
    }),
    'both sides prove that they know a secret',
    '双方证明知道同一密钥',
  ),
  'verify-with': key(digest, 'digest of online verify', '在线校验的摘要算法'),
  'resync-with': key(digest, 'digest by which resync spares what is equal', '重新同步时跳过相同数据的摘要算法'),
  'check-data-with': key(digest, 'digest on every write over the network', '网络上每次写入的摘要算法'),
  verify: later('when to verify', '何时校验'),
  resync: key(
    object({
      'at-least': key(rate(0), 'goes on at this rate whatever the application does', '无论应用负载如何都保持的速率'),
      'at-most': key(rate(250 * KIB), 'never faster', '最高速率'),
    }),
    'how fast a copy is brought up to date',
    '更新副本的速度',
  ),
  timeout: key(time(100, 60_000), 'a peer that takes longer is gone', '对端超过此时间未应答即视为失联'),
  ping: key(
    object({
      every: key(time(1000, 120_000), 'of an idle link', '空闲链路的探测间隔'),
      timeout: key(time(100, 30_000), 'for the answer', '等待应答的时间'),
    }),
    'whether the peer lives',
    '探测对端是否存活',
  ),
  'connect-every': key(time(1000, 120_000), 'between attempts', '重试连接的间隔'),
  'two-primaries': key(yesNo, 'for cluster file systems alone', '仅用于集群文件系统'),
  fencing: key(
    oneOf('dont-care', 'resource-only', 'resource-and-stonith'),
    'what a primary does that loses its peer',
    '主失去对端时的行为',
  ),
  'split-brain': key(object(SPLIT), 'what may be decided without a person', '无需人工即可决定的情形'),
  'on-io-error': key(
    oneOf('detach', 'pass_on', 'call-local-io-error'),
    'when the disk beneath fails',
    '底层磁盘出错时',
  ),
  'on-no-data': key(oneOf('io-error', 'suspend-io'), 'when no copy can be reached', '无可用副本时'),
  'disk-flushes': key(yesNo, 'no: the disk has a battery behind its cache', 'no：磁盘缓存有电池保护'),
  'hot-extents': key(
    count(67, 65_534),
    'of 4 MiB; more of them make random writes faster and a crash dearer',
    '每个 4 MiB；越多随机写越快，崩溃后恢复越久',
  ),
  handlers: key(
    object(
      Object.fromEntries(
        MIRROR_HANDLERS.map((h) => [h, key(scalar({ kind: 'text' }), 'a shell command', 'shell 命令')]),
      ),
    ),
    'commands that are run at events',
    '事件发生时运行的命令',
  ),
});

export const ROOT: Schema = object({
  version: must(count(1, 1_000_000), 'write version: 1', '请写 version: 1'),
  cluster: must(name, 'write cluster: NAME', '请写 cluster: 名称'),
  language: key(oneOf('en', 'zh-CN'), 'of mail and console', '邮件与控制台的语言'),
  hosts: must(
    map(
      HOST,
      either(
        address,
        object({ links: must(map(LINK, address), 'write links: {lan: ADDRESS}', '请写 links: {lan: 地址}') }),
      ),
    ),
    'write hosts: {ha1: ADDRESS, ha2: ADDRESS}',
    '请写 hosts: {ha1: 地址, ha2: 地址}',
  ),
  links: key(
    map(
      LINK,
      object({
        interface: key(name, 'of every host', '各主机上的接口'),
        prefer: key(list(oneOf('mirror', 'heartbeat')), 'what it is there for', '主要用途'),
      }),
    ),
    'what connects the hosts',
    '主机之间的连接',
  ),
  mirrors: key(map(text('mirror', '镜像'), MIRROR), 'disks that are the same on two hosts', '两台主机上内容相同的磁盘'),
  membership: later('who is alive', '成员存活判断'),
  fencing: later('who cuts off whom', '隔离'),
  services: later('what runs where', '服务'),
  balancers: later('virtual servers', '虚拟服务器'),
  notify: later('mail and webhooks', '通知'),
  console: later('the web console', '网页控制台'),
  templates: later('maps to be used again', '模板'),
  include: later('more files', '包含文件'),
});
