/** Finds scripts that cannot or must not be run, before anything is started. */
import { lstatSync, readlinkSync } from 'node:fs';
import { type Diagnostic, text } from '../../base/index.ts';
import type { KeepalivedConfig } from '../../config/keepalived/index.ts';
import type { Script } from '../../vrrp/index.ts';
import { type Accounts, credentialsOf } from './accounts.ts';
import { type PathReader, scriptFinding } from './security.ts';

export const systemPaths: PathReader = {
  facts: (path) => {
    try {
      const s = lstatSync(path);
      const kind = s.isFile() ? 'file' : s.isDirectory() ? 'directory' : s.isSymbolicLink() ? 'link' : 'other';
      return { uid: s.uid, gid: s.gid, mode: s.mode & 0o7777, kind };
    } catch {
      return undefined;
    }
  },
  link: (path) => readlinkSync(path),
};

type Scripted = Pick<KeepalivedConfig, 'global' | 'vrrp' | 'director'>;
type Used = { readonly script: Script; readonly of: string };
/** Every script of VRRP, of the director and of the daemon. */
function scriptsOf(c: Scripted): readonly Used[] {
  const out: Used[] = [];
  const add = (script: Script | undefined, of: string): void => {
    if (script) out.push({ script, of });
  };
  add(c.global.startupScript?.script, 'startup_script');
  add(c.global.shutdownScript?.script, 'shutdown_script');
  for (const s of c.vrrp.scripts) add(s.script, `vrrp_script ${s.name}`);
  for (const f of c.vrrp.fifos) add(f.script, `notify_fifo ${f.path}`);
  for (const x of [...c.vrrp.instances, ...c.vrrp.groups])
    for (const [word, script] of Object.entries(x.notify))
      if (typeof script === 'object') add(script, `${x.name}, notify ${word}`);
  for (const f of c.director.fifos) add(f.script, `notify_fifo ${f.path}`);
  for (const v of c.director.virtualServers) {
    add(v.quorumUp, 'quorum_up');
    add(v.quorumDown, 'quorum_down');
    for (const r of v.realServers) {
      add(r.notifyUp, `real_server ${r.address}, notify_up`);
      add(r.notifyDown, `real_server ${r.address}, notify_down`);
      for (const k of r.checkers) if (k.kind === 'misc') add(k.script, `real_server ${r.address}, misc_path`);
    }
  }
  // A FIFO that VRRP and the checkers share has one script, and a script of many servers is one finding.
  const seen = new Set<string>();
  return out.filter(({ script, of }) => {
    const key = `${of} ${JSON.stringify(script)}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** Words without a slash are looked for in PATH when they run: nothing can be said about them before. */
const isPath = (program: string): boolean => program.startsWith('/');

export function scriptDiagnostics(
  c: Scripted,
  accounts: Accounts,
  reader: PathReader,
  lenient: boolean,
): readonly Diagnostic[] {
  const out: Diagnostic[] = [];
  const { scriptUser, supplementaryGroups, scriptSecurity } = c.vrrp;
  for (const { script, of } of scriptsOf(c)) {
    const who = credentialsOf(accounts, script, scriptUser, supplementaryGroups);
    if (!who.ok) {
      const message = text(`${of}: ${who.error.en}`, `${of}：${who.error.zh}`);
      out.push({ severity: lenient ? 'warning' : 'error', code: 'script-user', place: undefined, message });
      continue;
    }
    const program = script.argv[0];
    if (!isPath(program)) continue;
    const found = scriptFinding(program, reader, scriptSecurity && who.value.uid === 0);
    if (!found) continue;
    const message = text(`${of}: ${found.text.en}`, `${of}：${found.text.zh}`);
    // A script that is not there yet does no harm; one that others can exchange does.
    const severity = found.kind === 'insecure' && !lenient ? 'error' : 'warning';
    out.push({ severity, code: `script-${found.kind}`, place: undefined, message, ...hintOf(found.kind) });
  }
  return out;
}

const hintOf = (kind: string): Pick<Diagnostic, 'hint'> | Record<never, never> =>
  kind === 'insecure'
    ? {
        hint: text(
          'with enable_script_security a script that runs as root must be writable by root alone, with every folder above it',
          '启用 enable_script_security 时，以 root 运行的脚本及其所有上级目录只能由 root 写入',
        ),
      }
    : {};

/** Whether a script would run as root although `enable_script_security` is off: keepalived has an exit status for it. */
export const runsUnguarded = (c: Scripted, accounts: Accounts, reader: PathReader): boolean =>
  !c.vrrp.scriptSecurity &&
  scriptsOf(c).some(({ script }) => {
    const who = credentialsOf(accounts, script, c.vrrp.scriptUser, c.vrrp.supplementaryGroups);
    return who.ok && who.value.uid === 0 && isPath(script.argv[0]) && !scriptFinding(script.argv[0], reader, false);
  });

/** The configuration without the scripts that must not be run: what `--lenient` goes on with. */
export function withoutScripts(c: KeepalivedConfig, bad: (s: Script) => boolean): KeepalivedConfig {
  const good = <T extends object>(scripts: T): T =>
    Object.fromEntries(Object.entries(scripts).filter(([, s]) => typeof s !== 'object' || !bad(s as Script))) as T;
  return {
    ...c,
    vrrp: {
      ...c.vrrp,
      instances: c.vrrp.instances.map((i) => ({ ...i, notify: good(i.notify) })),
      groups: c.vrrp.groups.map((g) => ({ ...g, notify: good(g.notify) })),
      fifos: c.vrrp.fifos.map(({ script, ...f }) => (script === undefined || bad(script) ? f : { ...f, script })),
    },
    director: {
      ...c.director,
      fifos: c.director.fifos.map(({ script, ...f }) => (script === undefined || bad(script) ? f : { ...f, script })),
      virtualServers: c.director.virtualServers.map((v) => ({
        ...without(v, ['quorumUp', 'quorumDown'], bad),
        realServers: v.realServers.map((r) => ({
          ...without(r, ['notifyUp', 'notifyDown'], bad),
          // keepalived: a checker that cannot be run is left out.
          checkers: r.checkers.filter((k) => k.kind !== 'misc' || !bad(k.script)),
        })),
      })),
    },
  };
}

function without<T extends object>(x: T, keys: readonly (keyof T)[], bad: (s: Script) => boolean): T {
  const isBad = (key: string): boolean => {
    const script = x[key as keyof T] as Script | undefined;
    return keys.includes(key as keyof T) && script !== undefined && bad(script);
  };
  return Object.fromEntries(Object.entries(x).filter(([key]) => !isBad(key))) as T;
}
