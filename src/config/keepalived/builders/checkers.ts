import { type Microseconds, seconds, text } from '../../../base/index.ts';
import {
  type CheckConnection,
  type Checker,
  type CheckTiming,
  patternProblem,
  type UrlCheck,
  type VirtualService,
} from '../../../director/config.ts';
import type { realServer, ServerAddress } from '../grammar/director.ts';
import type { Got, ValuesOf } from '../grammar/spec.ts';
import type { Report } from '../report.ts';
import { type GlobalValues, maybe } from './values.ts';

type RealValues = ValuesOf<(typeof realServer)['words']>;
type CheckerName =
  | 'HTTP_GET'
  | 'SSL_GET'
  | 'TCP_CHECK'
  | 'SMTP_CHECK'
  | 'DNS_CHECK'
  | 'UDP_CHECK'
  | 'PING_CHECK'
  | 'MISC_CHECK';
type ValueOf<K extends keyof RealValues> = NonNullable<RealValues[K]> extends readonly Got<infer T>[] ? T : never;

export type CheckContext = {
  readonly report: Report;
  readonly bfds: ReadonlySet<string>;
  /** Names of tracked files, and where these are. */
  readonly files: ReadonlyMap<string, string>;
};
/** What a level hands down; undefined where it says nothing and the kind of checker decides. */
export type CheckDefaults = {
  readonly interval: Microseconds;
  readonly timeout: Microseconds;
  readonly retry: number | undefined;
  readonly retryDelay: Microseconds | undefined;
  readonly warmup: Microseconds | undefined;
  readonly alpha: boolean;
  readonly virtualHost: string | undefined;
  readonly logAllFailures: boolean;
};
type Level = Pick<
  RealValues,
  'delay_loop' | 'connect_timeout' | 'retry' | 'delay_before_retry' | 'warmup' | 'alpha' | 'virtualhost'
>;
/** A virtual server's, or with `above` a real server's. */
export const checkDefaults = (v: Level, g: GlobalValues, above?: CheckDefaults): CheckDefaults => ({
  interval: v.delay_loop?.value ?? above?.interval ?? seconds(60),
  timeout: v.connect_timeout?.value ?? above?.timeout ?? seconds(5),
  retry: v.retry?.value ?? above?.retry,
  retryDelay: v.delay_before_retry?.value ?? above?.retryDelay,
  warmup: v.warmup?.value ?? above?.warmup,
  alpha: v.alpha?.value ?? above?.alpha ?? false,
  virtualHost: v.virtualhost?.value ?? above?.virtualHost,
  logAllFailures: g.checker_log_all_failures?.value ?? false,
});

/** The reference's table: what each kind takes where nobody says. `interval`: as delay_loop. */
const KIND_DEFAULTS: Readonly<
  Record<CheckerName, { readonly retry: number; readonly delay: Microseconds | 'interval' }>
> = {
  HTTP_GET: { retry: 1, delay: seconds(3) },
  SSL_GET: { retry: 1, delay: seconds(3) },
  TCP_CHECK: { retry: 1, delay: seconds(1) },
  SMTP_CHECK: { retry: 1, delay: seconds(1) },
  DNS_CHECK: { retry: 3, delay: 'interval' },
  UDP_CHECK: { retry: 1, delay: seconds(1) },
  PING_CHECK: { retry: 1, delay: seconds(1) },
  MISC_CHECK: { retry: 0, delay: seconds(1) },
};

type TimingValues = ValueOf<'TCP_CHECK'>['values'];
function timingOf(
  kind: CheckerName,
  v: Pick<TimingValues, 'retry' | 'delay_before_retry' | 'warmup' | 'delay_loop' | 'alpha' | 'log_all_failures'>,
  d: CheckDefaults,
): CheckTiming {
  const interval = v.delay_loop?.value ?? d.interval;
  const usual = KIND_DEFAULTS[kind];
  return {
    interval,
    retry: v.retry?.value ?? d.retry ?? usual.retry,
    retryDelay: v.delay_before_retry?.value ?? d.retryDelay ?? (usual.delay === 'interval' ? interval : usual.delay),
    warmup: v.warmup?.value ?? d.warmup ?? interval,
    alpha: v.alpha?.value ?? d.alpha,
    logAllFailures: v.log_all_failures?.value ?? d.logAllFailures,
  };
}
type ConnectionValues = Pick<
  TimingValues,
  'connect_ip' | 'connect_port' | 'bindto' | 'bind_if' | 'bind_port' | 'connect_timeout' | 'fwmark'
