/** Logins and queries against real database and directory servers, each only where it is installed. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Checker } from '../../src/director/index.ts';
import { loadAddon } from '../../src/host/linux/index.ts';
import { ownNetwork } from '../../src/host/linux/namespace.fixture.ts';
import { at, said, timing } from './live.ts';

const loaded = loadAddon();
assert.ok(loaded.ok, 'npm run setup builds the addon');
const addon = loaded.value;

/** A folder that this user owns and everybody may enter; gone with the test. */
function folderFor(t: TestContext, user?: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-db-'));
  chmodSync(folder, 0o755);
  if (user !== undefined) {
    const id = (o: string): number => Number(execFileSync('id', [o, user], { encoding: 'utf8' }));
    chownSync(folder, id('-u'), id('-g'));
  }
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
async function until(what: Checker): Promise<void> {
  let last = '';
  for (const end = performance.now() + 90_000; performance.now() < end; await sleep(200)) {
    last = await said(what);
    if (last.startsWith('up')) return;
  }
  assert.fail(`the server does not come up within 90 s: ${last}`);
}
const ended = (t: TestContext, p: ChildProcess): void => t.after(() => void p.kill('SIGKILL'));

test('PostgreSQL: a SCRAM login, a query, and what is refused', async (t) => {
  const [postgres] = globSync('/usr/lib/postgresql/*/bin/postgres');
  if (!postgres || process.getuid?.() !== 0) return t.skip('PostgreSQL is not installed, or this is not root');
  if (!(await ownNetwork(t, addon))) return;
  const data = folderFor(t, 'postgres');
  const as = ['--reuid=postgres', '--regid=postgres', '--clear-groups', '--pdeathsig=KILL', '--'];
  const pw = join(data, 'pw');
  writeFileSync(pw, 'pencil\n', { mode: 0o644 });
  const initdb = join(postgres, '../initdb');
  execFileSync(
    'setpriv',
    [...as, initdb, '-D', join(data, 'd'), '-U', 'admin', '--auth=scram-sha-256', `--pwfile=${pw}`, '-N'],
    {
      stdio: 'ignore',
    },
  );
  const server = spawn(
    'setpriv',
    [...as, postgres, '-D', join(data, 'd'), '-p', '5432', '-k', data, '-c', 'fsync=off'],
    {
      stdio: 'ignore',
    },
  );
  ended(t, server);
  const check = (o: object): Checker => ({ kind: 'postgres', timing, connection: at(5432), ...o });
  const login = { login: 'admin', password: { literal: 'pencil' }, database: 'postgres' };
  // With a login: without one it answers while it starts up still, and refuses logins.
  await until(check(login));
  assert.match(await said(check({})), /^up: /);
  assert.equal(await said(check({ ...login, query: 'select 1' })), 'up: the query gave a row');
  assert.equal(await said(check({ ...login, query: 'select 1 where false' })), 'down: the query gave no row');
  assert.match(
    await said(check({ ...login, query: 'select nonsense' })),
    /^down: the server says "column .*does not exist"$/,
  );
  assert.match(await said(check({ ...login, password: { literal: 'no' } })), /password authentication failed/);
});

test('MariaDB: greeting, login, a query, and what is refused', async (t) => {
  if (!existsSync('/usr/sbin/mariadbd') || process.getuid?.() !== 0)
    return t.skip('MariaDB is not installed, or this is not root');
  if (!(await ownNetwork(t, addon))) return;
  const data = folderFor(t);
  execFileSync('mariadb-install-db', [`--datadir=${data}/d`, '--user=root', '--skip-test-db'], { stdio: 'ignore' });
  writeFileSync(
    join(data, 'init'),
    "CREATE USER u@localhost IDENTIFIED BY 'secret';\nGRANT SELECT ON *.* TO u@localhost;\n",
  );
  const server = spawn(
    'setpriv',
    [
      '--pdeathsig=KILL',
      '/usr/sbin/mariadbd',
      '--no-defaults',
      `--datadir=${data}/d`,
      '--user=root',
      '--port=3306',
      '--bind-address=127.0.0.1',
      `--socket=${data}/s`,
      `--init-file=${data}/init`,
    ],
    { stdio: 'ignore' },
  );
  ended(t, server);
  const check = (o: object): Checker => ({ kind: 'mysql', timing, connection: at(3306), ...o });
  await until(check({}));
  const login = { login: 'u', password: { literal: 'secret' }, database: 'mysql' };
  assert.equal(await said(check({ ...login, query: 'select 1' })), 'up: the query gave a row');
  assert.equal(
    await said(check({ ...login, query: 'select 1 from mysql.user where 1 = 0' })),
    'down: the query gave no row',
  );
  assert.match(await said(check({ ...login, query: 'nonsense' })), /^down: query: "You have an error/);
  assert.match(await said(check({ ...login, password: { literal: 'no' } })), /^down: login: "Access denied/);
});

test('OpenLDAP: bind, an entry that is there, and one that is not', async (t) => {
  if (!existsSync('/usr/sbin/slapd')) return t.skip('OpenLDAP is not installed');
  if (!(await ownNetwork(t, addon))) return;
  const data = folderFor(t);
  mkdirSync(join(data, 'd'));
  writeFileSync(
    join(data, 'conf'),
    `include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nsuffix "dc=x"\nrootdn "cn=admin,dc=x"\nrootpw secret\ndirectory ${data}/d\n`,
  );
  writeFileSync(join(data, 'ldif'), 'dn: dc=x\nobjectClass: dcObject\nobjectClass: organization\ndc: x\no: Example\n');
  execFileSync('slapadd', ['-f', join(data, 'conf'), '-l', join(data, 'ldif')], { stdio: 'ignore' });
  const server = spawn(
    'setpriv',
    ['--pdeathsig=KILL', '/usr/sbin/slapd', '-f', join(data, 'conf'), '-h', 'ldap://127.0.0.1:389', '-d', '0'],
    {
      stdio: 'ignore',
    },
  );
  ended(t, server);
  const check = (o: object): Checker => ({
    kind: 'ldap',
    timing,
    connection: at(389),
    tls: false,
    ...o,
  });
  await until(check({}));
  assert.equal(await said(check({ base: 'dc=x', pattern: 'Example' })), 'up: the entry is there');
  assert.equal(await said(check({ base: 'dc=x', pattern: 'Other' })), 'down: no entry matches');
  assert.match(await said(check({ base: 'dc=y' })), /^down: search: result 32/);
  assert.equal(await said(check({ login: 'cn=admin,dc=x', password: { literal: 'secret' } })), 'up: bound');
  assert.match(await said(check({ login: 'cn=admin,dc=x', password: { literal: 'no' } })), /^down: bind: result 49/);
});
