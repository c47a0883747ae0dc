/** How the real servers of one virtual server are checked: ldirectord's check types and services as checkers. */
import { familyOf, type IpAddress, type Microseconds, type Place, parseIp, seconds, text } from '../../base/index.ts';
import {
  type CheckConnection,
  type Checker,
  type CheckTiming,
  type DirectorScript,
  type ProtocolChecker,
  patternProblem,
  type Secret,
} from '../../director/config.ts';
import type { Directive } from './lines.ts';
import type { Service } from './services.ts';
import type { Context, Endpoint } from './values.ts';

export type CheckType = 'connect' | 'negotiate' | 'ping' | 'external' | 'external-perl' | 'on' | 'off' | number;
/** What the lines of a virtual server say about checks, defaults filled in. */
export type CheckWords = {
  readonly type: CheckType;
  readonly service: Service;
  readonly udp: boolean;
  readonly interval: Microseconds;
  readonly checkTimeout: Microseconds;
  readonly negotiateTimeout: Microseconds;
  readonly failureCount: number;
  readonly port: number | undefined;
  readonly command: readonly [string, ...string[]];
  readonly request: string | undefined;
  readonly receive: string | undefined;
  readonly receiveAt: Place | undefined;
  readonly head: boolean;
  readonly virtualHost: string | undefined;
  readonly login: string | undefined;
  readonly password: Secret | undefined;
  readonly secret: Secret | undefined;
  readonly database: string | undefined;
  /** For what is told about the check as a whole. */
  readonly at: Directive;
  /** The first two arguments of an external check. */
  readonly virtual: readonly [string, string];
  readonly hostName: string;
};
/** A real server's own request and pattern win over the virtual server's. */
export type Overrides = {
  readonly request: string | undefined;
  readonly receive: string | undefined;
  /** Where the pattern stands. */
  readonly at: Place | undefined;
};
type Full = ProtocolChecker | Extract<Checker, { readonly kind: 'http' | 'smtp' | 'dns' }>;

const maybe = <K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } =>
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: T };

const timingOf = (w: CheckWords): CheckTiming => ({
  interval: w.interval,
  retry: w.failureCount - 1,
  retryDelay: w.interval,
  // Servers are down until they have been checked: soon, and not all in the same moment.
  warmup: seconds(1),
  alpha: true,
  logAllFailures: false,
});

/** None where something is missing, which is told once for a virtual server. */
export function checkerOf(
  w: CheckWords,
  server: Endpoint,
  port: number | undefined,
  o: Overrides,
  c: Context,
): Checker | undefined {
  const timing = timingOf(w);
  const connection = (timeout: Microseconds): CheckConnection => ({
    address: server.address,
    port: w.port ?? port,
    timeout,
  });
  const connect = (): Checker =>
    w.udp
      ? { kind: 'ping', timing, connection: connection(w.checkTimeout) }
      : { kind: 'tcp', timing, connection: connection(w.checkTimeout) };
  switch (w.type) {
    case 'on':
    case 'off':
      return { kind: 'fixed', up: w.type === 'on' };
    case 'ping':
      return { kind: 'ping', timing, connection: connection(w.checkTimeout) };
    case 'connect':
      return connect();
    case 'external':
    case 'external-perl': {
      const argv = [...w.command, ...w.virtual, server.address, String(w.port ?? port ?? 0)];
      const script: DirectorScript = { argv: argv as [string, ...string[]] };
      return { kind: 'misc', timing, script, timeout: w.checkTimeout, dynamic: false };
    }
    default: {
      if (w.service === 'none') return { kind: 'fixed', up: true };
      const full = negotiateOf(w, timing, connection(w.negotiateTimeout), o, c);
      if (!full || w.type === 'negotiate' || w.udp) return full;
      return { kind: 'alternating', timing, connection: connection(w.checkTimeout), connects: w.type, full };
    }
  }
}

function missing(c: Context, w: CheckWords, word: string): undefined {
  c.report.error(
    'ldirectord-missing',
    w.at.at,
    text(`a ${w.service} check needs ${word}`, `${w.service} 检查需要 ${word}`),
    text(`add '${word} = "..."' below this line`, `请在该行下加 '${word} = "..."'`),
  );
  return undefined;
}

