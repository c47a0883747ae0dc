/** The options of `holdfast keepalived`: all that keepalived 2.2.7 and 2.3 take, and some of our own. */

import { err, type IpAddress, ok, parseIp, type Result, type Text, text } from '../../base/index.ts';
import type { PlaneName } from '../../director/index.ts';
import { LB_PEER_PORT } from '../../wire/index.ts';
import { getopt, type OptionSpec } from './getopt.ts';

type Known = OptionSpec & { readonly help: Text; readonly argument?: string };
const flag = (short: string, long: string, help: Text): Known => ({
  ...(short === '' ? {} : { short }),
  long,
  value: 'none',
  help,
});
const valued = (
  short: string,
  long: string,
  argument: string,
  help: Text,
  value: Known['value'] = 'required',
): Known => ({
  ...flag(short, long, help),
  value,
  argument,
});
const noEffect = (en: string, zh: string): Text =>
  text(`Accepted without effect: ${en}`, `可以使用，但没有作用：${zh}`);

export const OPTIONS: readonly Known[] = [
  valued(
    'f',
    'use-file',
    'FILE',
    text('Configuration file (/etc/keepalived/keepalived.conf)', '配置文件（/etc/keepalived/keepalived.conf）'),
  ),
  flag('P', 'vrrp', text('Only VRRP', '只运行 VRRP')),
  flag('C', 'check', text('Only the health checkers', '只运行健康检查')),
  flag('B', 'no_bfd', text('No BFD', '不运行 BFD')),
  flag('', 'all', text('Start the VRRP process even with nothing to do', '即使没有配置也启动 VRRP 进程')),
  flag('l', 'log-console', text('Log to the console', '日志输出到控制台')),
  flag('D', 'log-detail', text('Log in detail', '输出详细日志')),
  valued(
    'S',
    'log-facility',
    'N',
    text('Syslog facility: 0-7, local0-local7, user, daemon', 'syslog 设施：0-7、local0-local7、user、daemon'),
  ),
  valued('g', 'log-file', 'FILE', text('Also log to this file', '同时把日志写入该文件')),
  flag('', 'flush-log-file', noEffect('every line is written at once', '每一行都立即写出')),
  flag('G', 'no-syslog', text('Do not log to syslog', '不写 syslog')),
  valued('u', 'umask', 'MASK', text('File creation mask', '创建文件的权限掩码')),
  flag('X', 'release-vips', noEffect('a stop always removes the addresses', '停止时总会移除地址')),
  flag('V', 'dont-release-vrrp', text('Keep addresses and routes at a stop', '停止时保留地址与路由')),
  flag('I', 'dont-release-ipvs', text('Keep virtual servers at a stop', '停止时保留虚拟服务器')),
  flag(
    'R',
    'dont-respawn',
    text('Stop when a process dies, instead of starting it again', '子进程退出后停止，而不是重启它'),
  ),
  flag('n', 'dont-fork', text('Stay in the foreground', '在前台运行')),
  flag('d', 'dump-conf', text('Log the configuration at start', '启动时把配置写入日志')),
  valued('p', 'pid', 'FILE', text('Pid file', '进程号文件')),
  valued('r', 'vrrp_pid', 'FILE', text('Pid file of the VRRP process', 'VRRP 进程的进程号文件')),
  valued('c', 'checkers_pid', 'FILE', text('Pid file of the director process', '调度进程的进程号文件')),
  valued('b', 'bfd_pid', 'FILE', noEffect('BFD runs in the VRRP process', 'BFD 在 VRRP 进程中运行')),
  flag('T', 'genhash', text('Not part of this program', '本程序不包含此功能')),
  flag('a', 'address-monitoring', text('Log every address that comes or goes', '记录每个地址的增减')),
  flag('x', 'snmp', noEffect('SNMP is not part of this build', '此版本不包含 SNMP')),
  valued('A', 'snmp-agent-socket', 'FILE', noEffect('SNMP is not part of this build', '此版本不包含 SNMP')),
  valued('s', 'namespace', 'NAME', text('Run in this network namespace', '在该网络命名空间中运行')),
  flag('m', 'core-dump', noEffect('use LimitCORE of the service manager', '请使用服务管理器的 LimitCORE')),
  valued(
    'M',
    'core-dump-pattern',
    'PATTERN',
    noEffect('use LimitCORE of the service manager', '请使用服务管理器的 LimitCORE'),
    'optional',
  ),
  flag('e', 'all-config', noEffect('a missing included file is an error anyway', '缺少被包含的文件总是错误')),
  valued('i', 'config-id', 'ID', text('Keep lines marked @ID (host name)', '保留标有 @ID 的行（默认为主机名）')),
  valued(
    '',
    'signum',
    'SIGFUNC',
    text(
      'Print the signal number of STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON',
      '输出 STOP、RELOAD、DATA、STATS、STATS_CLEAR 或 JSON 的信号编号',
    ),
  ),
  valued('t', 'config-test', 'FILE', text('Check the configuration and end', '检查配置后退出'), 'optional'),
  valued('', 'perf', 'WHEN', noEffect('for developers of keepalived', '仅供 keepalived 开发者使用'), 'optional'),
  valued('', 'debug', 'OPTIONS', noEffect('for developers of keepalived', '仅供 keepalived 开发者使用'), 'optional'),
  flag('', 'no-mem-check', noEffect('for developers of keepalived', '仅供 keepalived 开发者使用')),
  flag('v', 'version', text('Version', '版本')),
  flag('h', 'help', text('This help', '本帮助')),
  flag('', 'lenient', text('Skip what is wrong, as keepalived does', '像 keepalived 一样跳过错误之处')),
  valued(
    '',
    'lb-plane',
    'PLANE',
    text(
      'Virtual servers by ipvs, nft, bpf or proxy; auto takes the best that the kernel offers',
      '虚拟服务器使用 ipvs、nft、bpf 或 proxy；auto 为内核可用的最佳方式',
    ),
  ),
  valued(
    '',
    'lb-proxy-protocol',
    'VERSION',
    text(
      "With the proxy plane: tell servers the client's address, v1 or v2",
      '使用 proxy 时以 v1 或 v2 告知服务器客户端地址',
    ),
  ),
  valued(
    '',
    'lb-peer',
    'ADDRESS[:PORT]',
    text(
      'The other director of these virtual servers: connections by NAT and of drained servers survive a takeover',
      '这些虚拟服务器的另一台调度器：切换后 NAT 的连接和已排空服务器的连接得以保留',
    ),
  ),
  valued(
    '',
    'lb-peer-key',
    'FILE',
    text('Key of the link to it: at least 16 bytes, the same on both', '与其链路的密钥：至少 16 字节，两端相同'),
  ),
  flag(
    '',
    'lb-peer-trusted',
    text('No key: nobody else can send on that network', '不使用密钥：该网络上没有其他人可以发送报文'),
  ),
  valued('', 'lang', 'LANG', text('Language of messages: en, zh', '消息语言：en、zh')),
];

