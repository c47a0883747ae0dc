import assert from 'node:assert/strict';
import { test } from 'node:test';
import { us } from '../../base/index.ts';
import type { KeepalivedConfig } from '../../config/keepalived/index.ts';
import { type Checker, exampleDirector, exampleServer, exampleService, exampleTiming } from '../../director/index.ts';
import { exampleConfig } from '../../vrrp/index.ts';
import { type Accounts, credentialsOf } from './accounts.ts';
import { scriptDiagnostics, withoutScripts } from './check.ts';
import { type PathFacts, type PathReader, scriptFinding } from './security.ts';

type Entry = Partial<PathFacts> & { readonly to?: string };
function tree(entries: Readonly<Record<string, Entry>>): PathReader {
  return {
    facts: (path) => {
      const e = entries[path];
      return (
        e && { uid: 0, gid: 0, mode: 0o755, kind: e.to ? 'link' : path.includes('.sh') ? 'file' : 'directory', ...e }
      );
    },
    link: (path) => entries[path]?.to ?? '',
  };
}
const finding = (path: string, entries: Readonly<Record<string, Entry>>, secure = true): string => {
  const f = scriptFinding(path, tree({ '/': {}, ...entries }), secure);
  return f ? `${f.kind} ${f.path}` : 'fine';
};

test('a script is safe when every part of its path belongs to root and only root may write it', () => {
  assert.equal(finding('/etc/a.sh', { '/etc': {}, '/etc/a.sh': {} }), 'fine');
  assert.equal(finding('/etc/a.sh', { '/etc': {}, '/etc/a.sh': { uid: 5 } }), 'insecure /etc/a.sh');
  assert.equal(finding('/tmp/a.sh', { '/tmp': { mode: 0o1777 }, '/tmp/a.sh': {} }), 'insecure /tmp');
  assert.equal(finding('/etc/a.sh', { '/etc': { mode: 0o775, gid: 50 }, '/etc/a.sh': {} }), 'insecure /etc');
  assert.equal(finding('/etc/a.sh', { '/etc': { mode: 0o775 }, '/etc/a.sh': {} }), 'fine', 'group root is root');
  assert.equal(finding('/tmp/a.sh', { '/tmp': { mode: 0o1777 }, '/tmp/a.sh': {} }, false), 'fine', 'not asked for');
});
test('links are followed, and what they lead through is checked too', () => {
  const entries = {
    '/etc': {},
    '/etc/l.sh': { to: '../opt/x/a.sh' },
    '/opt': {},
    '/opt/x': { uid: 9 },
    '/opt/x/a.sh': {},
  };
  assert.equal(finding('/etc/l.sh', entries), 'insecure /opt/x');
  assert.equal(finding('/etc/m.sh', { '/etc': {}, '/etc/m.sh': { to: '/etc/m.sh' } }), 'missing /etc/m.sh');
});
test('what is missing or not executable is said with the part of the path', () => {
  assert.equal(finding('/no/a.sh', {}), 'missing /no');
  assert.equal(finding('/etc/a.sh', { '/etc': {}, '/etc/a.sh': { mode: 0o644 } }), 'not-executable /etc/a.sh');
  assert.equal(finding('/etc', { '/etc': {} }), 'not-executable /etc');
});

const accounts = (names: readonly string[]): Accounts => ({
  user: (name) => (names.includes(name) ? { uid: 100 + names.indexOf(name), gid: 200, name } : undefined),
  group: (name) => (name === 'staff' ? 50 : undefined),
  groupsOf: () => [7, 8],
});
test('a script runs as its own user, else script_user, else keepalived_script, else root', () => {
  const uid = (
    script: { user?: string; group?: string },
    fallback: { user: string } | undefined,
    names: string[],
  ): unknown => {
    const r = credentialsOf(accounts(names), script, fallback, false);
    return r.ok ? r.value.uid : r.error.en;
  };
  const all = ['root', 'keepalived_script', 'a', 'b'];
  assert.equal(uid({ user: 'b' }, { user: 'a' }, all), 103);
  assert.equal(uid({}, { user: 'a' }, all), 102);
  assert.equal(uid({}, undefined, all), 101);
  assert.equal(uid({}, undefined, ['root']), 100);
  assert.equal(uid({ user: 'x' }, undefined, all), 'there is no user x');
});
test('groups: the named one, and the supplementary ones only when asked for', () => {
  assert.deepEqual(credentialsOf(accounts(['a']), { user: 'a', group: 'staff' }, undefined, true), {
    ok: true,
    value: { uid: 100, gid: 50, groups: [7, 8] },
  });
  assert.equal(credentialsOf(accounts(['a']), { user: 'a', group: 'none' }, undefined, false).ok, false);
});
test('scripts of virtual servers are held to the same rules, and the lenient go on without the bad ones', () => {
  const bad: [string, ...string[]] = ['/tmp/bad.sh'];
  const misc: Checker = {
    kind: 'misc',
    timing: exampleTiming(),
    script: { argv: bad },
    timeout: us(1),
    dynamic: false,
  };
  const server = { ...exampleServer('10.0.0.1', { checkers: [misc] }), notifyUp: { argv: bad } };
  const director = exampleDirector([exampleService([server], { quorumDown: { argv: bad } })]);
  const c = {
    global: {},
    vrrp: { ...exampleConfig([]), scriptSecurity: true },
    director,
    bfd: [],
  } as unknown as KeepalivedConfig;
  const reader = tree({ '/': {}, '/tmp': { mode: 0o1777 }, '/tmp/bad.sh': {} });
  // The account has uid 100 here: only a script that would run as root must be out of others' reach.
  const root: Accounts = { ...accounts(['root']), user: (name) => ({ uid: 0, gid: 0, name }) };
  const found = scriptDiagnostics(c, root, reader, false);
  assert.deepEqual(
    found.map((d) => [d.severity, d.code, d.message.en.replace(/:.*/, '')]),
    ['quorum_down', 'real_server 10.0.0.1, notify_up', 'real_server 10.0.0.1, misc_path'].map((of) => [
      'error',
      'script-insecure',
      of,
    ]),
  );
  const [service] = withoutScripts(c, (x) => x.argv[0] === '/tmp/bad.sh').director.virtualServers;
  assert.equal(service?.quorumDown, undefined);
  assert.deepEqual([service?.realServers[0]?.notifyUp, service?.realServers[0]?.checkers], [undefined, []]);
});
