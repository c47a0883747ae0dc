/** Net, startup and handlers of a mirror, with what does not fit together. */
import { type Place, text } from '../../base/index.ts';
import { type DigestName, MIRROR_HANDLERS, type MirrorConfig, type NetOptions } from '../../mirror/config.ts';
import type { Report } from '../keepalived/report.ts';
import { sameHost } from './hosts.ts';
import type { Options } from './inherit.ts';
import type { Given } from './model.ts';
import { didYouMean } from './values.ts';

export const DIGESTS: readonly DigestName[] = ['md5', 'sha1', 'sha256', 'sha512', 'crc32c'];

function digest(o: Options, name: string, report: Report, keyed = false): DigestName | undefined {
  const g = o.given(name);
  // An empty string takes an inherited one away.
  if (!g || g.value === '') return undefined;
  const known = DIGESTS.filter((d) => !keyed || d !== 'crc32c');
  const found = known.find((d) => d === g.value);
  if (found !== undefined) return found;
  report.error(
    'drbd-digest',
    g.at,
    text(`${name}: '${g.typed}' is none of ${known.join(', ')}`, `${name}：'${g.typed}' 不在 ${known.join('、')} 之中`),
    didYouMean(g.typed, known),
  );
  return undefined;
}

function authOf(o: Options, report: Report): NetOptions['auth'] {
  const [alg, secret] = [o.given('cram-hmac-alg'), o.given('shared-secret')];
  const algorithm = digest(o, 'cram-hmac-alg', report, true);
  if (alg && alg.value !== '' && !secret)
    report.error(
      'drbd-secret-missing',
      alg.at,
      text('cram-hmac-alg needs a shared-secret', 'cram-hmac-alg 需要 shared-secret'),
    );
  if (secret && !alg)
    report.warn(
      'drbd-secret-unused',
      secret.at,
      text(
        'shared-secret without cram-hmac-alg: the peer is not asked for it',
        '没有 cram-hmac-alg，shared-secret 不起作用',
      ),
      text('add cram-hmac-alg sha256;', '请加上 cram-hmac-alg sha256;'),
    );
  if (algorithm === undefined || !secret) return undefined;
  const { file, line, column, length } = secret.at;
  return { algorithm, secret: { from: 'place', file, line, column, length } };
}

const TOLD_OF_NINE: Readonly<Record<string, readonly string[]>> = { 'rr-conflict': ['retry-connect', 'auto-discard'] };
/** A word that only DRBD 9 knows is read as the default. */
function wordOf<T extends string>(o: Options, name: string, report: Report, usual: T): T {
  const g = o.given(name);
  if (!g || !TOLD_OF_NINE[name]?.includes(g.typed)) return o.word<T>(name);
  report.warn(
    'drbd-9-only',
    g.at,
    text(`${name} ${g.typed} needs DRBD 9; ${usual} is used`, `${name} ${g.typed} 需要 DRBD 9；此处使用 ${usual}`),
  );
  return usual;
}
/** `discard-node-NAME` of old: as this host and its peer see it. */
function after0(o: Options, hostName: string, report: Report): NetOptions['after0Primaries'] {
  const g = o.given('after-sb-0pri');
  const named = /^discard-node-(.+)$/.exec(g?.typed ?? '')?.[1];
  if (g && named !== undefined) {
    report.warn(
      'drbd-old-word',
      g.at,
      text(
        `${g.typed} is read as discard-${sameHost(named, hostName) ? 'local' : 'remote'}`,
        `${g.typed} 按 discard-${sameHost(named, hostName) ? 'local' : 'remote'} 读取`,
      ),
    );
    return sameHost(named, hostName) ? 'discard-local' : 'discard-remote';
  }
  return o.word('after-sb-0pri');
}