export const SIGNALS = { STOP: 15, RELOAD: 1, DATA: 10, STATS: 12, STATS_CLEAR: 63, JSON: 36 } as const;

const PLANES = ['auto', 'ipvs', 'nft', 'bpf', 'proxy'] as const;
const HEADERS = ['none', 'v1', 'v2'] as const;

/** The link to the other director. `keyFile` undefined: the operator trusts the network. */
export type PeerOption = {
  readonly address: IpAddress;
  readonly port: number;
  readonly keyFile: string | undefined;
};

export type KeepalivedOptions = {
  readonly do: 'run' | 'test' | 'version' | 'help' | { readonly signum: number };
  readonly file: string;
  /** What is in it. */
  readonly format: 'keepalived' | 'ldirectord';
  readonly only: 'all' | 'vrrp' | 'checkers';
  readonly bfd: boolean;
  readonly always: boolean;
  readonly console: boolean;
  readonly detail: boolean;
  /** RFC 5424 facility number; undefined: no syslog. */
  readonly facility: number | undefined;
  readonly logFile: string | undefined;
  readonly umask: number | undefined;
  readonly keepAddresses: boolean;
  readonly keepServers: boolean;
  /** Undefined: the best that the kernel offers. */
  readonly plane: PlaneName | undefined;
  readonly proxyHeader: 'none' | 'v1' | 'v2';
  readonly peer: PeerOption | undefined;
  readonly respawn: boolean;
  readonly foreground: boolean;
  readonly dumpConfig: boolean;
  readonly pidFile: string | undefined;
  readonly vrrpPidFile: string | undefined;
  readonly checkersPidFile: string | undefined;
  readonly addressMonitoring: boolean;
  readonly namespace: string | undefined;
  readonly configId: string | undefined;
  /** Where `-t` writes; undefined: standard error. */
  readonly testOutput: string | undefined;
  readonly lenient: boolean;
  readonly language: string | undefined;
};

