import { type Diagnostic, type Place, text } from '../../base/index.ts';
import type { KeepalivedConfig } from './config.ts';

/** What only the host can say. */
export type HostFacts = {
  /** Names of the interfaces that exist. */
  readonly links: ReadonlySet<string>;
  /** Whether the program can be run; a name without a slash is looked for along PATH. */
  readonly executable: (program: string) => boolean;
  /** Whether the user `keepalived_script` exists: scripts that name no user then run as it. */
  readonly scriptUserExists: boolean;
};

/**
 * What a configuration asks of the host that it is to run on. Interfaces that are missing are errors, as for
 * keepalived, unless `dynamic_interfaces` is set; those that we make ourselves are not asked for. A script that cannot
 * run, or that would run as root unguarded, is a warning.
 */
export function checkAgainstHost(
  c: KeepalivedConfig,
  host: HostFacts,
  interfaces: ReadonlyMap<string, Place> = new Map(),
): Diagnostic[] {
  return [...missingInterfaces(c, host, interfaces), ...scripts(c, host)];
}

function missingInterfaces(
  { vrrp: v }: KeepalivedConfig,
  host: HostFacts,
  places: ReadonlyMap<string, Place>,
): Diagnostic[] {
  const ours = new Set(v.instances.flatMap((i) => (i.vmac ? [i.vmac.name] : [])));
  const wanted = new Set<string>();
  for (const i of v.instances) {
    if (i.interface !== undefined) wanted.add(i.interface);
    for (const t of i.tracks.interfaces) wanted.add(t.name);
    for (const l of i.links) wanted.add(l.interface);
    for (const a of [...i.addresses, ...i.excluded]) wanted.add(a.interface);
    for (const h of i.routes.flatMap((r) => r.hops)) if (h.interface !== undefined) wanted.add(h.interface);
  }
  for (const t of v.groups.flatMap((g) => g.tracks.interfaces)) wanted.add(t.name);
  for (const a of v.statics.addresses) wanted.add(a.interface);
  for (const h of v.statics.routes.flatMap((r) => r.hops)) if (h.interface !== undefined) wanted.add(h.interface);
  const known = [...host.links].filter((l) => l !== 'lo');
  return [...wanted]
    .filter((name) => !host.links.has(name) && !ours.has(name))
    .map((name) => ({
      severity: v.dynamicInterfaces === 'no' ? ('error' as const) : ('warning' as const),
      code: 'interface-missing',
      place: places.get(name),
      message: text(`this host has no interface ${name}`, `本机没有接口 ${name}`),
      hint: text(
        `it has ${known.join(', ') || 'none'}; dynamic_interfaces lets one come later`,
        `本机有 ${known.join('、') || '(无)'};dynamic_interfaces 允许接口以后出现`,
      ),
    }));
}

function scripts({ vrrp: v, director: d, global: g }: KeepalivedConfig, host: HostFacts): Diagnostic[] {
  const all = [
    ...v.scripts.map((s) => s.script),
    ...[...v.instances, ...v.groups].flatMap((i) => Object.values(i.notify).filter((s) => typeof s === 'object')),
    ...[...v.fifos, ...d.fifos].flatMap((f) => (f.script ? [f.script] : [])),
    ...[g.startupScript, g.shutdownScript].flatMap((s) => (s ? [s.script] : [])),
    ...d.virtualServers.flatMap((s) => [
      ...[s.quorumUp, s.quorumDown],
      ...s.realServers.flatMap((r) => [
        r.notifyUp,
        r.notifyDown,
        ...r.checkers.map((x) => (x.kind === 'misc' ? x.script : undefined)),
      ]),
    ]),
  ].filter((s) => s !== undefined);
  const missing = [...new Set(all.map((s) => s.argv[0]))].filter((p) => !host.executable(p));
  const out: Diagnostic[] = missing.map((p) => ({
    severity: 'warning',
    code: 'script-missing',
    place: undefined,
    message: text(`${p} is no program that can be run`, `${p} 不是可以运行的程序`),
  }));
  const asRoot = all.find(
    (s) =>
      host.executable(s.argv[0]) &&
      (s.user ?? v.scriptUser?.user ?? (host.scriptUserExists ? 'keepalived_script' : 'root')) === 'root',
  );
  if (asRoot && !v.scriptSecurity)
    out.push({
      severity: 'warning',
      code: 'script-security-off',
      place: undefined,
      message: text(
        `${asRoot.argv[0]} would run as root, and nobody checks who may change it`,
        `${asRoot.argv[0]} 将以 root 运行,而没有检查谁可以修改它`,
      ),
      hint: text('add enable_script_security, or script_user', '请加 enable_script_security,或 script_user'),
    });
  return out;
}

/**
 * The exit code of a check. Ours: 0 accepted (warnings or not), 2 refused. With `--lenient`, keepalived's own as
 * measured with 2.2.7: 0 clean, 4 cannot run, 5 complaints, 6 scripts without script security.
 */
export function checkExitCode(diagnostics: readonly Diagnostic[], lenient: boolean): 0 | 2 | 4 | 5 | 6 {
  const refused = diagnostics.some((d) => d.severity === 'error');
  if (!lenient) return refused ? 2 : 0;
  if (refused) return 4;
  const told = diagnostics.filter((d) => d.code !== 'script-missing');
  if (told.some((d) => d.code === 'script-security-off')) return 6;
  return told.length > 0 ? 5 : 0;
}
