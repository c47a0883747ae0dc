/**
 * HTTP_GET and SSL_GET: one request, and an answer whose status, digest and text are looked at. HTTP/1.0 and 1.1
 * (RFC 9112) here, byte by byte; HTTP/2 by the host's library. Redirects are not followed. The digest is the MD5 of
 * the body, without the framing of chunks.
 */
import { createHash, type Hash } from 'node:crypto';
import { familyOf, type IpAddress, text } from '../../base/index.ts';
import type { Http2Request } from '../../host/index.ts';
import type { UrlCheck } from '../config.ts';
import { bytesOf, latin1, lineOf, quoted } from './bytes.ts';
import { type Conversation, end, type Finding, fail, type Move, pass, type Stage, WAIT } from './conversation.ts';
import { tooSlow } from './mismatch.ts';
import type { Pattern } from './regex.ts';

export type HttpQuestion = {
  readonly url: UrlCheck;
  readonly protocol: '1.0' | '1.0C' | '1.1';
  readonly tls: boolean;
  readonly address: IpAddress;
  readonly port: number;
  /** Compiled from the url's regex. */
  readonly pattern: Pattern | undefined;
};

const LONGEST_HEAD = 65536;
/** Of a body that a pattern is tried on. */
const LONGEST_TEXT = 1 << 20;
const USER_AGENT = 'KeepAliveClient';

/** A virtual host as it was written; else the address, with the port where it is not the scheme's own. */
export function hostOf(q: Pick<HttpQuestion, 'url' | 'tls' | 'address' | 'port'>): string {
  if (q.url.virtualHost !== undefined) return q.url.virtualHost;
  const address = familyOf(q.address) === 6 ? `[${q.address}]` : q.address;
  return q.port === (q.tls ? 443 : 80) ? address : `${address}:${q.port}`;
}

function requestOf(q: HttpQuestion): Uint8Array {
  const lines = [
    `${q.url.method ?? 'GET'} ${q.url.path} HTTP/${q.protocol === '1.1' ? '1.1' : '1.0'}`,
    `User-Agent: ${USER_AGENT}`,
    ...(q.protocol === '1.0' ? [] : ['Connection: close']),
    `Host: ${hostOf(q)}`,
  ];
  return bytesOf(`${lines.join('\r\n')}\r\n\r\n`);
}

export const http2Request = (q: Omit<HttpQuestion, 'protocol' | 'pattern'>): Http2Request => ({
  headers: {
    ':method': q.url.method ?? 'GET',
    ':scheme': q.tls ? 'https' : 'http',
    ':path': q.url.path,
    ':authority': hostOf(q),
    'user-agent': USER_AGENT,
  },
});

const rangesOf = (url: UrlCheck): string =>
  url.statusCodes.map((r) => (r.from === r.to ? String(r.from) : `${r.from}-${r.to}`)).join(' ');
function wrongStatus(url: UrlCheck, status: number): Finding | undefined {
  if (url.statusCodes.some((r) => status >= r.from && status <= r.to)) return undefined;
  const wanted = rangesOf(url);
  return fail(
    'status',
    text(`${url.path}: status ${status} instead of ${wanted}`, `${url.path}：状态码 ${status}，应为 ${wanted}`),
  );
}

/** What came of a body so far. Values, not a stream: a stage may be asked again from an earlier point. */
export class Body {
  readonly #url: UrlCheck;
  readonly #pattern: Pattern | undefined;
  readonly #hash: Hash | undefined;
  readonly #text: string;
  readonly length: number;