>;
function connectionOf(
  v: ConnectionValues,
  d: CheckDefaults,
  server: ServerAddress,
  service: VirtualService,
): CheckConnection {
  const servicePort = service.by === 'address' && service.port !== 0 ? service.port : undefined;
  return {
    address: v.connect_ip?.value ?? server.address,
    port: v.connect_port?.value ?? server.port ?? servicePort,
    ...maybe('bindAddress', v.bindto?.value),
    ...maybe('bindInterface', v.bind_if?.value),
    ...maybe('bindPort', v.bind_port?.value),
    timeout: v.connect_timeout?.value ?? d.timeout,
    ...maybe('fwmark', v.fwmark?.value),
  };
}

/** All checkers of one real server. A checker that lacks what it needs is reported and left out. */
export function buildCheckers(
  v: RealValues,
  d: CheckDefaults,
  server: ServerAddress,
  service: VirtualService,
  c: CheckContext,
): Checker[] {
  const { report } = c;
  const out: Checker[] = [];
  const missing = (got: Got<unknown>, kind: string, word: string): void =>
    report.fault(
      'word-missing',
      got.at,
      text(`this ${kind} has no ${word}; it is left out`, `该 ${kind} 没有 ${word}，忽略`),
    );
  const connected = (kind: CheckerName, at: Got<{ readonly values: ConnectionValues }>): CheckConnection => {
    const connection = connectionOf(at.value.values, d, server, service);
    if (connection.port === undefined && kind !== 'PING_CHECK')
      report.fault(
        'check-port-missing',
        at.keyword,
        text(`this ${kind} knows no port to connect to`, `该 ${kind} 不知道要连接的端口`),
        text('add connect_port', '请加 connect_port'),
      );
    return connection;
  };
  for (const tls of [false, true])
    for (const got of v[tls ? 'SSL_GET' : 'HTTP_GET'] ?? []) {
      const kind = tls ? 'SSL_GET' : 'HTTP_GET';
      const h = got.value.values;
      if (!h.url) {
        missing(got, kind, 'url');
        continue;
      }
      const s = (tls ? (h as ValueOf<'SSL_GET'>['values']) : {}) as Partial<ValueOf<'SSL_GET'>['values']>;
      const compliant = [s.tls_compliant, ...h.url.map((u) => u.value.values.tls_compliant)].find((t) => t?.value);
      if (compliant)
        report.warn(
          'tls-compliant-unseen',
          compliant.keyword,
          text(
            'whether a server says close_notify before it closes is not seen here; its answer is judged all the same',
            '此处无法得知服务器关闭前是否发送 close_notify；应答仍照常判断',
          ),
        );
      const host = h.virtualhost?.value ?? d.virtualHost;
      out.push({
        kind: 'http',
        tls,
        timing: timingOf(kind, h, d),
        connection: connected(kind, got),
        protocol: h.http_protocol?.value ?? '1.0',
        urls: h.url.map((u) => urlOf(u, host, s.tls_compliant?.value ?? false, c)),
        fastRecovery: h.fast_recovery?.value ?? false,
        ...maybe('sni', s.enable_sni || s.sni_name ? { ...maybe('name', s.sni_name?.value) } : undefined),
      });
    }
  for (const got of v.TCP_CHECK ?? [])
    out.push({
      kind: 'tcp',
      timing: timingOf('TCP_CHECK', got.value.values, d),
      connection: connected('TCP_CHECK', got),
    });
  for (const got of v.SMTP_CHECK ?? []) {
    const hosts = got.value.values.host;
    out.push({
      kind: 'smtp',
      timing: timingOf('SMTP_CHECK', got.value.values, d),
      hosts: hosts
        ? hosts.map((h) => connectionOf({ ...got.value.values, ...h.value.values }, d, server, service))
        : [connected('SMTP_CHECK', got)],
      helo: got.value.values.helo_name?.value ?? 'smtpchecker.keepalived.org',
    });
  }
  for (const got of v.DNS_CHECK ?? [])
    out.push({
      kind: 'dns',
      timing: timingOf('DNS_CHECK', got.value.values, d),
      connection: connected('DNS_CHECK', got),
      type: got.value.values.type?.value ?? 'SOA',
      name: got.value.values.name?.value ?? '.',
    });
  for (const got of v.UDP_CHECK ?? []) {
    const u = got.value.values;
    const [least, most] = [u.min_reply_length?.value ?? 0, u.max_reply_length?.value ?? 255];
    if (least > most)
      report.fault(
        'range-invalid',
        u.min_reply_length?.at,
        text('min_reply_length is above max_reply_length', 'min_reply_length 大于 max_reply_length'),
      );
    const pattern = u.require_reply?.value;
    out.push({
      kind: 'udp',
      timing: timingOf('UDP_CHECK', u, d),
      connection: connected('UDP_CHECK', got),
      ...maybe('payload', u.payload?.value),
      ...maybe(
        'reply',
        pattern === undefined
          ? undefined
          : { minLength: least, maxLength: most, ...maybe('pattern', pattern === '' ? undefined : pattern) },
      ),
    });
  }
  for (const got of v.PING_CHECK ?? [])
    out.push({
      kind: 'ping',
      timing: timingOf('PING_CHECK', got.value.values, d),
      connection: connected('PING_CHECK', got),
    });
  for (const got of v.MISC_CHECK ?? []) {
    const m = got.value.values;
    if (!m.misc_path) {
      missing(got, 'MISC_CHECK', 'misc_path');
      continue;
    }
    const timing = timingOf('MISC_CHECK', m, d);
    out.push({
      kind: 'misc',
      timing,
      script: { ...m.misc_path.value, ...(m.user?.value ?? {}) },
      timeout: m.misc_timeout?.value ?? d.interval,
      dynamic: m.misc_dynamic !== undefined,
    });
  }
  for (const got of v.BFD_CHECK ?? []) {
    const name = got.value.values.name;
    if (!name) missing(got, 'BFD_CHECK', 'name');
    else if (!c.bfds.has(name.value))
      report.fault(
        'track-unknown',
        name.at,
        text(
          `there is no bfd_instance '${name.value}'; the check is left out`,
          `没有 bfd_instance '${name.value}'，忽略该检查`,
        ),
      );
    else out.push({ kind: 'bfd', session: name.value, alpha: got.value.values.alpha?.value ?? d.alpha });
  }
  for (const got of v.FILE_CHECK ?? []) {
    const f = got.value.values;
    if (!f.track_file) missing(got, 'FILE_CHECK', 'track_file');
    else if (!c.files.has(f.track_file.value))
      report.fault(
        'track-unknown',
        f.track_file.at,
        text(
          `there is no track_file '${f.track_file.value}'; the check is left out`,
          `没有 track_file '${f.track_file.value}'，忽略该检查`,
        ),
      );
    else
      out.push({
        kind: 'file',
        file: f.track_file.value,
        path: c.files.get(f.track_file.value) as string,
        weight: f.weight?.value ?? { value: 1, reverse: false },
      });
  }
  return out;
}

