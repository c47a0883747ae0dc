/** The command line of `holdfast export`. */
import { isIP } from 'node:net';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { err, ok, parseIp, type Result, type Text, text, verbatim } from '../../base/index.ts';
import type { TlsMode } from '../../exports/index.ts';
import type { StreamAddress, TlsFiles } from '../../host/index.ts';
import { NBD_PORT } from '../../wire/index.ts';

export type ExportedFile = { readonly name: string; readonly path: string };
export type ExportCommand = {
  readonly files: readonly ExportedFile[];
  readonly description: string;
  readonly listen: readonly StreamAddress[];
  readonly readOnly: boolean;
  readonly list: boolean;
  readonly tls: { readonly mode: TlsMode; readonly files: TlsFiles | undefined };
  readonly clients: readonly string[] | undefined;
  readonly direct: 'auto' | 'yes' | 'no';
  readonly engine: 'auto' | 'io_uring' | 'fs';
  readonly verbose: boolean;
};

export const exportHelp: Text = text(
  `Usage: holdfast export [NAME=]FILE... [OPTION...]
Offers files and block devices over NBD until it is told to end.

  --name NAME            of a single FILE; otherwise the file's own name
  --description TEXT
  --socket PATH          a unix socket, mode 0600; may be given again
  --listen ADDRESS:PORT  TCP; 127.0.0.1:${NBD_PORT} unless a socket or address is given
  --read-only
  --no-list              clients must know the names
  --tls none|selective|forced
                         forced with --tls-certificate, none without
  --tls-certificate PEM  --tls-key PEM
  --tls-clients PEM      who signs clients' certificates; others are refused
  --allow NAME           only clients whose certificate bears this common name; may be given again
  --direct auto|yes|no   past the page cache: auto does so where the file system allows it
  --engine auto|io_uring|fs
  --verbose              tell of every client
SIGHUP looks at the sizes again; SIGTERM and SIGINT end it when what is in flight is answered.`,
  `用法：holdfast export [NAME=]FILE... [选项...]
通过 NBD 导出文件与块设备，直至被要求结束。

  --name NAME            单个 FILE 的名称；默认取文件名
  --description TEXT     描述
  --socket PATH          unix 套接字，权限 0600；可重复
  --listen ADDRESS:PORT  TCP；未给出套接字或地址时为 127.0.0.1:${NBD_PORT}
  --read-only            只读
  --no-list              不列出名称
  --tls none|selective|forced
                         给出 --tls-certificate 时默认为 forced，否则为 none
  --tls-certificate PEM  --tls-key PEM
  --tls-clients PEM      客户端证书的签发者；其他客户端被拒绝
  --allow NAME           仅允许证书通用名为该值的客户端；可重复
  --direct auto|yes|no   绕过页缓存：auto 在文件系统允许时启用
  --engine auto|io_uring|fs
  --verbose              报告每个客户端
SIGHUP 重新查看大小；SIGTERM 与 SIGINT 在处理完在途请求后结束。`,
);

const choice = <T extends string>(value: string | undefined, among: readonly T[], fallback: T): T | undefined =>
  value === undefined ? fallback : among.find((x) => x === value);

