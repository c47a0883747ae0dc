/** The command itself, beside a socket that answers as a mirror process does. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import type { MirrorAnswer, MirrorAsk } from '../../api/index.ts';
import { text } from '../../base/index.ts';
import { document, MANY, mirror } from './document.fixture.ts';
import { procDrbd } from './proc.ts';

const root = resolve(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'holdfast-mirror-'));
const socket = join(folder, 'mirror.sock');
let shown = MANY;
const asked: MirrorAsk[] = [];
let answer: MirrorAnswer = { ok: true, changed: true, text: text('done', '完成') };
let server: Server;
before(async () => {
  server = createServer((s) => {
    s.once('data', (line: Buffer) => {
      const ask = JSON.parse(line.toString()) as MirrorAsk;
      asked.push(ask);
      s.end(JSON.stringify(ask.ask === 'mirrors' ? shown : answer));
    });
    s.on('error', () => {});
  });
  await new Promise<void>((ready) => server.listen(socket, ready));
});
after(async () => {
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true });
});

type Ran = { readonly code: number | null; readonly out: string; readonly err: string };
function holdfast(...args: string[]): Promise<Ran> {
  const child = spawn(join(root, 'bin/holdfast'), args, {
    env: { ...process.env, HOLDFAST_LANG: 'en', __DRBD_NODE__: 'ha1' },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (d) => {
    out += d;
  });
  child.stderr.on('data', (d) => {
    err += d;
  });
  return new Promise((done) => child.on('close', (code) => done({ code, out, err })));
}
const at = `--socket=${socket}`;

test('status: 0 when all is well, 8 when something needs somebody, 3 when nothing runs', async () => {
  shown = document(mirror());
  assert.deepEqual([(await holdfast('mirror', 'status', at)).code], [0]);
  shown = MANY;
  const degraded = await holdfast('mirror', 'status', at);
  assert.equal(degraded.code, 8);
  assert.match(degraded.out, /Needs you \(2\)/);
  const json = await holdfast('mirror', 'status', 'mail', '--json', at);
  assert.deepEqual(JSON.parse(json.out), JSON.parse(JSON.stringify({ at: 0, mirrors: [MANY.mirrors[1]] })));
  assert.equal((await holdfast('mirror', 'status', `--socket=${folder}/none`)).code, 3);
  assert.equal((await holdfast('mirror', 'status', 'nothere', at)).code, 2);
});

test('drbdadm and drbdsetup answer for a resource, a volume and a minor number', async () => {
  shown = MANY;
  assert.equal((await holdfast('drbdadm', 'dstate', 'mail', at)).out, 'UpToDate/UpToDate\nInconsistent/UpToDate\n');
  assert.equal((await holdfast('drbdadm', 'dstate', 'mail/3', at)).out, 'Inconsistent/UpToDate\n');
  assert.equal((await holdfast('drbdsetup', 'cstate', '5', at)).out, 'SyncTarget\n');
  assert.equal((await holdfast('drbdadm', 'role', 'data', at)).out, 'Primary/Secondary\n');
  assert.equal((await holdfast('mirror', 'proc', at)).out, procDrbd(MANY));
  assert.match((await holdfast('drbdsetup', 'events2', '--now', at)).out, /exists -\n$/);
});

test('a request reaches the mirror that was named, and its refusal has each tool’s own form', async () => {
  shown = MANY;
  answer = { ok: true, changed: true, text: text('done', '完成') };
  asked.length = 0;
  assert.equal((await holdfast('drbdadm', 'primary', '--force', 'data', at)).code, 0);
  assert.deepEqual(asked.at(-1), { ask: 'mirror', name: 'data', request: { verb: 'primary', force: true } });
  assert.equal((await holdfast('drbdsetup', 'invalidate', '5', at)).code, 0);
  assert.deepEqual(asked.at(-1), { ask: 'mirror', name: 'mail', request: { verb: 'invalidate', volume: 3 } });
  answer = { ok: false, code: 'no-good-disk', text: text('no good disk', '没有完好的磁盘') };
  const theirs = await holdfast('drbdadm', 'primary', 'data', at);
  assert.equal(theirs.code, 17);
  assert.match(theirs.err, /^data: State change failed: \(-2\) Need access to UpToDate data\n/);
  const ours = await holdfast('mirror', 'primary', 'data', at);
  assert.equal(ours.code, 4);
  assert.match(ours.err, /✗ data: no good disk/);
  asked.length = 0;
  const unasked = await holdfast('mirror', 'invalidate', 'data', at);
  assert.equal(unasked.code, 2);
  assert.match(unasked.err, /--accept-data-loss=data/);
  assert.deepEqual(asked, [], 'nothing was asked of the mirror');
});

const CONF = `resource r0 {
  net { cram-hmac-alg sha1; shared-secret "hunter2"; }
  volume 0 { device minor 3; disk /dev/vg/a; meta-disk internal; }
  volume 1 { device minor 4; disk /dev/vg/b; meta-disk /dev/vg/m [2]; }
  on ha1 { address 10.0.0.1:7788; }
  on ha2 { address 10.0.0.2:7788; }
}
`;
test('what needs the file alone is answered without a mirror process', async () => {
  const file = join(folder, 'drbd.conf');
  writeFileSync(file, CONF, { mode: 0o600 });
  const adm = (...words: string[]): Promise<Ran> => holdfast('drbdadm', '-c', file, ...words);
  for (const [words, out] of [
    [['sh-resources'], 'r0\n'],
    [['sh-minor', 'r0/1'], '4\n'],
    [['sh-md-dev', 'r0'], '/dev/vg/a\n/dev/vg/m\n'],
    [['sh-md-idx', 'r0'], 'internal\n2\n'],
  ] as const)
    assert.equal((await adm(...words)).out, out);
  const dump = await adm('dump');
  assert.equal(dump.code, 0);
  assert.ok(dump.out.includes('resource r0 {') && !dump.out.includes('hunter2'));
  assert.match(
    (await adm('-d', 'up', 'r0')).out,
    /^drbdsetup-84 connect r0 ipv4:10.0.0.1:7788 ipv4:10.0.0.2:7788 .*--shared-secret=\*+$/m,
  );
  assert.equal((await adm('sh-dev', 'nothere')).code, 1);
  writeFileSync(file, CONF.replace('address', 'adress'));
  assert.equal((await adm('dump')).code, 10);
});

test('check: 0 clean, 8 warnings, 2 errors, whichever the format', async () => {
  const check = async (name: string, content: string): Promise<Ran> => {
    const file = join(folder, name);
    writeFileSync(file, content, { mode: 0o600 });
    return holdfast('check', file, '--host', 'ha1');
  };
  assert.equal((await holdfast('check', join(root, 'examples/mirror.yaml'), '--host', 'ha1')).code, 0);
  assert.equal((await check('clean.res', CONF)).code, 0);
  const warned = await check('warned.res', CONF.replace('net {', 'net { tcp-cork no;'));
  assert.equal(warned.code, 8);
  assert.match(warned.out, /0 errors, 1 warning/);
  const wrong = await check('wrong.yaml', 'version: 1\ncluster: c\nhosst: {}\n');
  assert.equal(wrong.code, 2);
  assert.match(
    wrong.out,
    /wrong\.yaml:3:1: error: unknown key 'hosst'.*\n3 \| hosst: \{\}\n {4}\^{5}\nhint: did you mean 'hosts'\?/,
  );
  const json = JSON.parse((await holdfast('check', join(folder, 'wrong.yaml'), '--json')).out);
  assert.ok(json.errors > 0 && json.format === 'holdfast');
  assert.equal((await check('prose.txt', 'dear diary\n')).code, 2);
  assert.equal((await holdfast('check', join(folder, 'nothere'))).code, 2);
});

test('create writes on an empty device, asks where something is, and changes nothing until it is told the name', async () => {
  const disk = join(folder, 'disk');
  const yaml = join(folder, 'create.yaml');
  closeSync(openSync(disk, 'a'));
  truncateSync(disk, 4 * 1024 * 1024);
  writeFileSync(
    yaml,
    `version: 1\ncluster: c\nhosts: {ha1: 10.0.0.1, ha2: 10.0.0.2}\nmirrors: {data: {disk: ${disk}}}\n`,
  );
  const create = (...more: string[]): Promise<Ran> =>
    holdfast('mirror', 'create', 'data', '-f', yaml, '--host', 'ha1', ...more);
  const empty = readFileSync(disk);
  assert.equal((await create('--dry-run')).code, 9);
  assert.deepEqual(readFileSync(disk), empty);
  assert.equal((await create()).code, 0);
  const made = readFileSync(disk);
  assert.notDeepEqual(made, empty);
  const again = await create();
  assert.equal(again.code, 4);
  assert.match(again.out, /it holds metadata of DRBD 8 or of a mirror\n {4}to overwrite it: --accept-data-loss=data/);
  assert.equal((await create('--accept-data-loss=date')).code, 4);
  assert.deepEqual(readFileSync(disk), made);
  assert.equal((await create('--accept-data-loss=data')).code, 0);
  assert.equal((await holdfast('mirror', 'create', 'other', '-f', yaml, '--host', 'ha1')).code, 1);
});

test('the schema for editors is JSON', async () => {
  const schema = JSON.parse((await holdfast('config', 'schema')).out);
  assert.deepEqual(schema.required, ['version', 'cluster', 'hosts']);
});
