/** A database on a mirror: its host loses power under load, the other is promoted, and what was committed is there. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorPair, PairHost, Program } from '../../src/lab/index.ts';
import { begin, good, inSync, MIB, noDevices, startPair, until } from '../support/mirror-pair.ts';
import { differences } from '../support/promises.ts';

const [postgres] = globSync('/usr/lib/postgresql/*/bin/postgres');
const bin = postgres === undefined ? '' : dirname(postgres);
const AS = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--'];
const DATA = '/srv/data/pg';
const ADDRESS: Readonly<Record<PairHost, string>> = { ha1: '192.168.1.11', ha2: '192.168.1.12' };
const RECORDERS = 3;
/** Of load before the cut, and commits of each recorder in it; more time where the machine is slow. */
const LOAD_MS = 6000;
const LEAST_COMMITS = 4;
const READY_MS = 90_000;

/** fsync is on, as in every real database. */
async function startDatabase(pair: MirrorPair, h: PairHost): Promise<void> {
  const settings = [`listen_addresses=${ADDRESS[h]}`, 'shared_buffers=16MB', 'max_wal_size=32MB', 'min_wal_size=8MB'];
  const words = ['-D', DATA, '-k', '/tmp', ...settings.flatMap((s) => ['-c', s])];
  const server = pair.host(h).spawn([...AS, join(bin, 'postgres'), ...words], { cwd: '/tmp' });
  for (const end = performance.now() + READY_MS; ; await sleep(200)) {
    if ((await pair.run(h, [join(bin, 'pg_isready'), '-q', '-h', ADDRESS[h]])).exit.code === 0) return;
    assert.ok(server.running && performance.now() < end, `PostgreSQL on ${h}: ${server.text('stderr')}`);
  }
}
const sql = async (pair: MirrorPair, h: PairHost, query: string): Promise<string> =>
  (await good(pair.run(h, ['psql', '-h', ADDRESS[h], '-U', 'postgres', '-X', '-At', '-c', query]))).trim();

/** One transaction after the other over the network; the number of each is printed when its commit was acknowledged. */
function recorder(pair: MirrorPair, who: number): Program {
  const format = `insert into acked values (${who}, %d);\\n\\\\echo ack %d\\n`;
  const lines = `for n in $(seq 100000); do printf '${format}' $n $n; done`;
  // Line by line: what is in psql's own buffer at the cut nobody has seen.
  const psql = `stdbuf -oL psql -h ${ADDRESS.ha1} -U postgres -X -q -v ON_ERROR_STOP=1`;
  return pair.host('ha2').spawn(['sh', '-c', `${lines} | ${psql}`]);
}
const lastAck = (p: Program): number =>
  Number(/ack (\d+)$/.exec(p.lines.findLast((l) => /^ack \d+$/.test(l.text))?.text ?? '')?.[1] ?? 0);

test('a power cut under pgbench loses no committed transaction; the database goes on at the other host', {
  skip: noDevices || (postgres === undefined ? 'PostgreSQL is not installed' : false),
  timeout: 290_000,
}, async (t) => {
  const pair = await startPair(t, { size: 224 * MIB });
  await begin(pair);
  await good(pair.run('ha1', ['mkfs.ext4', '-q', '/dev/holdfast/data']));
  await good(pair.run('ha1', ['mount', '/dev/holdfast/data', '/srv/data']));
  await good(pair.run('ha1', ['install', '-d', '-o', 'postgres', '-g', 'postgres', '-m', '700', DATA]));
  const initdb = ['initdb', '-D', DATA, '-A', 'trust', '--wal-segsize=1', '--no-sync', '-E', 'UTF8', '--locale=C'];
  await good(pair.run('ha1', [...AS, join(bin, initdb[0] as string), ...initdb.slice(1)]));
  await good(pair.run('ha1', ['sh', '-c', `echo 'host all all 192.168.1.0/24 trust' >> ${DATA}/pg_hba.conf; sync`]));
  await startDatabase(pair, 'ha1');
  await sql(pair, 'ha1', 'create table acked (who int, n int, primary key (who, n))');
  const pgbench = [join(bin, 'pgbench'), '-h', ADDRESS.ha1, '-U', 'postgres', 'postgres'];
  await good(pair.run('ha2', [...pgbench, '-i', '-q', '-s', '1']));

  const load = pair.host('ha2').spawn([...pgbench, '-n', '-c', '4', '-T', '600', '-l', '--log-prefix=/run/bench']);
  const recorders = Array.from({ length: RECORDERS }, (_, i) => recorder(pair, i));
  await sleep(LOAD_MS);
  for (const end = performance.now() + 60_000; performance.now() < end; await sleep(100))
    if (recorders.every((r) => lastAck(r) >= LEAST_COMMITS)) break;
  await pair.host('ha1').powerCut();
  const promised = recorders.map(lastAck);
  assert.ok(
    promised.every((n) => n >= LEAST_COMMITS),
    `hardly anything was committed: ${promised.join(', ')}\n${recorders[0]?.text('stderr')}`,
  );
  const logged = Number(await good(pair.run('ha2', ['sh', '-c', 'cat /run/bench.* | wc -l'])));
  for (const p of [load, ...recorders]) await p.kill('SIGKILL');

  await until(pair, 'ha2', (v) => v.connection === 'WFConnection', 'alone');
  await good(pair.mirror('ha2', 'primary', 'data'));
  await good(pair.run('ha2', ['mount', '/dev/holdfast/data', '/srv/data']));
  await good(pair.run('ha2', ['rm', '-f', `${DATA}/postmaster.pid`]));
  await startDatabase(pair, 'ha2');
  for (const [who, n] of promised.entries()) {
    const there = await sql(pair, 'ha2', `select count(*) from acked where who = ${who} and n <= ${n}`);
    assert.equal(Number(there), n, `of client ${who}`);
    const after = Number(await sql(pair, 'ha2', `select count(*) from acked where who = ${who} and n > ${n}`));
    assert.ok(after <= 1, 'at most the one that was under way');
  }
  const sums = await sql(
    pair,
    'ha2',
    `select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers),
       (select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history)`,
  );
  assert.equal(new Set(sums.split('|')).size, 1, `the books balance: ${sums}`);
  const history = Number(await sql(pair, 'ha2', 'select count(*) from pgbench_history'));
  assert.ok(history >= logged, `${logged} transactions of pgbench were logged as done, ${history} are there`);
  t.diagnostic(`commits acknowledged before the cut: ${promised.join(', ')}, and ${logged} of pgbench; none was lost`);

  // It is written to on, while the old primary comes back and fetches what it missed.
  await good(
    pair.run('ha2', [join(bin, 'pgbench'), '-h', ADDRESS.ha2, '-U', 'postgres', '-n', '-t', '20', 'postgres']),
  );
  await pair.powerOn('ha1');
  await good(pair.up('ha1'));
  await until(pair, 'ha2', inSync, 'in sync again');
  await good(pair.run('ha2', [...AS, join(bin, 'pg_ctl'), '-D', DATA, '-m', 'fast', 'stop']));
  await good(pair.run('ha2', ['umount', '/srv/data']));
  const { size } = await until(pair, 'ha2', inSync, 'in sync');
  assert.equal(await differences(pair, size), '');
});
