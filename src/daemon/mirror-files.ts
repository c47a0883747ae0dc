/** Configurations of mirrors as they are on this machine: `holdfast check`, and the look-alikes that need the file alone. */
import { statSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { type Diagnostic, type IpAddress, parseIp, text } from '../base/index.ts';
import type { DrbdResult } from '../config/drbd/index.ts';
import type { MirrorConfig } from '../mirror/index.ts';
import { disk } from './reader/disk.ts';

/** Each format's reader is loaded only where a file has that format. */
export const drbdFormat = (): Promise<typeof import('../config/drbd/index.ts')> => import('../config/drbd/index.ts');
export const holdfastFormat = (): Promise<typeof import('../config/holdfast/index.ts')> =>
  import('../config/holdfast/index.ts');
const keepalivedFormat = (): Promise<typeof import('../config/keepalived/index.ts')> =>
  import('../config/keepalived/index.ts');

const addresses = (): IpAddress[] =>
  Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).flatMap((a) => {
      const ip = parseIp(a.address);
      return ip.ok ? [ip.value] : [];
    }),
  );
const modeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.mode;

/** `hostName` undefined: this machine's. */
export async function readDrbd(file: string, hostName: string | undefined): Promise<DrbdResult> {
  const { readDrbdConf } = await drbdFormat();
  const options = { hostName: hostName ?? hostname(), addresses: addresses(), mode: modeOf };
  return readDrbdConf({ file, files: disk, options });
}
export const thisHost = hostname;

export type Format = 'drbd' | 'holdfast' | 'keepalived';
export type Checked = {
  readonly format: Format | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;
  /** This host's; none where the file has errors. */
  readonly mirrors: readonly MirrorConfig[];
};
/** By what a file says, not by its name: comments and blank lines are passed over. */
function formatOf(source: string): Format | undefined {
  for (const raw of source.split('\n')) {
    const line = raw.replace(/[#!].*/, '').trim();
    if (line === '' || line === '---') continue;
    if (/^(include\s+["']|(global|common|skip)\s*\{|resource\s+\S+\s*\{?|require-drbd)/.test(line)) return 'drbd';
    if (/^("?\w[\w-]*"?\s*:|\{)/.test(line)) return 'holdfast';
    if (/^(global_defs|vrrp_\w+|virtual_server\w*|static_\w+|bfd_instance|include\w*|\$|@)/.test(line))
      return 'keepalived';
    return undefined;
  }
  return undefined;
}

export async function checkFile(file: string, hostName: string | undefined): Promise<Checked> {
  const source = disk.read(file);
  const none = { sources: new Map<string, string>(), mirrors: [] };
  if (source === undefined) {
    const why = disk.why?.(file) ?? text('it cannot be read', '无法读取');
    const message = text(`${file}: ${why.en}`, `${file}：${why.zh}`);
    return {
      ...none,
      format: undefined,
      diagnostics: [{ severity: 'error', code: 'file-unreadable', place: undefined, message }],
    };
  }
  const format = formatOf(source);
  switch (format) {
    case 'drbd': {
      const r = await readDrbd(file, hostName);
      return { format, ...r, mirrors: r.config?.mirrors ?? [] };
    }
    case 'holdfast': {
      const { readHoldfastYaml } = await holdfastFormat();
      const r = readHoldfastYaml({ file, files: disk, options: { hostName: hostName ?? hostname() } });
      return { format, ...r, mirrors: r.config?.mirrors ?? [] };
    }
    case 'keepalived': {
      const { readKeepalivedConf } = await keepalivedFormat();
      const r = readKeepalivedConf({ file, files: disk, options: { hostName: hostName ?? hostname() } });
      return { ...none, format, ...r };
    }
    case undefined: {
      const message = text(
        `${file} is neither holdfast.yaml nor drbd.conf nor keepalived.conf`,
        `${file} 既不是 holdfast.yaml，也不是 drbd.conf 或 keepalived.conf`,
      );
      return {
        ...none,
        format,
        diagnostics: [{ severity: 'error', code: 'format-unknown', place: undefined, message }],
      };
    }
  }
}
/** What the file says of this host's mirrors; none where it has errors. */
export const mirrorsOf = async (file: string, hostName: string | undefined): Promise<readonly MirrorConfig[]> =>
  (await checkFile(file, hostName)).mirrors;
