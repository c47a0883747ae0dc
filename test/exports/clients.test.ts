/** The export server before real clients: libnbd's tools, QEMU's, fio. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { ExportProcess, program } from './process.ts';

const MIB = 1 << 20;
const engines = ['io_uring', 'fs'] as const;

for (const engine of engines) {
  test(`${engine}: nbdcopy fills the export over several connections, and it holds the same bytes`, async (t) => {
    const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, '--socket', `${f}/s`, '--engine', engine]);
    const source = randomBytes(64 * MIB);
    writeFileSync(join(s.folder, 'source'), source);
    assert.equal((await program('nbdcopy', ['--connections=4', '--flush', join(s.folder, 'source'), s.uri])).code, 0);
    assert.ok(Buffer.compare(readFileSync(s.disk), source) === 0);
    assert.equal((await program('nbdcopy', [s.uri, join(s.folder, 'back')])).code, 0);
    assert.ok(Buffer.compare(readFileSync(join(s.folder, 'back')), source) === 0);
    assert.equal(await s.stop(), 0);
  });

  test(`${engine}: fio writes at random in all sizes, and every block has its checksum`, async (t) => {
    const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, '--socket', `${f}/s`, '--engine', engine]);
    const r = await program('fio', [
      '--name=v',
      '--ioengine=nbd',
      `--uri=${s.uri}`,
      '--rw=randwrite',
      '--bsrange=4k-600k',
      '--iodepth=24',
      '--size=64M',
      '--verify=crc32c',
      '--do_verify=1',
      '--verify_fatal=1',
      '--verify_state_save=0',
    ]);
    assert.equal(r.code, 0, r.out + r.err);
    assert.match(r.out, /err= 0/);
  });
}

test('qemu-io: patterns, zeroes, discards and flushes are what they claim to be', async (t) => {
  const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, '--socket', `${f}/s`]);
  const commands = [
    'write -P 0x5a 4k 64k',
    'read -P 0x5a 4k 64k',
    'write -f -P 1 1M 40M',
    'read -P 1 1M 40M',
    'write -z -u 2M 1M',
    'read -P 0 2M 1M',
    'write -z 4M 1M',
    'read -P 0 4M 1M',
    'discard 8M 1M',
    'aio_write -P 7 16M 64k',
    'aio_write -P 8 17M 64k',
    'aio_flush',
    'read -P 7 16M 64k',
    'read -P 8 17M 64k',
    'flush',
  ];
  const r = await program('qemu-io', ['-f', 'raw', s.uri, ...commands.flatMap((c) => ['-c', c])]);
  assert.equal(r.code, 0, r.out + r.err);
  assert.doesNotMatch(r.out + r.err, /Pattern verification failed|error|rror:/);
});

test('the map of a sparse file is told, and a sparse copy through QEMU stays sparse and equal', async (t) => {
  const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, '--socket', `${f}/s`], {
    prepare(f) {
      const fd = openSync(join(f, 'disk'), 'r+');
      writeSync(fd, Buffer.alloc(MIB, 7), 0, MIB, 8 * MIB);
      closeSync(fd);
    },
  });
  const map = await program('nbdinfo', ['--map', s.uri]);
  assert.deepEqual(
    map.out
      .trim()
      .split('\n')
      .map((l) => l.trim().split(/\s+/)),
    [
      ['0', `${8 * MIB}`, '3', 'hole,zero'],
      [`${8 * MIB}`, `${MIB}`, '0', 'data'],
      [`${9 * MIB}`, `${55 * MIB}`, '3', 'hole,zero'],
    ],
  );
  const copy = join(s.folder, 'copy');
  assert.equal((await program('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', s.uri, copy])).code, 0);
  assert.ok(statSync(copy).blocks * 512 <= 2 * MIB);
  assert.equal((await program('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', s.uri, copy])).code, 0);
});

test('exports are listed and chosen by name, and an unknown name is refused', async (t) => {
  const s = await ExportProcess.start(
    t,
    (f) => [`one=${f}/disk`, `two=${f}/other`, '--socket', `${f}/s`, '--read-only'],
    { prepare: (f) => writeFileSync(join(f, 'other'), Buffer.alloc(MIB, 0x32)) },
  );
  const base = `nbd+unix:///?socket=${s.folder}/s`;
  const list = await program('nbdinfo', ['--list', base]);
  assert.match(list.out, /export="one"/);
  assert.match(list.out, /export="two"/);
  assert.match(list.out, /is_read_only: true/);
  assert.equal((await program('nbdinfo', ['--size', s.uris[1] ?? ''])).out.trim(), `${MIB}`);
  assert.notEqual((await program('nbdinfo', [`nbd+unix:///none?socket=${s.folder}/s`])).code, 0);
  const denied = await program('qemu-io', ['-f', 'raw', s.uri, '-c', 'write 0 4k']);
  assert.notEqual(denied.code, 0);
  assert.ok(readFileSync(s.disk).every((x) => x === 0));
});

test('the socket is its owner’s alone, a dead one is replaced, and a living one is not', async (t) => {
  const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, '--socket', `${f}/s`]);
  const path = join(s.folder, 's');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await assert.rejects(
    ExportProcess.start(t, () => [`x=${s.disk}`, '--socket', path]),
    /EADDRINUSE/,
  );
  await s.stop('SIGKILL');
  assert.ok(statSync(path).isSocket(), 'it was left behind');
  const next = await ExportProcess.start(t, () => [`x=${s.disk}`, '--socket', path]);
  assert.equal((await program('nbdinfo', ['--size', next.uri])).code, 0);
  assert.equal(await next.stop(), 0);
  assert.throws(() => statSync(path), { code: 'ENOENT' });
});

test('a file that has grown is told to whoever connects after SIGHUP', async (t) => {
  const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, '--listen', '127.0.0.1:0'], { size: MIB });
  assert.equal((await program('nbdinfo', ['--size', s.uri])).out.trim(), `${MIB}`);
  truncateSync(s.disk, 3 * MIB);
  s.signal('SIGHUP');
  await s.logged(/now has 3145728 bytes/);
  assert.equal((await program('nbdinfo', ['--size', s.uri])).out.trim(), `${3 * MIB}`);
});

test('garbage on the port ends that connection and no other', async (t) => {
  const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, '--listen', '127.0.0.1:0']);
  const port = Number(new URL(s.uri).port);
  for (let i = 0; i < 50; i++) {
    const c = connect(port, '127.0.0.1');
    c.on('error', () => {});
    c.write(randomBytes(200));
    await new Promise((resolve) => {
      c.on('close', resolve);
      c.on('data', () => {});
      setTimeout(() => c.destroy(), 200);
    });
  }
  assert.equal((await program('nbdinfo', ['--size', s.uri])).code, 0);
  assert.equal(await s.stop(), 0);
});

test('a client killed in the middle of its writes leaves the server well', async (t) => {
  const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, '--socket', `${f}/s`]);
  for (let i = 0; i < 3; i++) {
    const argv = [
      '-s',
      'KILL',
      '0.3',
      'fio',
      '--name=k',
      '--thread', // a job of its own would outlive the process that is killed, and hold its output open
      '--ioengine=nbd',
      `--uri=${s.uri}`,
      '--rw=randwrite',
      '--bs=64k',
    ];
    await program('timeout', [...argv, '--iodepth=32', '--size=64M', '--time_based', '--runtime=10']).catch(
      () => undefined,
    );
  }
  assert.equal(
    (await program('qemu-io', ['-f', 'raw', s.uri, '-c', 'write -P 3 0 64k', '-c', 'read -P 3 0 64k'])).code,
    0,
  );
  assert.equal(await s.stop(), 0);
});

test('wrong usage and files that cannot be opened are told, with a status that says so', async (t) => {
  const folder = join((await ExportProcess.start(t, (f) => [`x=${f}/disk`, '--socket', `${f}/s`])).folder, 'more');
  mkdirSync(folder);
  const cli = (...argv: string[]) =>
    program(process.execPath, [join(import.meta.dirname, '../../src/cli/main.ts'), 'export', ...argv]);
  const cases = [
    [[], 2, /no file is named/],
    [['f', '--listen', 'nowhere'], 2, /no ADDRESS:PORT/],
    [['f', '--tls', 'forced'], 2, /--tls-certificate/],
    [['f', '--allow', 'ha1'], 2, /--tls-clients/],
    [['a=f', 'a=g'], 2, /given twice/],
    [['f', '--engine', 'fast'], 2, /--engine is/],
    [[join(folder, 'missing'), '--socket', join(folder, 's')], 1, /ENOENT/],
    [[folder, '--socket', join(folder, 's')], 1, /EISDIR|ENOTBLK/],
  ] as const;
  for (const [argv, code, words] of cases) {
    const r = await cli(...argv);
    assert.equal(r.code, code, `${argv.join(' ')}: ${r.err}`);
    assert.match(r.err, words);
  }
});
