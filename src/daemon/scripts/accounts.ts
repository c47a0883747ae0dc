/** User and group names to numbers, through the name service of the machine. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import type { Credentials } from '../../host/index.ts';

type Entry = readonly string[];
const read = (path: string): readonly Entry[] => {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((l) => l !== '' && !l.startsWith('#'))
      .map((l) => l.split(':'));
  } catch {
    return [];
  }
};
/** The local file first: it answers at once and without a program. getent knows LDAP, NIS and systemd's users too. */
function entry(database: 'passwd' | 'group', key: string): Entry | undefined {
  const local = read(`/etc/${database}`).find((e) => e[0] === key || e[2] === key);
  if (local) return local;
  try {
    const answer = execFileSync('getent', [database, key], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5000,
    });
    return answer.trim().split(':');
  } catch {
    return undefined;
  }
}

export type Accounts = {
  user(name: string): { readonly uid: number; readonly gid: number; readonly name: string } | undefined;
  group(name: string): number | undefined;
  /** Ids of the groups that list the user as a member. */
  groupsOf(user: string): readonly number[];
};
export const systemAccounts: Accounts = {
  user: (name) => {
    const e = entry('passwd', name);
    return e && { uid: Number(e[2]), gid: Number(e[3]), name: e[0] as string };
  },
  group: (name) => {
    const e = entry('group', name);
    return e && Number(e[2]);
  },
  groupsOf: (user) =>
    read('/etc/group')
      .filter((e) => (e[3] ?? '').split(',').includes(user))
      .map((e) => Number(e[2])),
};

/** The account that keepalived runs scripts as where it exists and nobody says otherwise. */
const DEFAULT_USER = 'keepalived_script';

/** Whom a script runs as: its own user, else the configuration's, else keepalived_script, else root. */
export function credentialsOf(
  accounts: Accounts,
  script: { readonly user?: string; readonly group?: string },
  fallback: { readonly user: string; readonly group?: string } | undefined,
  supplementary: boolean,
): Result<Credentials, Text> {
  const wanted = script.user === undefined ? fallback : { user: script.user, group: script.group };
  const name = wanted?.user ?? (accounts.user(DEFAULT_USER) ? DEFAULT_USER : 'root');
  const user = accounts.user(name);
  if (user === undefined) return err(text(`there is no user ${name}`, `没有用户 ${name}`));
  const gid = wanted?.group === undefined ? user.gid : accounts.group(wanted.group);
  if (gid === undefined) return err(text(`there is no group ${wanted?.group}`, `没有用户组 ${wanted?.group}`));
  const groups = supplementary ? { groups: accounts.groupsOf(user.name) } : {};
  return ok({ uid: user.uid, gid, ...groups });
}
