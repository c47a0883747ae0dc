/** A keepalived.conf from the disk to what the processes are told, with everything that is wrong with it. */
import { hostname } from 'node:os';
import { type Diagnostic, type Language, renderDiagnostic, type Text, text, unreachable } from '../../base/index.ts';
import { describeKeepalivedConf, readKeepalivedConf } from '../../config/keepalived/index.ts';
import type { VirtualServer } from '../../director/index.ts';
import type { ReadAnswer, ReadRequest, RenderedDiagnostic } from '../messages.ts';
import { systemAccounts } from '../scripts/accounts.ts';
import { scriptDiagnostics, systemPaths, withoutScripts } from '../scripts/check.ts';
import { scriptFinding } from '../scripts/security.ts';
import { disk } from './disk.ts';
import { readLdirectord } from './ldirectord.ts';
import type { Reading } from './reading.ts';

export function readFile(request: ReadRequest): Reading {
  const { file, format, lenient, configId } = request;
  const options = {
    lenient,
    hostName: hostname(),
    environment: process.env,
    seed: Math.floor(Math.random() * 2 ** 32),
    ...(configId === undefined ? {} : { configId }),
  };
  const result: Reading =
    format === 'ldirectord'
      ? readLdirectord(file, options)
      : { config: undefined, ...readKeepalivedConf({ file, files: disk, options }) };
  if (result.config === undefined) return result;
  const about = scriptDiagnostics(result.config, systemAccounts, systemPaths, lenient);
  const diagnostics = [...result.diagnostics, ...about];
  if (about.some((d) => d.severity === 'error')) return { ...result, config: undefined, diagnostics };
  const secure = result.config.vrrp.scriptSecurity;
  const config =
    about.length === 0
      ? result.config
      : withoutScripts(result.config, (s) => scriptFinding(s.argv[0], systemPaths, secure) !== undefined);
  return { ...result, config, diagnostics };
}

export function render(r: Reading, language: Language): readonly string[] {
  const lines = new Map<string, readonly string[]>();
  const lineAt = (file: string, line: number): string | undefined => {
    if (!lines.has(file)) lines.set(file, r.sources.get(file)?.split('\n') ?? []);
    return lines.get(file)?.[line - 1];
  };
  return r.diagnostics.map((d) => renderDiagnostic(d, language, lineAt));
}

function serverName({ service: s }: VirtualServer): string {
  switch (s.by) {
    case 'address':
      return `${s.address}:${s.port}`;
    case 'fwmark':
      return `fwmark ${s.mark}`;
    case 'group':
      return `group ${s.group}`;
    default:
      return unreachable(s);
  }
}

export function readConfiguration(request: ReadRequest): ReadAnswer {
  const r = readFile(request);
  const [en, zh] = [render(r, 'en'), render(r, 'zh')];
  const diagnostics = r.diagnostics.map(
    (d, i): RenderedDiagnostic => ({
      severity: d.severity,
      code: d.code,
      line: oneLine(d),
      shown: { en: en[i] as string, zh: zh[i] as string },
    }),
  );
  if (r.config === undefined) return { diagnostics, config: undefined };
  const { global, vrrp, bfd, director } = r.config;
  return {
    diagnostics,
    config: {
      global,
      vrrp,
      bfd,
      director,
      description: request.describe ? withoutSecrets(describeKeepalivedConf(r.config)) : undefined,
      virtualServers: director.virtualServers.map(serverName),
      keepServers: r.keepServers ?? false,
      autoReload: r.autoReload ?? false,
      flattened: [...r.sources].map(([file, content]) => `# ${file}\n${content}`).join('\n'),
    },
  };
}

/** The description goes to logs, which more people read than the file. */
const withoutSecrets = (description: string): string =>
  description.replace(/^(\s*(?:auth_pass|password) ).*$/gm, '$1********');

/** Place, fact and way out on one line, for a log. */
function oneLine(d: Diagnostic): Text {
  const where = d.place ? `${d.place.file}:${d.place.line}:${d.place.column}: ` : '';
  const { en, zh } = d.message;
  return d.hint ? text(`${where}${en} (${d.hint.en})`, `${where}${zh}（${d.hint.zh}）`) : text(where + en, where + zh);
}