  constructor(url: UrlCheck, pattern: Pattern | undefined, hash?: Hash, soFar = '', length = 0) {
    this.#url = url;
    this.#pattern = pattern;
    this.#hash = hash;
    this.#text = soFar;
    this.length = length;
  }
  with(bytes: Uint8Array): Body {
    if (bytes.length === 0) return this;
    const length = this.length + bytes.length;
    if (this.#url.digest === undefined && !this.#pattern) return new Body(this.#url, undefined, undefined, '', length);
    const hash = this.#hash?.copy() ?? createHash('md5');
    const room = this.#pattern ? Math.max(0, LONGEST_TEXT - this.#text.length) : 0;
    return new Body(this.#url, this.#pattern, hash.update(bytes), this.#text + latin1(bytes.subarray(0, room)), length);
  }
  /** The verdict once all of it is there. */
  judge(status: number): Finding {
    const { path, digest, regex } = this.#url;
    const wrong = wrongStatus(this.#url, status);
    if (wrong) return wrong;
    if (digest !== undefined) {
      const have = (this.#hash?.copy() ?? createHash('md5')).digest('hex');
      if (have !== digest)
        return fail(
          'digest',
          text(`${path}: digest ${have} instead of ${digest}`, `${path}：摘要 ${have}，应为 ${digest}`),
        );
    }
    if (this.#pattern && regex) {
      const matches = this.#pattern.test(this.#text);
      if (matches === undefined) return tooSlow;
      if (matches === regex.mustNotMatch)
        return fail(
          'no-match',
          matches
            ? text(`${path}: the body matches what it must not`, `${path}：正文与不应匹配的模式匹配`)
            : text(`${path}: the body does not match the pattern`, `${path}：正文与模式不匹配`),
        );
    }
    return pass('answered', text(`${path}: answered ${status}`, `${path}：应答 ${status}`));
  }
}

type Head = { readonly status: number; readonly chunked: boolean; readonly length: number | undefined };
/** The head and how many bytes it took; undefined while it is not complete. */
function headOf(have: Uint8Array): { readonly head: Head | Finding; readonly next: number } | undefined {
  const first = lineOf(have);
  if (!first) return undefined;
  const m = /^HTTP\/(\d)\.(\d) +(\d{3})(?: |$)/.exec(first.line);
  if (!m) {
    const words = quoted(first.line);
    const finding = fail('protocol', text(`${words} is no answer of HTTP`, `${words} 不是 HTTP 应答`));
    return { head: finding, next: first.next };
  }
  let chunked = false;
  let length: number | undefined;
  for (let at = first.next; ; ) {
    const l = lineOf(have, at);
    if (!l) return undefined;
    at = l.next;
    if (l.line === '') return { head: { status: Number(m[3]), chunked, length }, next: at };
    const colon = l.line.indexOf(':');
    const name = l.line.slice(0, Math.max(0, colon)).toLowerCase();
    const value = l.line.slice(colon + 1).trim();
    if (name === 'transfer-encoding') chunked = /(^|[ ,])chunked$/i.test(value);
    if (name === 'content-length' && /^\d{1,15}$/.test(value)) length = Number(value);
  }
}

export function httpConversation(q: HttpQuestion): Conversation {
  const empty = new Body(q.url, q.pattern);

  const head: Stage = (have, ended) => {
    const h = headOf(have);
    if (!h) {
      if (have.length > LONGEST_HEAD) return end(fail('too-long', text('an endless header', '首部过长')));
      if (ended && have.length === 0)
        return end(
          fail('no-answer', text('the server closed the connection without an answer', '服务器未应答即关闭连接')),
        );
      return WAIT;
    }
    if ('passed' in h.head) return end(h.head);
    const { status, chunked, length } = h.head;
    if (status >= 100 && status < 200) return { do: 'next', used: h.next, stage: head };
    const wrong = wrongStatus(q.url, status);
    if (wrong) return end(wrong);
    const bodiless = q.url.method === 'HEAD' || status === 204 || status === 304;
    const stage = bodiless
      ? sized(status, empty, 0)
      : chunked
        ? chunk(status, empty)
        : length === undefined
          ? untilEnd(status, empty)
          : sized(status, empty, length);
    return { do: 'next', used: h.next, stage };
  };
  const next = (used: number, stage: Stage): Move => ({ do: 'next', used, stage });

  const untilEnd =
    (status: number, body: Body): Stage =>
    (have, ended) => {
      if (have.length > 0) return next(have.length, untilEnd(status, body.with(have)));
      return ended ? end(body.judge(status)) : WAIT;
    };
  const sized =
    (status: number, body: Body, length: number): Stage =>
    (have) => {
      const used = Math.min(have.length, length - body.length);
      const all = body.with(have.subarray(0, used));
      if (all.length >= length) return end(all.judge(status));
      return used === 0 ? WAIT : next(used, sized(status, all, length));
    };
  const chunk =
    (status: number, body: Body): Stage =>
    (have) => {
      const l = lineOf(have);
      if (!l) return have.length > 4096 ? end(badChunk) : WAIT;
      const m = /^([\da-f]{1,8})(?:[ \t;]|$)/i.exec(l.line);
      if (!m) return end(badChunk);
      const size = Number.parseInt(m[1] as string, 16);
      // Trailers are of no interest.
      return size === 0 ? end(body.judge(status)) : next(l.next, chunkData(status, body, size));
    };
  const chunkData =
    (status: number, body: Body, left: number): Stage =>
    (have) => {
      if (left === 0) {
        const l = lineOf(have);
        if (!l) return have.length > 2 ? end(badChunk) : WAIT;
        return l.line === '' ? next(l.next, chunk(status, body)) : end(badChunk);
      }
      const used = Math.min(have.length, left);
      return used === 0 ? WAIT : next(used, chunkData(status, body.with(have.subarray(0, used)), left - used));
    };
  return { send: requestOf(q), stage: head };
}
const badChunk = fail('protocol', text('a chunk of the body is malformed', '正文分块格式错误'));
