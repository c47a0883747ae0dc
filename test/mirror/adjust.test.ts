/** Two processes, two files, one configuration that is edited while they run. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
const SIZE = 16 << 20;
const DATA = 15 << 20;

const script = (dir: string): string => `
set -eu
export HOLDFAST_LANG=en
ip link set lo up
cd ${dir}
hf() { host=$1; shift; ${holdfast} mirror "$@" --socket=${dir}/$host.sock; }
status() { hf $1 status --json; }
start() { ${holdfast} mirror run -f $1.conf --host $1 --socket ${dir}/$1.sock --nbd $1.nbd >> $1.log 2>&1 & eval $1=$!; }
until_status() { for i in $(seq 400); do status $1 2>/dev/null | grep -q "$2" && return; sleep 0.2; done; echo "no $2 on $1: $(status $1)" >&2; exit 1; }
# What it said goes to the file $1, its exit code must be $2.
says() { out=$1; want=$2; shift 2; got=0; hf "$@" > $out 2>&1 || got=$?; test $got = $want || { echo "$*: $got, not $want: $(cat $out)" >&2; exit 1; }; }
edit() { for host in "$@"; do sed -i "$expression" $host.conf; done; }
EQUAL='"connection":"Connected","disk":"UpToDate","peerDisk":"UpToDate","outOfSync":0'
start alfa; start bravo
until_status alfa '"connection":"Connected","disk":"Inconsistent"'
hf alfa primary r0 --accept-data-loss=r0
until_status alfa "$EQUAL"
# Whoever writes all along must not notice.
qemu-io -f raw "nbd+unix:///r0?socket=${dir}/alfa.nbd" -c 'write -P 1 0 64k' -c 'sleep 600000' > writer.log 2>&1 & writer=$!

says nothing.txt 0 alfa adjust r0
expression='s/ko-count 3;/ko-count 5; /; s/resync-rate 100M/resync-rate 50M/; s/protocol C/protocol B/'; edit alfa
says dry.txt 9 alfa adjust r0 --dry-run
says dry-again.txt 9 alfa adjust r0 --dry-run
says done.txt 0 alfa adjust r0
says done-again.txt 0 alfa adjust r0
until_status bravo '"protocol":"B"'
status alfa | grep -q "$EQUAL"

expression='s/ping-int 5;/ping-int ten;/'; edit alfa
says wrong.txt 2 alfa adjust r0
expression='s/ping-int ten;/ping-int 5;/; s/alfa.img/other.img/; s/ko-count 5/ko-count 6/'; edit alfa
says disk.txt 4 alfa adjust r0
expression='s/other.img/alfa.img/; s/ko-count 6/ko-count 5/'; edit alfa
says other-file.txt 2 alfa adjust r0 -f bravo.conf
says as-before.txt 0 alfa adjust r0

# Another port and another secret, here and there.
expression='s/127.0.0.2:7788/127.0.0.2:7799/; s/"Ohf7ooba"/"eeG3thai"/'; edit alfa bravo
expression='s/protocol C/protocol B/'; edit bravo
says address.txt 0 alfa adjust r0
says bravo.txt 0 bravo adjust r0
for host in alfa bravo; do hf $host connect r0 > /dev/null; done
until_status alfa "$EQUAL"
until_status bravo "$EQUAL"
kill -0 $writer
kill $writer
kill $alfa $bravo
wait $alfa $bravo
`;

test('a running mirror takes over what changed in its file, and nothing from a file that is wrong', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-adjust-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const host of ['alfa', 'bravo']) {
    const conf = join(dir, `${host}.conf`);
    writeFileSync(
      conf,
      `resource r0 {
  net { protocol C; timeout 50; connect-int 5; ping-int 5; ping-timeout 60; ko-count 3; cram-hmac-alg sha256; shared-secret "Ohf7ooba"; }
  disk { resync-rate 100M; c-plan-ahead 0; }
  on alfa { device /dev/drbd0; disk ${dir}/alfa.img; meta-disk internal; address 127.0.0.1:7788; }
  on bravo { device /dev/drbd0; disk ${dir}/bravo.img; meta-disk internal; address 127.0.0.2:7788; }
}
`,
      { mode: 0o600 },
    );
    execFileSync('truncate', ['-s', `${SIZE}`, join(dir, `${host}.img`)]);
    execFileSync(holdfast, ['mirror', 'create', 'r0', '-f', conf, '--host', host]);
  }
  const run = spawnSync('unshare', ['-rn', '--pid', '--fork', '--kill-child', 'bash', '-c', script(dir)], {
    encoding: 'utf8',
    timeout: 240_000,
  });
  const read = (name: string): string => readFileSync(join(dir, name), 'utf8');
  assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}\n${read('alfa.log')}\n${read('bravo.log')}`);

  assert.equal(read('nothing.txt'), '✓ r0: nothing has changed\n');
  const lines = [
    ' ~  r0    protocol     C -> B                at once; a connected peer is told, and takes it over',
    ' ~  r0    ko-count     3 -> 5                at once',
    ' ~  r0/0  resync-rate  100MiB/s -> 50MiB/s   at once; a connected peer is told, and takes it over',
  ];
  assert.deepEqual(read('dry.txt').replace(/ {2,}/g, ' '), `${lines.join('\n')}\n`.replace(/ {2,}/g, ' '));
  assert.equal(read('dry-again.txt'), read('dry.txt'), 'a dry run changes nothing');
  assert.equal(read('done.txt'), `${read('dry.txt')}✓ r0: taken over\n`);
  assert.equal(read('done-again.txt'), '✓ r0: nothing has changed\n');
  assert.match(read('wrong.txt'), /alfa\.conf:2:.*error: [^\n]*ping-int/);
  assert.match(read('wrong.txt'), /alfa\.conf is wrong: nothing was changed/);
  assert.match(read('disk.txt'), /disk .*other\.img {2}a running mirror keeps its disk: holdfast mirror down r0/);
  assert.equal(read('as-before.txt'), '✓ r0: nothing has changed\n', 'what was refused changed nothing');
  assert.match(read('other-file.txt'), /was started from .*alfa\.conf/);
  assert.match(read('address.txt'), /shared-secret +\*{8} -> \*{8} +the connection is made anew/);
  assert.match(read('address.txt'), /address of bravo +127\.0\.0\.2:7788 -> 127\.0\.0\.2:7799/);
  assert.doesNotMatch(`${read('address.txt')}${read('bravo.txt')}${read('alfa.log')}`, /Ohf7ooba|eeG3thai/);
  const [a, b] = ['alfa', 'bravo'].map((h) => readFileSync(join(dir, `${h}.img`)).subarray(0, DATA));
  assert.ok(a && b && a.equals(b) && a[0] === 1);
});
