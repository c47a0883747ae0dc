/**
 * What one attempt of a checker is: where it connects, what it says, and how the answer is judged. Pure: randomness and
 * secrets are handed in.
 */
import { familyOf, type Microseconds, type Result, type Text, text, unreachable, us } from '../../base/index.ts';
import type { Exit, Http2Request, StreamTarget, TlsSettings } from '../../host/index.ts';
import type { CheckConnection, Checker, DirectorScript, Secret, UrlCheck } from '../config.ts';
import { type Conversation, type Finding, fail, pass, unasked } from './conversation.ts';
import { dnsQuery, judgeDns } from './dns.ts';
import { ftpConversation } from './ftp.ts';
import { grpcRequest, judgeGrpc } from './grpc.ts';
import { Body, hostOf, http2Request, httpConversation } from './http.ts';
import { ldapConversation } from './ldap.ts';
import type { Schedule } from './machine.ts';
import { imapConversation, type Login, popConversation } from './mailbox.ts';
import { judgeMisc } from './misc.ts';
import { mysqlConversation } from './mysql.ts';
import { nntpConversation } from './nntp.ts';
import { echoRequest, judgeEcho } from './ping.ts';
import { postgresConversation } from './postgres.ts';
import { judgeRadius, radiusRequest } from './radius.ts';
import { compilePattern, type Pattern } from './regex.ts';
import { simpleConversation } from './simple.ts';
import { judgeSip, sipConversation, sipOptions } from './sip.ts';
import { smtpConversation } from './smtp.ts';
import { hexBytes, judgeUdp, SILENCE_IS_GOOD } from './udp.ts';

/** `timeout`: for connecting, and then for each wait. */
export type AttemptPlan =
  | { readonly by: 'connect'; readonly target: StreamTarget; readonly timeout: Microseconds }
  | {
      readonly by: 'stream';
      readonly target: StreamTarget;
      readonly tls: TlsSettings | undefined;
      readonly timeout: Microseconds;
      readonly conversation: Conversation;
    }
  | {
      readonly by: 'datagram';
      readonly target: StreamTarget;
      readonly timeout: Microseconds;
      readonly request: Uint8Array;
      /** Undefined: not the answer; wait on. */
      readonly judge: (b: Uint8Array) => Finding | undefined;
      /** What silence means; undefined: a timeout. */
      readonly silence: Finding | undefined;
    }
  | {
      readonly by: 'http2';
      readonly target: StreamTarget;
      readonly tls: TlsSettings | undefined;
      readonly timeout: Microseconds;
      readonly request: Http2Request;
      readonly judge: (a: Http2Answer) => Finding;
    }
  | {
      readonly by: 'program';
      readonly script: DirectorScript;
      readonly timeout: Microseconds;
      readonly judge: (e: Exit) => Finding;
    }
  /** The check cannot be made: a secret that cannot be read, a pattern that cannot be expressed. */
  | { readonly by: 'nothing'; readonly finding: Finding };
export type Http2Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly trailers: Readonly<Record<string, string>>;
};

export type AttemptContext = {
  /** The step of the pass: which url, which host. */
  readonly step: number;
  /** How many attempts came before. */
  readonly attempt: number;
  readonly random: (bytes: number) => Uint8Array;
  /** Undefined where it cannot be read. */
  readonly secret: (s: Secret) => string | undefined;
  /** PEM files; undefined where one cannot be read. The same object while nothing changed. */
  readonly tlsSettings: (o: Pick<TlsSettings, 'serverName' | 'protocols'>) => Result<TlsSettings, Text>;
};

/** Those that are tried at all: the others are told from outside. */
export type ActiveChecker = Exclude<Checker, { readonly kind: 'bfd' | 'file' | 'fixed' }>;

export function scheduleOf(c: ActiveChecker): Schedule {
  const { interval, retry, retryDelay, warmup } = c.timing;
  return {
    interval,
    retry,
    retryDelay,
    warmup,
    steps: c.kind === 'http' ? c.urls.length : c.kind === 'smtp' ? c.hosts.length : 1,
    stepsAtOnce: c.kind === 'smtp' ? 'always' : c.kind === 'http' && c.fastRecovery ? 'recovery' : 'never',
    startToStart: c.kind === 'misc',
    slowWhileDown: c.kind === 'http',
  };
}

const NO_PORT = fail('no-port', text('no port to connect to is known', '不知道要连接的端口'));
const impossible = (finding: Finding): AttemptPlan => ({ by: 'nothing', finding });