function negotiateOf(
  w: CheckWords,
  timing: CheckTiming,
  connection: CheckConnection,
  o: Overrides,
  c: Context,
): Full | undefined {
  const request = o.request ?? w.request;
  const receive = o.receive ?? w.receive;
  const problem = receive === undefined ? undefined : patternProblem(receive);
  if (problem)
    c.report.error(
      'ldirectord-pattern',
      o.at ?? w.at.at,
      text(`${receive} cannot be used: ${problem.en}`, `${receive} 无法使用：${problem.zh}`),
    );
  const account = { ...maybe('login', w.login), ...maybe('password', w.password) };
  const pattern = maybe('pattern', receive === undefined || receive === '' ? undefined : receive);
  const base = { timing, connection };
  switch (w.service) {
    case 'http':
    case 'https':
    case 'http_proxy':
      return httpOf(w, base, request, receive);
    case 'smtp':
    case 'submission':
      return { kind: 'smtp', timing, hosts: [connection], helo: w.hostName };
    case 'ftp':
      if (receive !== undefined)
        c.report.warn(
          'ldirectord-changed',
          w.at.at,
          text(
            "an FTP check asks whether the file is there; what is in it is not compared with 'receive'",
            "FTP 检查只确认文件存在，不与 'receive' 比较内容",
          ),
        );
      return { kind: 'ftp', ...base, ...account, ...maybe('file', request) };
    case 'imap':
    case 'imaps':
      return { kind: 'imap', ...base, ...account, tls: w.service === 'imaps' };
    case 'pop':
    case 'pops':
      return { kind: 'pop', ...base, ...account, tls: w.service === 'pops' };
    case 'nntp':
      return { kind: 'nntp', ...base, ...maybe('request', request), ...pattern };
    case 'ldap':
    case 'ldaps':
      return { kind: 'ldap', ...base, ...account, tls: w.service === 'ldaps', ...maybe('base', request), ...pattern };
    case 'mysql':
    case 'pgsql': {
      if (w.login === undefined) return missing(c, w, 'login');
      if (w.database === undefined) return missing(c, w, 'database');
      if (request === undefined) return missing(c, w, 'request');
      const kind = w.service === 'mysql' ? 'mysql' : 'postgres';
      return { kind, ...base, ...account, database: w.database, query: request };
    }
    case 'oracle':
      c.report.error(
        'ldirectord-unsupported',
        w.at.at,
        text('Oracle is not spoken here', '不支持 Oracle 协议'),
        text("use 'checktype = external' with a script", "请用 'checktype = external' 加脚本"),
      );
      return undefined;
    case 'radius':
      if (w.secret === undefined) return missing(c, w, 'secret');
      return { kind: 'radius', ...base, login: w.login ?? '', ...maybe('password', w.password), secret: w.secret };
    case 'sip': {
      const user = w.login ?? `ldirectord@${w.hostName}`;
      return { kind: 'sip', ...base, transport: w.udp ? 'udp' : 'tcp', user, ...pattern };
    }
    case 'dns': {
      const name = request ?? '.';
      const address = parseIp(name);
      const type = address.ok
        ? 'PTR'
        : request === undefined
          ? 'SOA'
          : familyOf(connection.address) === 6
            ? 'AAAA'
            : 'A';
      return { kind: 'dns', ...base, type, name, ...maybe('expect', receive) };
    }
    case 'simpletcp':
      return { kind: 'simple', ...base, tls: false, request: (request ?? '').replaceAll('\\n', '\n'), ...pattern };
    case 'none':
      return undefined;
  }
}

function httpOf(
  w: CheckWords,
  base: { readonly timing: CheckTiming; readonly connection: CheckConnection },
  request: string | undefined,
  receive: string | undefined,
): Full {
  let { connection } = base;
  let path = request ?? '/';
  let host = w.virtualHost;
  const absolute = /^https?:\/\/(\[[^\]]+\]|[^/:]+)(?::(\d{1,5}))?(\/.*)?$/.exec(path);
  if (absolute && w.service !== 'http_proxy') {
    // A whole URL names the machine to ask; a name stays the virtual host of the real server.
    const ip = parseIp((absolute[1] as string).replace(/^\[|\]$/g, ''));
    if (ip.ok) connection = { ...connection, address: ip.value as IpAddress };
    else host ??= absolute[1];
    if (absolute[2] !== undefined) connection = { ...connection, port: Number(absolute[2]) };
    path = absolute[3] ?? '/';
  } else if (!absolute && !path.startsWith('/')) path = `/${path}`;
  const tls = w.service === 'https';
  return {
    kind: 'http',
    tls,
    timing: base.timing,
    connection,
    protocol: '1.1',
    fastRecovery: false,
    ...(tls && host !== undefined && { sni: { name: host } }),
    urls: [
      {
        path,
        ...maybe('method', w.head ? ('HEAD' as const) : undefined),
        ...maybe('virtualHost', host),
        statusCodes: [{ from: 200, to: 299 }],
        ...maybe(
          'regex',
          receive === undefined || receive === '' || w.head
            ? undefined
            : { pattern: receive, mustNotMatch: false, options: [] },
        ),
        tlsCompliant: false,
      },
    ],
  };
}
