import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { linuxFiles } from './files.ts';
import { linuxSysctl, sysctlPath } from './sysctl.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-files-'));
test.after(() => rmSync(folder, { recursive: true }));
const bytes = (s: string): Uint8Array => new TextEncoder().encode(s);

test('read gives at most the limit, and undefined for what cannot be read', () => {
  const path = join(folder, 'a');
  assert.deepEqual(linuxFiles.write(path, bytes('hello'), { mode: 0o600 }), { ok: true, value: undefined });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(linuxFiles.read(path, 100), bytes('hello'));
  assert.deepEqual(linuxFiles.read(path, 3), bytes('hel'));
  assert.equal(linuxFiles.read(join(folder, 'none'), 10), undefined);
  assert.equal(linuxFiles.read(folder, 10), undefined);
  assert.ok((linuxFiles.read('/proc/self/status', 65536)?.length ?? 0) > 100);
});

test('write names what was refused, and does not wait for the reader of a FIFO', () => {
  const r = linuxFiles.write(join(folder, 'none/b'), bytes('x'));
  assert.ok(!r.ok);
  assert.equal(r.error.code, 'ENOENT');
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const f = linuxFiles.write(fifo, bytes('x'));
  assert.equal(!f.ok && f.error.code, 'ENXIO');
});

test('watch tells of creation, change, replacement and removal, and of no other file', async () => {
  const path = join(folder, 'watched');
  let calls = 0;
  const r = linuxFiles.watch(path, () => calls++);
  assert.ok(r.ok);
  const told = async (what: string, change: () => void): Promise<void> => {
    await new Promise((x) => setTimeout(x, 20));
    calls = 0;
    change();
    for (let i = 0; i < 6000 && calls === 0; i++) await new Promise((x) => setTimeout(x, 5));
    assert.ok(calls > 0, what);
  };
  await told('created', () => writeFileSync(path, '1'));
  await told('changed', () => writeFileSync(path, '2'));
  await told('replaced', () => {
    writeFileSync(`${path}.new`, '3');
    renameSync(`${path}.new`, path);
  });
  await told('changed after it was replaced', () => writeFileSync(path, '4'));
  await told('removed', () => rmSync(path));
  await new Promise((x) => setTimeout(x, 20));
  calls = 0;
  writeFileSync(`${path}.other`, 'x');
  await new Promise((x) => setTimeout(x, 30));
  assert.equal(calls, 0);
  r.value();
  const none = linuxFiles.watch(join(folder, 'none/x'), () => {});
  assert.equal(!none.ok && none.error.code, 'ENOENT');
});

test('sysctl names are read as sysctl(8) reads them, and never lead out of /proc/sys', () => {
  assert.equal(sysctlPath('net/ipv4/conf/eth0.100/rp_filter'), '/proc/sys/net/ipv4/conf/eth0.100/rp_filter');
  assert.equal(sysctlPath('net.ipv4.conf.eth0/100.rp_filter'), '/proc/sys/net/ipv4/conf/eth0.100/rp_filter');
  for (const bad of [
    '',
    '/',
    'net/../../etc/passwd',
    '../x',
    'net//ipv4',
    'a/./b',
    'a\0b',
    '..',
    './/../etc',
    '...//..',
  ])
    assert.equal(sysctlPath(bad), undefined, JSON.stringify(bad));
  assert.equal(linuxSysctl.get('kernel.ostype'), 'Linux');
  assert.equal(linuxSysctl.get('kernel/ostype'), readFileSync('/proc/sys/kernel/ostype', 'utf8').trim());
  assert.equal(linuxSysctl.get('kernel/no_such_value'), undefined);
  const r = linuxSysctl.set('kernel/no_such_value', '1');
  assert.equal(!r.ok && r.error.code, 'ENOENT');
  const outside = linuxSysctl.set('../../tmp/x', '1');
  assert.equal(!outside.ok && outside.error.code, 'EINVAL');
});
