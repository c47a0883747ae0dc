/** Configurations of mirrors as they are on this machine: `holdfast check`, and the look-alikes that need the file alone. */
import { statSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { type Diagnostic, type IpAddress, parseIp, text } from '../base/index.ts';
import {
  type DrbdResource,
  type DrbdResult,
  describeDrbdConf,
  describeDrbdResource,
  dryRunUp,
  type HoldfastResult,
  holdfastJsonSchema,
  readDrbdConf,
  readHoldfastYaml,
  readKeepalivedConf,
} from '../config/index.ts';
import type { MirrorConfig } from '../mirror/index.ts';
import { disk } from './reader/disk.ts';

export type { DrbdResource, DrbdResult, HoldfastResult };
export { describeDrbdConf, describeDrbdResource, dryRunUp, holdfastJsonSchema };

const addresses = (): IpAddress[] =>
  Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).flatMap((a) => {
      const ip = parseIp(a.address);
      return ip.ok ? [ip.value] : [];
    }),
  );
const modeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.mode;

/** `hostName` undefined: this machine's. */
export const readDrbd = (file: string, hostName: string | undefined): DrbdResult =>
  readDrbdConf({
    file,
    files: disk,
    options: { hostName: hostName ?? hostname(), addresses: addresses(), mode: modeOf },
  });
export const readHoldfast = (file: string, hostName: string | undefined): HoldfastResult =>
  readHoldfastYaml({ file, files: disk, options: { hostName: hostName ?? hostname() } });
export const thisHost = hostname;

export type Format = 'drbd' | 'holdfast' | 'keepalived';
export type Checked = {
  readonly format: Format | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;
  /** What the file is about, for the last line. */
  readonly mirrors: number;
};
/** By what a file says, not by its name: comments and blank lines are passed over. */
export function formatOf(source: string): Format | undefined {
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

export function checkFile(file: string, hostName: string | undefined): Checked {
  const source = disk.read(file);
  const none = { sources: new Map<string, string>(), mirrors: 0 };
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
      const r = readDrbd(file, hostName);
      return { format, ...r, mirrors: r.config?.mirrors.length ?? 0 };
    }
    case 'holdfast': {
      const r = readHoldfast(file, hostName);
      return { format, ...r, mirrors: r.config?.mirrors.length ?? 0 };
    }
    case 'keepalived':
      return {
        ...none,
        format,
        ...readKeepalivedConf({ file, files: disk, options: { hostName: hostName ?? hostname() } }),
      };
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
export function mirrorsOf(file: string, hostName: string | undefined): readonly MirrorConfig[] {
  if (formatOf(disk.read(file) ?? '') === 'drbd') return readDrbd(file, hostName).config?.mirrors ?? [];
  return readHoldfast(file, hostName).config?.mirrors ?? [];
}