export function buildNet(o: Options, hostName: string, report: Report): NetOptions {
  const pingTimeout = o.time('ping-timeout');
  const net: NetOptions = {
    protocol: o.word('protocol'),
    timeout: o.time('timeout'),
    pingInterval: o.time('ping-int'),
    pingTimeout,
    connectInterval: o.time('connect-int'),
    socketCheckTimeout: o.number('socket-check-timeout') === 0 ? pingTimeout : o.time('socket-check-timeout'),
    koCount: o.number('ko-count'),
    maxBuffers: o.bytes('max-buffers'),
    maxEpochSize: o.number('max-epoch-size'),
    sendBuffer: o.bytesOrNone('sndbuf-size'),
    receiveBuffer: o.bytesOrNone('rcvbuf-size'),
    allowTwoPrimaries: o.flag('allow-two-primaries'),
    auth: authOf(o, report),
    dataIntegrity: digest(o, 'data-integrity-alg', report),
    verify: digest(o, 'verify-alg', report),
    checksums: digest(o, 'csums-alg', report),
    checksumsAfterCrashOnly: o.flag('csums-after-crash-only'),
    after0Primaries: after0(o, hostName, report),
    after1Primary: o.word('after-sb-1pri'),
    after2Primaries: o.word('after-sb-2pri'),
    alwaysAfterSplitBrain: o.flag('always-asbp'),
    resyncRoleConflict: wordOf(o, 'rr-conflict', report, 'disconnect'),
    onCongestion: o.word('on-congestion'),
    congestionFill: o.bytes('congestion-fill'),
    congestionExtents: o.number('congestion-extents'),
    compressBitmap: o.flag('use-rle'),
  };
  checkNet(net, o, report);
  return net;
}
function checkNet(n: NetOptions, o: Options, report: Report): void {
  const at = (name: string): Place | undefined => o.given(name)?.at;
  if (n.allowTwoPrimaries && n.protocol !== 'C')
    report.error(
      'drbd-two-primaries-protocol',
      at('allow-two-primaries'),
      text(
        `allow-two-primaries needs protocol C, and this is ${n.protocol}`,
        `allow-two-primaries 需要协议 C，当前为 ${n.protocol}`,
      ),
    );
  for (const [name, limit] of [
    ['ping-int', n.pingInterval],
    ['connect-int', n.connectInterval],
  ] as const)
    if (n.timeout > limit)
      report.warn(
        'drbd-timeout-order',
        at('timeout') ?? at(name),
        text(
          `timeout ${n.timeout} ms is longer than ${name} ${limit} ms`,
          `timeout ${n.timeout} 毫秒长于 ${name} ${limit} 毫秒`,
        ),
        text(
          'timeout should be the shorter of the two; its unit is a tenth of a second',
          'timeout 应更短；其单位为十分之一秒',
        ),
      );
  if (n.onCongestion !== 'block' && n.protocol !== 'A')
    report.warn(
      'drbd-congestion-protocol',
      at('on-congestion'),
      text(
        `on-congestion ${n.onCongestion} works with protocol A alone, and this is ${n.protocol}`,
        `on-congestion ${n.onCongestion} 仅在协议 A 下生效，当前为 ${n.protocol}`,
      ),
    );
}

export function buildStartup(o: Options, hostName: string, report: Report): MirrorConfig['startup'] {
  const wanted = o.given('become-primary-on');
  const becomePrimary = wanted?.typed.split(' ').some((w) => w === 'both' || w === hostName) ?? false;
  if (wanted)
    report.warn(
      'drbd-become-primary',
      wanted.at,
      text(
        'become-primary-on promotes at start, whatever the peer is doing; it is a known source of split brain',
        'become-primary-on 在启动时无视对端状态直接提升，常引起脑裂',
      ),
    );
  return {
    waitForConnection: o.time('wfc-timeout'),
    waitDegraded: o.time('degr-wfc-timeout'),
    waitOutdated: o.time('outdated-wfc-timeout'),
    waitAfterSplitBrain: o.flag('wait-after-sb'),
    becomePrimary,
  };
}

export function buildHandlers(o: Options): MirrorConfig['handlers'] {
  const all = new Map<string, Given>([...o.entries()].map((g) => [g.row.name, g]));
  return Object.fromEntries(MIRROR_HANDLERS.flatMap((h) => (all.has(h) ? [[h, String(all.get(h)?.value)]] : [])));
}