type UrlValues = NonNullable<ValueOf<'HTTP_GET'>['values']['url']>[number];
function urlOf(got: UrlValues, host: string | undefined, compliant: boolean, c: CheckContext): UrlCheck {
  const u = got.value.values;
  const pattern = u.regex?.value;
  const stray = u.regex_no_match ?? u.regex_options ?? u.regex_min_offset ?? u.regex_max_offset ?? u.regex_stack;
  if (pattern === undefined && stray)
    c.report.fault('regex-missing', stray.keyword, text('there is no regex in this url', '该 url 没有 regex'));
  const problem = pattern === undefined ? undefined : patternProblem(pattern, u.regex_options?.value ?? []);
  if (problem)
    c.report.error(
      'regex-unusable',
      u.regex?.at,
      text(`the regex cannot be used: ${problem.en}`, `regex 无法使用：${problem.zh}`),
    );
  const [least, most] = [u.regex_min_offset?.value, u.regex_max_offset?.value];
  if (least !== undefined && most !== undefined && least > most)
    c.report.fault(
      'range-invalid',
      u.regex_min_offset?.at,
      text('regex_min_offset is above regex_max_offset', 'regex_min_offset 大于 regex_max_offset'),
    );
  if (!u.path)
    c.report.warn(
      'url-path-missing',
      got.at,
      text('this url has no path: / is asked for', '该 url 没有 path，取 /'),
      text("write 'path /'; keepalived 2.2 leaves such a url out", "请写 'path /';keepalived 2.2 会忽略这样的 url"),
    );
  return {
    path: u.path?.value ?? '/',
    ...maybe('virtualHost', u.virtualhost?.value ?? host),
    statusCodes: u.status_code?.value ?? [{ from: 200, to: 299 }],
    ...maybe('digest', u.digest?.value),
    ...maybe(
      'regex',
      pattern === undefined
        ? undefined
        : {
            pattern,
            mustNotMatch: u.regex_no_match !== undefined,
            options: u.regex_options?.value ?? [],
            ...maybe('minOffset', least),
            ...maybe('maxOffset', most),
            ...maybe('stack', u.regex_stack?.value),
          },
    ),
    tlsCompliant: u.tls_compliant?.value ?? compliant,
  };
}
