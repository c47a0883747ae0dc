/** Two mirrors between two hosts, four processes: the resync of one comes after that of the other. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
const SIZE = 16 << 20;

const script = (dir: string): string => `
set -eu
ip link set lo up
cd ${dir}
export HOLDFAST_LANG=en
hf() { where=$1; shift; ${holdfast} mirror "$@" --socket=${dir}/$where.sock; }
status() { hf $1 status --json; }
start() { ${holdfast} mirror run $2 -f drbd.conf --host $1 --socket ${dir}/$1/$2.sock >> $1-$2.log 2>&1 & echo $! > $1-$2.pid; }
until_status() { for i in $(seq 400); do status $1 2>/dev/null | grep -q "$2" && return; sleep 0.2; done; echo "no $2 on $1: $(status $1)" >&2; exit 1; }
EQUAL='"connection":"Connected","disk":"UpToDate","peerDisk":"UpToDate","outOfSync":0'
mkdir alfa bravo
for host in alfa bravo; do start $host one; start $host two; done
for name in one two; do until_status alfa/$name '"connection":"Connected","disk":"Inconsistent"'; done
# What stands still goes first all the same.
hf bravo/one pause-sync one
hf alfa/one primary one --accept-data-loss=one
until_status bravo/one '"connection":"PausedSyncT"'
hf alfa/two primary two --accept-data-loss=two
until_status bravo/two '"connection":"PausedSyncT"'
until_status alfa/two '"connection":"PausedSyncS"'
hf bravo/two status > waiting.txt || true
hf bravo/one resume-sync one
until_status alfa/two "$EQUAL"
# Who dies goes no longer first.
hf alfa/one pause-sync one
until_status alfa/two '"dependency"'
kill -9 $(cat alfa-one.pid) $(cat bravo-one.pid)
until_status alfa/two '"paused":\\[\\]'
kill $(cat alfa-two.pid) $(cat bravo-two.pid)
`;

test('a resync stands still on both sides while the mirror that it comes after resyncs, and goes on by itself', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-after-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const on = (host: string, name: string, port: number, minor: number): string =>
    `on ${host} { device /dev/drbd${minor}; disk ${dir}/${host}-${name}.img; meta-disk internal; address 127.0.0.${host === 'alfa' ? 1 : 2}:${port}; }`;
  const resource = (name: string, minor: number, disk: string): string =>
    `resource ${name} { disk { ${disk} } ${on('alfa', name, 7788 + minor, minor)} ${on('bravo', name, 7788 + minor, minor)} }\n`;
  writeFileSync(
    join(dir, 'drbd.conf'),
    `common { net { timeout 50; connect-int 5; ping-timeout 60; } disk { c-plan-ahead 0; resync-rate 4M; } }
${resource('one', 0, '')}${resource('two', 1, 'resync-after one;')}`,
  );
  for (const host of ['alfa', 'bravo'])
    for (const name of ['one', 'two']) {
      execFileSync('truncate', ['-s', `${SIZE}`, join(dir, `${host}-${name}.img`)]);
      execFileSync(holdfast, ['mirror', 'create', name, '-f', join(dir, 'drbd.conf'), '--host', host]);
    }
  const run = spawnSync('unshare', ['-rn', '--pid', '--fork', '--kill-child', 'bash', '-c', script(dir)], {
    encoding: 'utf8',
    timeout: 240_000,
  });
  const logs = ['alfa-one', 'alfa-two', 'bravo-one', 'bravo-two'].map((n) =>
    readFileSync(join(dir, `${n}.log`), 'utf8'),
  );
  assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}\n${logs.join('\n')}`);
  assert.match(
    readFileSync(join(dir, 'waiting.txt'), 'utf8'),
    /paused: (one goes first \(resync-after\)|paused at the peer)/,
  );
});