const USER = 1;
const DAEMON = 3;
const LOCAL0 = 16;
function facilityOf(word: string): number | undefined {
  if (word === 'user') return USER;
  if (word === 'daemon') return DAEMON;
  const local = /^(?:local)?([0-7])$/.exec(word);
  return local ? LOCAL0 + Number(local[1]) : undefined;
}

function peerOf(
  at: string | undefined,
  keyFile: string | undefined,
  trusted: boolean,
): Result<PeerOption | undefined, Text> {
  if (at === undefined) {
    if (keyFile === undefined && !trusted) return ok(undefined);
    return err(
      text('--lb-peer-key and --lb-peer-trusted need --lb-peer', '--lb-peer-key 和 --lb-peer-trusted 需要 --lb-peer'),
    );
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(at) ?? [];
  const address = parseIp(bracketed ?? plain ?? at);
  const port = digits === undefined ? LB_PEER_PORT : Number(digits);
  if (!address.ok || port < 1 || port > 65_535)
    return err(
      text(
        `--lb-peer ${at} is not an address with or without a port, such as 192.0.2.2 or [2001:db8::2]:${LB_PEER_PORT}`,
        `--lb-peer ${at} 不是地址（端口可省略），例如 192.0.2.2 或 [2001:db8::2]:${LB_PEER_PORT}`,
      ),
    );
  if (keyFile === undefined && !trusted)
    return err(
      text(
        '--lb-peer needs --lb-peer-key FILE, or --lb-peer-trusted where nobody else can send on that network',
        '--lb-peer 需要 --lb-peer-key FILE；若该网络上没有其他人可以发送报文，可使用 --lb-peer-trusted',
      ),
    );
  if (keyFile !== undefined && trusted)
    return err(
      text('--lb-peer-key and --lb-peer-trusted exclude each other', '--lb-peer-key 与 --lb-peer-trusted 不能同时使用'),
    );
  return ok({ address: address.value, port, keyFile });
}

export function parseOptions(argv: readonly string[]): Result<KeepalivedOptions, Text> {
  const got = getopt(OPTIONS, argv);
  if (!got.ok) return got;
  const { options, words } = got.value;
  if (words.length > 0) return err(text(`unexpected word ${words.join(' ')}`, `多余的参数 ${words.join(' ')}`));
  const has = (long: string): boolean => options.some((o) => o.long === long);
  const last = (long: string): string | undefined => options.findLast((o) => o.long === long)?.value;

  let what: KeepalivedOptions['do'] = 'run';
  if (has('config-test')) what = 'test';
  if (has('signum')) {
    const name = last('signum') as string;
    if (!Object.hasOwn(SIGNALS, name)) {
      const known = Object.keys(SIGNALS).join(', ');
      return err(text(`unknown signal function ${name}; known: ${known}`, `未知的信号功能 ${name}；可用：${known}`));
    }
    what = { signum: SIGNALS[name as keyof typeof SIGNALS] };
  }
  if (has('version')) what = 'version';
  if (has('help')) what = 'help';
  if (has('genhash')) return err(text('genhash is not part of this program', '本程序不包含 genhash'));

  let facility: number | undefined = DAEMON;
  if (has('log-facility')) {
    facility = facilityOf(last('log-facility') as string);
    if (facility === undefined)
      return err(text(`unknown log facility ${last('log-facility')}`, `未知的日志设施 ${last('log-facility')}`));
  }
  const mask = last('umask');
  if (mask !== undefined && !/^(0[0-7]{1,4}|[1-9][0-9]{0,3}|0x[0-9a-fA-F]{1,3}|0)$/.test(mask))
    return err(text(`${mask} is not a file mask such as 022`, `${mask} 不是文件掩码（例如 022）`));
  const plane = PLANES.find((p) => p === (last('lb-plane') ?? 'auto'));
  if (plane === undefined)
    return err(
      text(
        `unknown plane ${last('lb-plane')}; known: ${PLANES.join(', ')}`,
        `未知的数据面 ${last('lb-plane')}；可用：${PLANES.join('、')}`,
      ),
    );
  const header = HEADERS.find((h) => h === (last('lb-proxy-protocol') ?? 'none'));
  if (header === undefined)
    return err(
      text(
        `unknown PROXY protocol ${last('lb-proxy-protocol')}; known: v1, v2`,
        `未知的 PROXY 协议 ${last('lb-proxy-protocol')}；可用：v1、v2`,
      ),
    );
  const peer = peerOf(last('lb-peer'), last('lb-peer-key'), has('lb-peer-trusted'));
  if (!peer.ok) return peer;
  const only = has('vrrp') === has('check') ? 'all' : has('vrrp') ? 'vrrp' : 'checkers';
  return ok({
    do: what,
    file: last('use-file') ?? '/etc/keepalived/keepalived.conf',
    format: 'keepalived',
    only,
    bfd: !has('no_bfd'),
    always: has('all'),
    console: has('log-console'),
    detail: has('log-detail'),
    facility: has('no-syslog') ? undefined : facility,
    logFile: last('log-file'),
    umask: mask === undefined ? undefined : Number(/^0[0-7]/.test(mask) ? `0o${mask.slice(1)}` : mask),
    keepAddresses: has('dont-release-vrrp'),
    keepServers: has('dont-release-ipvs'),
    plane: plane === 'auto' ? undefined : plane,
    proxyHeader: header,
    peer: peer.value,
    respawn: !has('dont-respawn'),
    foreground: has('dont-fork'),
    dumpConfig: has('dump-conf'),
    pidFile: last('pid'),
    vrrpPidFile: last('vrrp_pid'),
    checkersPidFile: last('checkers_pid'),
    addressMonitoring: has('address-monitoring'),
    namespace: last('namespace'),
    configId: last('config-id'),
    testOutput: last('config-test'),
    lenient: has('lenient'),
    language: last('lang'),
  });
}

/** One line for each option, in the order of the table. */
export function helpText(language: keyof Text): string {
  const lines = OPTIONS.map((o) => {
    const long = `--${o.long}${o.argument ? (o.value === 'optional' ? `[=${o.argument}]` : `=${o.argument}`) : ''}`;
    return `  ${o.short ? `-${o.short}, ` : '    '}${long.padEnd(28)} ${o.help[language]}`;
  });
  const usage = text('Usage: holdfast keepalived [OPTION...]', '用法：holdfast keepalived [选项...]');
  return `${usage[language]}\n\n${lines.join('\n')}\n`;
}
