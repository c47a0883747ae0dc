import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { text } from '../../base/index.ts';
import { loadAddon } from './addon.ts';
import { Batch } from './batch.ts';
import { linuxLog } from './log.ts';
import { AF_UNIX, SOCK_DGRAM, sockaddrUnix } from './sockaddr.ts';

const loaded = loadAddon();
assert.ok(loaded.ok, 'npm run setup builds the addon');
const addon = loaded.value;
const folder = mkdtempSync(join(tmpdir(), 'holdfast-log-'));
test.after(() => rmSync(folder, { recursive: true }));
const event = {
  level: 'warning',
  code: 'vrrp.state',
  text: text('web is master', 'web 成为主'),
  fields: { vrid: 51, from: 'backup' },
} as const;

test('the console: language, details, level, and one line whatever the text holds', async () => {
  const path = join(folder, 'console');
  const fd = openSync(path, 'a');
  const plain = linuxLog(addon, { language: 'en', least: 'info', console: { fd, details: false } });
  const full = linuxLog(addon, { language: 'zh', least: 'debug', console: { fd, details: true } });
  /** Each writes in the background: one begins when the other's line is there. */
  const written = async (lines: number): Promise<void> => {
    for (let i = 0; i < 6000 && readFileSync(path, 'utf8').split('\n').length <= lines; i++)
      await new Promise((r) => setTimeout(r, 10));
  };
  plain.write(event);
  plain.write({ ...event, level: 'debug' });
  await written(1);
  full.write(event);
  await written(2);
  plain.write({ ...event, text: text('a\nforged\u001b[31m line', '') });
  await written(3);
  const lines = readFileSync(path, 'utf8').replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} /gm, '');
  assert.equal(
    lines,
    'warning: web is master\nwarning: web 成为主 [vrrp.state vrid=51 from=backup]\nwarning: a\ufffdforged\ufffd[31m line\n',
  );
  closeSync(fd);
});

test('a reader that does not read holds nobody up, and is told how much it missed', async () => {
  const body = `
    import { loadAddon } from ${JSON.stringify(join(import.meta.dirname, 'addon.ts'))};
    import { linuxLog } from ${JSON.stringify(join(import.meta.dirname, 'log.ts'))};
    import { writeFileSync } from 'node:fs';
    const log = linuxLog(loadAddon().value, { language: 'en', least: 'info', console: { fd: 1, details: false } });
    const words = 'x'.repeat(1000);
    const write = () => { for (let i = 0; i < 2000; i++) log.write({ level: 'info', code: 'a', text: { en: words, zh: '' } }); };
    write();
    setTimeout(() => { write(); writeFileSync(${JSON.stringify(join(folder, 'done'))}, 'done'); }, 20);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', body], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.pause();
  for (let i = 0; i < 10_000; i++) {
    try {
      if (readFileSync(join(folder, 'done'), 'utf8') === 'done') break;
    } catch {
      // Not there yet.
    }
    await new Promise((r) => setTimeout(r, 10));
  }
  assert.equal(readFileSync(join(folder, 'done'), 'utf8'), 'done');
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (s) => {
    out += s;
  });
  child.stdout.resume();
  await once(child, 'close');
  assert.match(out, /\.\.\. \d+ lines dropped/);
});

test('syslog: facility, severity, name, and a daemon that comes later is found', async () => {
  const path = join(folder, 'syslog');
  const log = linuxLog(addon, {
    language: 'zh',
    least: 'info',
    syslog: { facility: 16, name: 'holdfast', details: true, path },
  });
  log.write(event);
  const socket = addon.open(AF_UNIX, SOCK_DGRAM, 0);
  assert.ok(typeof socket !== 'number');
  assert.equal(addon.bind(socket, sockaddrUnix(path)), 0);
  const batch = new Batch(addon, socket, 4, 1024, 0);
  log.write(event);
  assert.equal(addon.receive(socket), 1);
  assert.match(
    Buffer.from(batch.payload(0)).toString(),
    /^<132>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d holdfast\[\d+\]: web 成为主 \[vrrp\.state vrid=51 from=backup\]$/,
  );
  for (let i = 0; i < 5000; i++) log.write(event); // far more than the socket holds
  addon.close(socket);
});

test('lines that wait are written when the process exits', () => {
  const out = execFileSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { loadAddon } from ${JSON.stringify(join(import.meta.dirname, 'addon.ts'))};
       import { linuxLog } from ${JSON.stringify(join(import.meta.dirname, 'log.ts'))};
       const log = linuxLog(loadAddon().value, { language: 'en', least: 'info', console: { fd: 1, details: false } });
       for (const w of ['one', 'two', 'three']) log.write({ level: 'info', code: 'a', text: { en: w, zh: '' } });
       process.exit(0);`,
    ],
    { encoding: 'utf8' },
  );
  assert.deepEqual(
    out.split('\n').map((l) => l.slice(24)),
    ['info: one', 'info: two', 'info: three', ''],
  );
});
