/** What a changed file means for a mirror that runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, ms } from '../../base/index.ts';
import type { MirrorConfig, NetOptions, VolumeConfig } from '../config.ts';
import { Rig, rigConfig } from '../resource/rig.fixture.ts';
import type { MirrorStatus, VolumeStatus } from '../status.ts';
import { DISK_OPTIONS, NET_OPTIONS, RESYNC_OPTIONS, type Takes } from './options.ts';
import { planAdjust } from './plan.ts';

const have = rigConfig();
const [volume] = have.volumes as [VolumeConfig];
const now = new Rig().resource.status();
const as = (v: Partial<VolumeStatus>): MirrorStatus => ({
  ...now,
  volumes: now.volumes.map((one) => ({ ...one, ...v })),
});
const withVolume = (v: Partial<VolumeConfig>): MirrorConfig => ({ ...have, volumes: [{ ...volume, ...v }] });
const withNet = (net: Partial<NetOptions>): MirrorConfig => ({ ...have, net: { ...have.net, ...net } });
const shown = (want: MirrorConfig, secret = false, status = now): readonly string[] =>
  planAdjust(have, want, secret, status).changes.map((c) => `${c.option} ${c.from} -> ${c.to} ${c.takes}`);

test('a file that says the same changes nothing, wherever its lines have moved to', () => {
  const secretAt = (line: number): MirrorConfig['net']['auth'] => ({
    algorithm: 'sha256',
    secret: { from: 'place', file: 'f', line, column: 1, length: 3 },
  });
  assert.deepEqual(shown(structuredClone(have)), []);
  const moved = planAdjust(withNet({ auth: secretAt(3) }), withNet({ auth: secretAt(9) }), false, now);
  assert.deepEqual(moved.changes, []);
});
test('times, sizes and rates are written with the unit in which they are exact', () => {
  const options = {
    ...volume.options,
    resync: { ...volume.options.resync, maxRate: bytes(200 << 20), rate: bytes(1000) },
  };
  assert.deepEqual(
    shown({ ...withVolume({ options }), net: { ...have.net, timeout: ms(2500), maxBuffers: bytes(1 << 20) } }),
    [
      'timeout 6s -> 2500ms now',
      'max-buffers 8MiB -> 1MiB now',
      'resync-rate 4MiB/s -> 1000B/s told',
      'c-max-rate 100MiB/s -> 200MiB/s told',
    ],
  );
});
test('a changed address, secret or digest of data makes the connection anew, and no secret is shown', () => {
  const auth = { algorithm: 'sha256', secret: { from: 'file', path: '/s' } } as const;
  const plan = planAdjust(withNet({ auth }), withNet({ auth }), true, now);
  assert.deepEqual(
    plan.changes.map((c) => [c.option, c.from, c.to, c.takes]),
    [['shared-secret', '********', '********', 'reconnects']],
  );
  assert.equal(plan.reconnects, true);
  assert.deepEqual(shown(withNet({ auth }), true), ['cram-hmac-alg - -> sha256 reconnects']);
  assert.deepEqual(shown({ ...have, remote: { ...have.remote, port: 7799 } }), [
    'address of bravo 10.0.0.2:7788 -> 10.0.0.2:7799 reconnects',
  ]);
  assert.deepEqual(shown(withNet({ dataIntegrity: 'sha1' })), ['data-integrity-alg - -> sha1 reconnects']);
});
test('another disk or other metadata are refused with what to type, and with them all else', () => {
  const disk = planAdjust(have, { ...withVolume({ disk: '/dev/sdz' }), net: { ...have.net, koCount: 1 } }, false, now);
  assert.equal(disk.refused, true);
  assert.deepEqual(
    disk.changes.map((c) => [c.option, c.takes]),
    [
      ['ko-count', 'now'],
      ['disk', 'refused'],
    ],
  );
  assert.match(disk.changes[1]?.instead?.en ?? '', /holdfast mirror down r0.*create r0.*up r0/);
  assert.deepEqual(shown(withVolume({ metadata: { kind: 'indexed', device: '/dev/md', index: 3 } })), [
    'meta-disk internal -> /dev/md[3] refused',
  ]);
});
test('a volume comes with all its settings, and goes where it is not primary', () => {
  const added = { ...volume, number: 1, disk: '/dev/b', options: { ...volume.options, diskTimeout: ms(3000) } };
  const two = { ...have, volumes: [volume, added] };
  const plan = planAdjust(have, two, false, now);
  assert.deepEqual(
    plan.changes.map((c) => [c.option, c.volume, c.from, c.to, c.takes]),
    [['volume', 1, '-', '/dev/b', 'now']],
  );
  assert.deepEqual(plan.config, two);
  const of = (role: VolumeStatus['role']): MirrorStatus => ({
    ...now,
    volumes: [0, 1].map((n) => ({ ...(now.volumes[0] as VolumeStatus), volume: n, role })),
  });
  assert.deepEqual(
    planAdjust(two, have, false, of('Secondary')).changes.map((c) => [c.volume, c.from, c.to, c.takes]),
    [[1, '/dev/b', '-', 'now']],
  );
  const used = planAdjust(two, have, false, of('Primary'));
  assert.deepEqual([used.refused, used.config.volumes.length], [true, 1]);
  assert.match(used.changes[0]?.instead?.en ?? '', /it is primary: holdfast mirror secondary r0 first/);
});
test('a lower number than that of the only volume, which has the name of the mirror, waits for the next start', () => {
  const only = { ...have, volumes: [{ ...volume, number: 3 }] };
  const plan = planAdjust(only, { ...have, volumes: [volume, ...only.volumes] }, false, now);
  assert.deepEqual(
    plan.changes.map((c) => c.takes),
    ['refused'],
  );
  assert.match(plan.changes[0]?.instead?.en ?? '', /volume 3 has the device r0.*down r0.*up r0/);
});
test('a digest in use, and the right of two primaries that both are, wait until nobody uses them', () => {
  const verify = withNet({ verify: 'md5' });
  assert.deepEqual(shown(verify), ['verify-alg crc32c -> md5 told']);
  assert.deepEqual(shown(verify, false, as({ connection: 'VerifyT' })), ['verify-alg crc32c -> md5 refused']);
  const checksums = withNet({ checksums: 'md5' });
  assert.deepEqual(shown(checksums, false, as({ connection: 'PausedSyncS' })), ['csums-alg - -> md5 refused']);
  const one = planAdjust(
    withNet({ allowTwoPrimaries: true }),
    have,
    false,
    as({ role: 'Primary', peerRole: 'Primary' }),
  );
  assert.equal(one.refused, true);
  assert.match(one.changes[0]?.instead?.en ?? '', /holdfast mirror secondary r0/);
});
test('what waits for the next start is told again by the next adjust', () => {
  const want = withNet({ sendBuffer: bytes(1 << 20) });
  const first = planAdjust(have, want, false, now);
  assert.deepEqual(
    first.changes.map((c) => c.takes),
    ['start'],
  );
  assert.deepEqual(planAdjust(first.config, want, false, now).changes, first.changes);
});
test('every option is one line with its word, when it takes effect, and a text for each value', () => {
  const all = [...Object.values(NET_OPTIONS), ...Object.values(DISK_OPTIONS), ...Object.values(RESYNC_OPTIONS)];
  assert.equal(new Set(all.map((o) => o.word)).size, all.length);
  const kinds: Takes[] = ['now', 'told', 'reconnects', 'attach', 'resize', 'start'];
  for (const o of all) assert.ok(kinds.includes(o.takes), o.word);
});