/** Undefined: help was asked for. */
export function parseExportCommand(argv: readonly string[]): Result<ExportCommand | undefined, Text> {
  const parsed = words(argv);
  if (!parsed.ok) return parsed;
  const { values: v, positionals } = parsed.value;
  if (v.help) return ok(undefined);
  if (positionals.length === 0) return err(text('no file is named', '未给出文件'));
  if (v.name !== undefined && positionals.length > 1)
    return err(text('--name is for a single file; write NAME=FILE', '--name 仅用于单个文件；请写 NAME=FILE'));
  const files = positionals.map((p) => exported(p, v.name));
  const twice = files.find((f, i) => files.findIndex((g) => g.name === f.name) !== i);
  if (twice) return err(text(`the name ${twice.name} is given twice`, `名称 ${twice.name} 重复`));
  const listen: StreamAddress[] = (v.socket ?? []).map((path) => ({ kind: 'unix', path }));
  for (const a of v.listen ?? (listen.length > 0 ? [] : [`127.0.0.1:${NBD_PORT}`])) {
    const address = parseAddress(a);
    if (!address) return err(text(`${a} is no ADDRESS:PORT`, `${a} 不是 ADDRESS:PORT`));
    listen.push(address);
  }
  const direct = choice(v.direct, ['auto', 'yes', 'no'] as const, 'auto');
  const engine = choice(v.engine, ['auto', 'io_uring', 'fs'] as const, 'auto');
  if (direct === undefined) return err(text('--direct is auto, yes or no', '--direct 应为 auto、yes 或 no'));
  if (engine === undefined) return err(text('--engine is auto, io_uring or fs', '--engine 应为 auto、io_uring 或 fs'));
  const tls = tlsOf(v);
  if (!tls.ok) return tls;
  return ok({
    files,
    description: v.description ?? '',
    listen,
    readOnly: v['read-only'] ?? false,
    list: !v['no-list'],
    tls: tls.value,
    clients: v.allow,
    direct,
    engine,
    verbose: v.verbose ?? false,
  });
}

type Values = NonNullable<ReturnType<typeof words> & { ok: true }>['value']['values'];
function words(argv: readonly string[]) {
  try {
    return ok(
      parseArgs({
        args: [...argv],
        allowPositionals: true,
        options: {
          name: { type: 'string' },
          description: { type: 'string' },
          socket: { type: 'string', multiple: true },
          listen: { type: 'string', multiple: true },
          'read-only': { type: 'boolean' },
          'no-list': { type: 'boolean' },
          tls: { type: 'string' },
          'tls-certificate': { type: 'string' },
          'tls-key': { type: 'string' },
          'tls-clients': { type: 'string' },
          allow: { type: 'string', multiple: true },
          direct: { type: 'string' },
          engine: { type: 'string' },
          verbose: { type: 'boolean' },
          lang: { type: 'string' },
          help: { type: 'boolean' },
        },
      }),
    );
  } catch (e) {
    return err(verbatim(e instanceof Error ? e.message : String(e)));
  }
}

/** `NAME=PATH`, unless a path of that whole name was meant: one that begins with / or . is never split. */
function exported(word: string, name: string | undefined): ExportedFile {
  const at = word.indexOf('=');
  if (at > 0 && !/^[/.]/.test(word)) return { name: word.slice(0, at), path: word.slice(at + 1) };
  return { name: name ?? basename(word), path: word };
}

export function parseAddress(s: string): StreamAddress | undefined {
  const at = s.lastIndexOf(':');
  const host = s.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const port = s.slice(at + 1);
  if (at < 0 || isIP(host) === 0 || !/^\d{1,5}$/.test(port) || Number(port) > 65535) return undefined;
  const ip = parseIp(host);
  return ip.ok ? { kind: 'tcp', address: ip.value, port: Number(port) } : undefined;
}

function tlsOf(v: Values): Result<ExportCommand['tls'], Text> {
  const certificate = v['tls-certificate'];
  const key = v['tls-key'];
  const mode = choice(v.tls, ['none', 'selective', 'forced'] as const, certificate === undefined ? 'none' : 'forced');
  if (mode === undefined)
    return err(text('--tls is none, selective or forced', '--tls 应为 none、selective 或 forced'));
  if (mode !== 'none' && (certificate === undefined || key === undefined))
    return err(text('TLS needs --tls-certificate and --tls-key', 'TLS 需要 --tls-certificate 与 --tls-key'));
  if (v.allow !== undefined && (mode === 'none' || v['tls-clients'] === undefined))
    return err(
      text(
        '--allow needs TLS and --tls-clients: names come from certificates',
        '--allow 需要 TLS 与 --tls-clients：名称来自证书',
      ),
    );
  if (certificate === undefined || key === undefined) return ok({ mode, files: undefined });
  return ok({ mode, files: { certificate, key, clientAuthority: v['tls-clients'] } });
}
