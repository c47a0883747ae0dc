/** Two processes, two files: what operators do to a mirror in use. Every write carries a digest on its way. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
const MIB = 1 << 20;
const SIZE = 16 * MIB;
const GROWN = 32 * MIB;
/** Metadata of 32 MiB take less than the last one. */
const DATA = 31 * MIB;

const script = (dir: string): string => `
set -eu
ip link set lo up
cd ${dir}
hf() { host=$1; verb=$2; shift 2; ${holdfast} mirror $verb r0 --socket=${dir}/$host.sock "$@"; }
status() { ${holdfast} mirror status --json --socket=${dir}/$1.sock; }
start() { ${holdfast} mirror run -f drbd.conf --host $1 --socket ${dir}/$1.sock --nbd $1.nbd >> $1.log 2>&1 & eval $1=$!; }
until_status() { for i in $(seq 400); do status $1 2>/dev/null | grep -q "$2" && return; sleep 0.2; done; echo "no $2 on $1: $(status $1)" >&2; exit 1; }
io() { host=$1; shift; qemu-io -f raw "nbd+unix:///r0?socket=${dir}/$host.nbd" "$@"; }
EQUAL='"connection":"Connected","disk":"UpToDate","peerDisk":"UpToDate","outOfSync":0'
start alfa; start bravo
until_status alfa '"connection":"Connected","disk":"Inconsistent"'
hf alfa primary --accept-data-loss=r0
io alfa -c 'write -P 0xab 1M 3M' -c flush
until_status alfa "$EQUAL"

# Three blocks of bravo's are altered beneath it.
for block in 300 301 2000; do printf x | dd of=bravo.img bs=1 seek=$((block * 4096 + 17)) conv=notrunc 2>/dev/null; done
hf bravo verify
until_status alfa '"connection":"Connected","disk":"UpToDate","peerDisk":"UpToDate","outOfSync":12288'
until_status bravo '"connection":"Connected","disk":"UpToDate","peerDisk":"UpToDate","outOfSync":12288'
hf alfa disconnect; hf alfa connect
until_status alfa "$EQUAL"
until_status bravo "$EQUAL"

hf bravo pause-sync
until_status alfa "$EQUAL"
hf alfa invalidate-remote --accept-data-loss=r0
until_status alfa '"connection":"PausedSyncS"'
until_status bravo '"connection":"PausedSyncT","disk":"Inconsistent"'
hf bravo resume-sync
until_status alfa "$EQUAL"
until_status bravo "$EQUAL"
hf bravo invalidate --accept-data-loss=r0
until_status bravo "$EQUAL"
until_status alfa "$EQUAL"

truncate -s ${GROWN} alfa.img bravo.img
hf alfa resize
until_status alfa "$EQUAL"
until_status bravo "$EQUAL"
io alfa -c 'write -P 0x77 30M 512k' -c flush
until_status alfa "$EQUAL"
status bravo > status.json
kill $alfa $bravo
wait $alfa $bravo
start bravo
until_status bravo '"connection":"WFConnection","disk":"UpToDate"'
kill $bravo
wait $bravo
`;

test('verify finds what was altered, a new connection mends it, copies are thrown away and made again, and both disks grow', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-upkeep-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(
    join(dir, 'drbd.conf'),
    `resource r0 {
  net { protocol C; timeout 50; connect-int 5; ping-timeout 60; verify-alg crc32c; data-integrity-alg sha1; csums-alg md5; }
  disk { resync-rate 100M; c-plan-ahead 0; }
  on alfa { device /dev/drbd0; disk ${dir}/alfa.img; meta-disk internal; address 127.0.0.1:7788; }
  on bravo { device /dev/drbd0; disk ${dir}/bravo.img; meta-disk internal; address 127.0.0.2:7788; }
}
`,
  );
  for (const host of ['alfa', 'bravo']) {
    execFileSync('truncate', ['-s', `${SIZE}`, join(dir, `${host}.img`)]);
    execFileSync(holdfast, ['mirror', 'create', 'r0', '-f', join(dir, 'drbd.conf'), '--host', host]);
  }
  const run = spawnSync('unshare', ['-rn', '--pid', '--fork', '--kill-child', 'bash', '-c', script(dir)], {
    encoding: 'utf8',
    timeout: 240_000,
  });
  const logs = ['alfa', 'bravo'].map((h) => readFileSync(join(dir, `${h}.log`), 'utf8')).join('\n');
  assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}\n${logs}`);
  const [a, b] = ['alfa', 'bravo'].map((h) => readFileSync(join(dir, `${h}.img`)).subarray(0, DATA));
  assert.ok(a && b && a.equals(b), 'both disks hold the same, also where the old metadata were');
  assert.deepEqual([a[2 * MIB], a[30 * MIB]], [0xab, 0x77]);
  const status = JSON.parse(readFileSync(join(dir, 'status.json'), 'utf8')) as {
    mirrors: { volumes: { size: number }[]; reasons: { at: number }[] }[];
  };
  assert.ok((status.mirrors[0]?.volumes[0]?.size ?? 0) > DATA);
  const [first] = status.mirrors[0]?.reasons ?? [];
  assert.ok(Math.abs((first?.at ?? 0) - Date.now()) < 600_000, 'every reason has its moment');
});
