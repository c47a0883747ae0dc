/** Volumes that are added to a mirror that runs and taken out of it, host by host, while somebody writes to another one. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
const SIZE = 16 << 20;
const DATA = 15 << 20;
const HOSTS = ['alfa', 'bravo'] as const;

const script = (dir: string): string => `
set -eu
export HOLDFAST_LANG=en
ip link set lo up
cd ${dir}
hf() { host=$1; shift; ${holdfast} mirror "$@" --socket=${dir}/$host.sock; }
status() { hf $1 status --json; }
start() { ${holdfast} mirror run -f $1.conf --host $1 --socket ${dir}/$1.sock --nbd $1.nbd >> $1.log 2>&1 & eval $1=$!; }
until_status() { for i in $(seq 400); do status $1 2>/dev/null | grep -q "$2" && return; sleep 0.2; done; echo "no $2 on $1: $(status $1)" >&2; exit 1; }
says() { out=$1; want=$2; shift 2; got=0; hf "$@" > $out 2>&1 || got=$?; test $got = $want || { echo "$*: $got, not $want: $(cat $out)" >&2; exit 1; }; }
with() { for host in "$@"; do cp $host.two $host.conf; done; }
without() { for host in "$@"; do cp $host.one $host.conf; done; }
io() { qemu-io -f raw "nbd+unix:///$1?socket=${dir}/alfa.nbd" -c "$2" -c flush > /dev/null; }
EQUAL='"connection":"Connected","disk":"UpToDate","peerDisk":"UpToDate","outOfSync":0'
start alfa; start bravo
until_status alfa '"connection":"Connected","disk":"Inconsistent"'
hf alfa primary r0 --accept-data-loss=r0
until_status alfa "$EQUAL"
# Whoever writes all along must not notice: each of its writes is on both disks, or it fails.
for i in $(seq 10000); do echo "write -P $((i % 200 + 1)) $((i % 64 * 4))k 4k"; done > commands
qemu-io -f raw "nbd+unix:///r0?socket=${dir}/alfa.nbd" < <(while cat commands 2> /dev/null; do :; done) > writer.log 2>&1 & writer=$!

with alfa
says dry.txt 9 alfa adjust r0 --dry-run
says added.txt 0 alfa adjust r0
until_status alfa '"volume":1.*"role":"Secondary".*"connection":"WFReportParams","disk":"Inconsistent"'
hf alfa primary r0 --accept-data-loss=r0
io r0.1 'write -P 0x11 1M 2M'
with bravo
says there.txt 0 bravo adjust r0
until_status alfa "$EQUAL.*$EQUAL"
until_status bravo "$EQUAL.*$EQUAL"
io r0.1 'write -P 0x22 4M 1M'

without alfa bravo
says busy.txt 4 alfa adjust r0
says gone.txt 0 bravo adjust r0
until_status alfa '"volume":1.*"connection":"WFReportParams","disk":"UpToDate","peerDisk":"DUnknown"'
io r0.1 'write -P 0x33 6M 64k'
status alfa > missed.json
# A connection that begins with a volume on one side alone.
kill $bravo; wait $bravo || true; start bravo
until_status alfa '"volume":0.*"connection":"Connected"'
with alfa bravo
says again.txt 0 bravo adjust r0
until_status alfa "$EQUAL.*$EQUAL"
kill -0 $writer
kill $writer
without alfa bravo
hf alfa secondary r0
says last.txt 0 alfa adjust r0
says last-there.txt 0 bravo adjust r0
status alfa > end.json
cp alfa.log heard.log
kill $alfa $bravo
wait $alfa $bravo
`;

test('a volume comes up on the connection that works when both hosts have it, goes from either, and nobody else notices', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-volumes-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const conf = (volumes: readonly number[]): string => {
    const on = (host: string, address: string): string =>
      `  on ${host} { address ${address}:7788; ${volumes.map((n) => `volume ${n} { device /dev/drbd${n}; disk ${dir}/${host}${n}.img; meta-disk internal; }`).join(' ')} }\n`;
    return `resource r0 {
  net { protocol C; timeout 50; connect-int 5; ping-int 5; ping-timeout 60; }
  disk { resync-rate 100M; c-plan-ahead 0; }
${on('alfa', '127.0.0.1')}${on('bravo', '127.0.0.2')}}
`;
  };
  for (const host of HOSTS) {
    writeFileSync(join(dir, `${host}.one`), conf([0]));
    writeFileSync(join(dir, `${host}.two`), conf([0, 1]));
    writeFileSync(join(dir, `${host}.conf`), conf([0]));
    for (const n of [0, 1]) execFileSync('truncate', ['-s', `${SIZE}`, join(dir, `${host}${n}.img`)]);
    execFileSync(holdfast, ['mirror', 'create', 'r0', '-f', join(dir, `${host}.two`), '--host', host]);
  }
  const run = spawnSync('unshare', ['-rn', '--pid', '--fork', '--kill-child', 'bash', '-c', script(dir)], {
    encoding: 'utf8',
    timeout: 240_000,
  });
  const read = (name: string): string => readFileSync(join(dir, name), 'utf8');
  assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}\n${read('alfa.log')}\n${read('bravo.log')}`);

  assert.match(read('dry.txt'), new RegExp(`^ ~ +r0/1 +volume +- -> ${dir}/alfa1.img +at once\n$`));
  assert.equal(read('added.txt'), `${read('dry.txt')}✓ r0: taken over\n`);
  assert.match(read('busy.txt'), /r0\/1 +volume +\S+ -> - +it is primary: holdfast mirror secondary r0 first/);
  assert.match(read('gone.txt'), /r0\/1 +volume +\S+bravo1\.img -> - +at once/);
  const [, missed] = JSON.parse(read('missed.json')).mirrors[0].volumes;
  assert.equal(missed.outOfSync, 64 << 10, 'what the peer missed is known, and nothing else is copied');
  assert.equal(JSON.parse(read('end.json')).mirrors[0].volumes.length, 1);
  assert.doesNotMatch(read('writer.log'), /failed|error/i);
  const heard = read('heard.log');
  assert.equal(heard.match(/no connection/g)?.length, 1, `only when bravo was started again: ${heard}`);
  for (const n of [0, 1]) {
    const [a, b] = HOSTS.map((h) => readFileSync(join(dir, `${h}${n}.img`)).subarray(0, DATA));
    assert.ok(a && b && a.equals(b), `volume ${n}`);
    if (n === 1) assert.deepEqual([a[1 << 20], a[4 << 20], a[6 << 20]], [0x11, 0x22, 0x33]);
  }
});
