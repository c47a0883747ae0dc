import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDrbdConf } from '../config/drbd/index.ts';
import { filesOf } from '../config/keepalived/testdata/files.ts';
import { unsupported } from './supported.ts';

function told(options: string): ReturnType<typeof unsupported> {
  const host = (name: string, n: number): string =>
    `on ${name} { device /dev/drbd0; disk /dev/sdb; meta-disk internal; address 10.0.0.${n}:7788; }`;
  const source = `resource r0 { ${options} ${host('a', 1)} ${host('b', 2)} }`;
  const { config, diagnostics } = readDrbdConf({
    file: '/drbd.conf',
    files: filesOf({ '/drbd.conf': source }),
    options: { hostName: 'a' },
  });
  const [mirror] = config?.mirrors ?? [];
  assert.ok(mirror, JSON.stringify(diagnostics));
  return unsupported(mirror);
}

test('what has no effect is told by name, all of it at once', () => {
  assert.deepEqual(told(''), { refused: [], idle: [] });
  assert.deepEqual(told('disk { read-balancing round-robin; disk-timeout 100; resync-after r9; }').idle, []);
  const { refused, idle } = told(
    'net { protocol A; } disk { read-balancing round-robin; md-flushes no; al-updates no; rs-discard-granularity 64K; }',
  );
  assert.deepEqual(refused, []);
  assert.deepEqual(
    idle.map((t) => t.en.split(' has no effect')[0]),
    ['read-balancing', 'md-flushes no', 'al-updates no', 'rs-discard-granularity'],
  );
});