function targetOf(c: CheckConnection, transport: StreamTarget['transport']): StreamTarget | undefined {
  if (c.port === undefined && transport !== 'icmp') return undefined;
  return {
    transport,
    address: c.address,
    port: transport === 'icmp' ? 0 : (c.port as number),
    ...(c.bindAddress !== undefined && { source: c.bindAddress }),
    ...(c.bindPort !== undefined && transport !== 'icmp' && { sourcePort: c.bindPort }),
    ...(c.bindInterface !== undefined && { interface: c.bindInterface }),
    ...(c.fwmark !== undefined && { mark: c.fwmark }),
  };
}

const cache = new WeakMap<UrlCheck, Result<Pattern, Text>>();
function urlPattern(url: UrlCheck): Result<Pattern | undefined, Text> {
  const r = url.regex;
  if (!r) return { ok: true, value: undefined };
  let compiled = cache.get(url);
  if (!compiled) {
    compiled = compilePattern(r.pattern, r);
    cache.set(url, compiled);
  }
  return compiled;
}
const texts = new Map<string, Result<Pattern, Text>>();
function textPattern(pattern: string | undefined): Result<Pattern | undefined, Text> {
  if (pattern === undefined) return { ok: true, value: undefined };
  let compiled = texts.get(pattern);
  if (!compiled) {
    if (texts.size >= 4096) texts.clear();
    compiled = compilePattern(pattern);
    texts.set(pattern, compiled);
  }
  return compiled;
}
const badPattern = (why: Text): AttemptPlan =>
  impossible(fail('pattern', text(`the pattern is not usable: ${why.en}`, `模式不可用：${why.zh}`)));
const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');
const u32 = (b: Uint8Array): number => Buffer.from(b).readUInt32BE(0);

