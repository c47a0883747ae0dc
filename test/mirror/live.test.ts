/** Two processes, two files, one line between them: what is written through NBD on one is on the other. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
const MIB = 1 << 20;
const SIZE = 48 * MIB;
/** Metadata of 48 MiB takes less. */
const DATA = 47 * MIB;

/** Runs in network and process namespaces of its own: whatever happens, nothing is left behind. */
const script = (dir: string): string => `
set -eu
ip link set lo up
cd ${dir}
hf() { ${holdfast} mirror "$@"; }
start() { ${holdfast} mirror run -f drbd.conf --host $1 --socket ${dir}/$1.sock --nbd $1.nbd >> $1.log 2>&1 & eval $1=$!; }
until_status() { for i in $(seq 400); do hf status --json --socket=$1.sock 2>/dev/null | grep -q "$2" && return; sleep 0.2; done; echo "no $2 on $1" >&2; exit 1; }
io() { host=$1; shift; qemu-io -f raw "nbd+unix:///r0?socket=${dir}/$host.nbd" "$@"; }
EQUAL='"connection":"Connected","disk":"UpToDate","peerDisk":"UpToDate"'
start alfa; start bravo
until_status alfa '"connection":"Connected","disk":"Inconsistent"'
hf primary r0 --accept-data-loss=r0 --socket=alfa.sock
io alfa -c 'write -P 0xab 1M 3M' -c 'write -P 0x11 20M 64k' -c flush
until_status alfa "$EQUAL"
hf secondary r0 --socket=alfa.sock
hf primary r0 --socket=bravo.sock
io bravo -c 'read -P 0xab 1M 3M' -c 'read -P 0x11 20M 64k' -c 'write -P 0x55 8M 8M' -c flush
kill -9 $alfa
until_status bravo '"connection":"WFConnection","disk":"UpToDate"'
io bravo -c 'write -P 0x99 40M 1M' -c flush
start alfa
until_status bravo "$EQUAL"
for i in $(seq 600); do [ -s handler.txt ] && break; sleep 0.1; done
hf status --json --socket=bravo.sock > status.json
kill $alfa $bravo
wait $alfa $bravo
`;

test('writes of either side are on both disks, also those that one of them missed', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-mirror-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(
    join(dir, 'drbd.conf'),
    `resource r0 {
  net { protocol C; timeout 50; connect-int 5; ping-timeout 60; }
  disk { resync-rate 100M; c-plan-ahead 0; }
  handlers { after-resync-target "env > ${dir}/handler && mv ${dir}/handler ${dir}/handler.txt"; before-resync-target "exec sleep 0.2"; }
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
  assert.doesNotMatch(run.stdout, /Pattern verification failed/);
  const [a, b] = ['alfa', 'bravo'].map((h) => readFileSync(join(dir, `${h}.img`)).subarray(0, DATA));
  assert.ok(a && b && a.equals(b), 'both disks hold the same');
  assert.equal(a[40 * MIB], 0x99);
  assert.equal(a[8 * MIB], 0x55);
  const told = readFileSync(join(dir, 'handler.txt'), 'utf8')
    .split('\n')
    .filter((l) => l.startsWith('DRBD_'));
  assert.deepEqual(told.sort(), [
    `DRBD_CONF=${dir}/drbd.conf`,
    `DRBD_LL_DISK=${dir}/alfa.img`,
    'DRBD_MINOR=0',
    'DRBD_PEER=bravo',
    'DRBD_PEERS=bravo',
    'DRBD_PEER_ADDRESS=127.0.0.2',
    'DRBD_PEER_AF=ipv4',
    'DRBD_RESOURCE=r0',
    'DRBD_VOLUME=0',
  ]);
  const status = JSON.parse(readFileSync(join(dir, 'status.json'), 'utf8')) as {
    mirrors: { volumes: { counters: { ns: number } }[] }[];
  };
  const sent = status.mirrors[0]?.volumes[0]?.counters.ns ?? 0;
  assert.ok(sent < 20 * 1024, `only what alfa had missed was sent again: ${sent} KiB in all, of ${SIZE / 1024}`);
});