export function planAttempt(c: ActiveChecker, x: AttemptContext): AttemptPlan {
  if (c.kind === 'misc') {
    const { script, timeout, dynamic } = c;
    return { by: 'program', script, timeout, judge: (e) => judgeMisc(e, dynamic) };
  }
  const connection = c.kind === 'smtp' ? (c.hosts[x.step] as CheckConnection) : c.connection;
  const udp =
    c.kind === 'dns' || c.kind === 'udp' || c.kind === 'radius' || (c.kind === 'sip' && c.transport === 'udp');
  const target = targetOf(connection, c.kind === 'ping' ? 'icmp' : udp ? 'udp' : 'tcp');
  if (!target) return impossible(NO_PORT);
  const { timeout } = connection;
  const stream = (conversation: Conversation, tls?: TlsSettings): AttemptPlan => ({
    by: 'stream',
    target,
    tls,
    timeout,
    conversation,
  });
  const secured = (
    tls: boolean,
    go: (t: TlsSettings | undefined) => AttemptPlan,
    o: Pick<TlsSettings, 'serverName' | 'protocols'> = {},
  ): AttemptPlan => {
    if (!tls) return go(undefined);
    const settings = x.tlsSettings(o);
    return settings.ok ? go(settings.value) : impossible(unasked('tls-settings', settings.error));
  };
  const datagram = (
    request: Uint8Array,
    judge: (b: Uint8Array) => Finding | undefined,
    silence?: Finding,
  ): AttemptPlan => ({ by: 'datagram', target, timeout, request, judge, silence });
  /** With the word behind a secret; without one, the empty word. */
  const knowing = (s: Secret | undefined, go: (word: string) => AttemptPlan): AttemptPlan => {
    const word = s === undefined ? '' : x.secret(s);
    if (word !== undefined) return go(word);
    const file = s && 'file' in s ? s.file : '';
    return impossible(unasked('secret', text(`the secret in ${file} cannot be read`, `无法读取 ${file} 中的密钥`)));
  };
  const matching = (pattern: string | undefined, go: (p: Pattern | undefined) => AttemptPlan): AttemptPlan => {
    const p = textPattern(pattern);
    return p.ok ? go(p.value) : badPattern(p.error);
  };
  switch (c.kind) {
    case 'tcp':
      return { by: 'connect', target: { ...target, probe: true }, timeout };
    case 'alternating':
      if ((x.attempt + 1) % (c.connects + 1) !== 0)
        return { by: 'connect', target: { ...target, probe: true }, timeout };
      return planAttempt(c.full, x);
    case 'http': {
      const url = c.urls[x.step] as UrlCheck;
      const pattern = urlPattern(url);
      if (!pattern.ok) return badPattern(pattern.error);
      const serverName = c.sni ? (c.sni.name ?? url.virtualHost) : undefined;
      const question = { url, tls: c.tls, address: target.address, port: target.port, pattern: pattern.value };
      const { protocol } = c;
      const names = serverName === undefined ? {} : { serverName };
      if (protocol !== '2')
        return secured(c.tls, (tls) => stream(httpConversation({ ...question, protocol }), tls), names);
      return secured(
        c.tls,
        (tls) => ({
          by: 'http2',
          target,
          tls,
          timeout,
          request: http2Request(question),
          judge: (a) => new Body(url, pattern.value).with(a.body).judge(a.status),
        }),
        { ...names, protocols: ['h2'] },
      );
    }
    case 'grpc': {
      const authority =
        c.authority ?? hostOf({ url: { path: '', statusCodes: [], tlsCompliant: false }, tls: c.tls, ...target });
      return secured(
        c.tls,
        (tls) => ({
          by: 'http2',
          target,
          tls,
          timeout,
          request: grpcRequest(c.service, authority, c.tls),
          judge: (a) => judgeGrpc(a.status, a.headers, a.body, a.trailers),
        }),
        { protocols: ['h2'], ...(c.authority !== undefined && { serverName: c.authority }) },
      );
    }
    case 'smtp':
      return stream(smtpConversation(c.helo));
    case 'dns': {
      const id = u32(x.random(4)) >>> 16;
      return datagram(dnsQuery(id, c.type, c.name), (b) => judgeDns(id, c.expect, b));
    }
    case 'udp':
      return datagram(
        c.payload === undefined ? x.random(8) : hexBytes(c.payload),
        (b) => judgeUdp(c.reply, b),
        c.reply ? undefined : SILENCE_IS_GOOD,
      );
    case 'ping': {
      const family = familyOf(target.address);
      const id = u32(x.random(4));
      return datagram(echoRequest(family, id), (b) => judgeEcho(family, id, b));
    }
    case 'mysql':
      return knowing(c.password, (password) =>
        stream(mysqlConversation({ login: c.login, password, database: c.database, query: c.query })),
      );
    case 'postgres':
      return knowing(c.password, (password) =>
        stream(
          postgresConversation({
            login: c.login,
            password,
            database: c.database,
            query: c.query,
            nonce: hex(x.random(18)),
          }),
        ),
      );
    case 'ldap':
      return knowing(c.password, (password) =>
        matching(c.pattern, (pattern) =>
          secured(c.tls, (tls) =>
            stream(ldapConversation({ login: c.login ?? '', password, base: c.base, pattern }), tls),
          ),
        ),
      );
    case 'ftp':
      return knowing(c.password, (password) =>
        stream(
          ftpConversation({
            login: c.login ?? 'anonymous',
            password: c.password ? password : 'holdfast@localhost',
            file: c.file,
          }),
        ),
      );
    case 'imap':
    case 'pop':
      return knowing(c.password, (password) =>
        secured(c.tls, (tls) => {
          const login: Login | undefined = c.login === undefined ? undefined : { user: c.login, password };
          return stream(c.kind === 'imap' ? imapConversation(login) : popConversation(login), tls);
        }),
      );
    case 'nntp':
      return matching(c.pattern, (pattern) => stream(nntpConversation(c.request, pattern)));
    case 'sip':
      return matching(c.pattern, (pattern) => {
        const { transport, user } = c;
        const q = { transport, user, pattern, address: target.address, port: target.port, id: hex(x.random(8)) };
        return transport === 'udp' ? datagram(sipOptions(q), (b) => judgeSip(q, b)) : stream(sipConversation(q));
      });
    case 'radius':
      return knowing(c.secret, (secret) =>
        knowing(c.password, (password) => {
          const authenticator = x.random(16);
          const id = (x.random(1)[0] as number) & 255;
          const given = c.password ? password : undefined;
          const q = { login: c.login, password: given, secret, id, authenticator };
          return datagram(radiusRequest(q), (b) => judgeRadius(q, b));
        }),
      );
    case 'simple':
      return matching(c.pattern, (pattern) =>
        secured(c.tls, (tls) => stream(simpleConversation(c.request, pattern), tls)),
      );
    default:
      return unreachable(c);
  }
}

export const CONNECTED: Finding = pass('connected', text('connected', '连接成功'));
/** How long a whole conversation may take: a server that sends a byte now and then is not waited for without end. */
export const patience = (timeout: Microseconds): Microseconds => us(timeout * 10);
