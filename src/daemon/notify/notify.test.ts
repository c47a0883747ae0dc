import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, readSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seconds } from '../../base/index.ts';
import type { LogEvent } from '../../host/index.ts';
import { FifoWriter } from './fifo.ts';
import { Mailer } from './mail.ts';
import { mailText } from './mail-text.ts';

const collect = (): { events: LogEvent[]; log: { write: (e: LogEvent) => void } } => {
  const events: LogEvent[] = [];
  return { events, log: { write: (e) => void events.push(e) } };
};

test('a FIFO is made with mode 0640 less the umask, keeps the order, and a full one loses lines with one warning', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hf-fifo-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const before = process.umask(0);
  t.after(() => process.umask(before));
  const { events, log } = collect();
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const opened = FifoWriter.open({ path: join(folder, 'f'), ...owner }, log);
  assert.ok(opened.ok);
  assert.equal(statSync(join(folder, 'f')).mode & 0o777, 0o640);
  const line = `${'x'.repeat(999)}\n`;
  for (let i = 0; i < 200; i++) opened.value.write(line); // a pipe holds 64 KiB
  assert.ok(opened.value.dropped > 100);
  assert.deepEqual(
    events.map((e) => e.code),
    ['notify.fifo-full'],
  );
  const reader = openSync(join(folder, 'f'), 'r+');
  const got = Buffer.alloc(1 << 17);
  const n = readSync(reader, got);
  assert.equal(n % 1000, 0, 'whole lines only');
  opened.value.write('INSTANCE "a" MASTER 100\n');
  assert.equal(got.subarray(0, readSync(reader, got)).toString(), 'INSTANCE "a" MASTER 100\n');
  assert.deepEqual(
    events.map((e) => e.code),
    ['notify.fifo-full', 'notify.fifo-drained'],
  );
  opened.value.close();
});
test('a FIFO that cannot be is refused with words, also when a file is in its place', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hf-fifo-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'file'), '');
  const { log } = collect();
  const file = FifoWriter.open({ path: join(folder, 'file') }, log);
  assert.ok(!file.ok && file.error.en.includes('not a FIFO'));
  execFileSync('mkfifo', [join(folder, 'elsewhere')]);
  symlinkSync('elsewhere', join(folder, 'link'));
  const link = FifoWriter.open({ path: join(folder, 'link') }, log);
  assert.ok(!link.ok && link.error.en.includes('not a FIFO'), 'a link is not followed');
  const nowhere = FifoWriter.open({ path: join(folder, 'none/f') }, log);
  assert.ok(!nowhere.ok && nowhere.error.en.includes('none/f'));
});

/** A relay that takes everything and remembers the lines. */
async function relay(): Promise<{ port: number; lines: string[]; close: () => void }> {
  const lines: string[] = [];
  const server = createServer((s) => {
    let data = false;
    let rest = '';
    s.write('220 relay\r\n');
    s.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\r\n');
      rest = parts.pop() ?? '';
      for (const l of parts) {
        lines.push(l);
        if (data && l !== '.') continue;
        data = l === 'DATA';
        s.write(data ? '354 go\r\n' : l === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
      }
    });
    s.on('error', () => {});
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  return { port: typeof address === 'object' && address ? address.port : 0, lines, close: () => server.close() };
}
const config = (port: number) =>
  ({
    to: ['a@x.test', 'b@y.test'],
    from: 'k@z.test',
    server: { host: '127.0.0.1', port },
    helo: 'helo.test',
    connectTimeout: seconds(2),
    onFault: true,
  }) as const;

test('mail goes to every recipient in the order of events, with the texts of keepalived', async (t) => {
  const r = await relay();
  t.after(r.close);
  const { log, events } = collect();
  const mailer = new Mailer(config(r.port), log);
  mailer.send({
    subject: '[R] VRRP Instance V - Entering BACKUP state',
    text: mailText({ of: 'INSTANCE', word: 'BACKUP' }),
  });
  mailer.send({ subject: '[R] VRRP Group G - Entering MASTER state', text: mailText({ of: 'GROUP', word: 'MASTER' }) });
  await mailer.idle();
  assert.deepEqual(events, []);
  const wanted = [/^(EHLO|HELO) helo\.test$/, /^MAIL FROM:<k@z\.test>/, /^RCPT TO:<a@x\.test>/, /^RCPT TO:<b@y\.test>/];
  for (const w of wanted) assert.equal(r.lines.filter((l) => w.test(l)).length, 2, String(w));
  assert.deepEqual(
    r.lines.filter((l) => l.startsWith('Subject:') || l.startsWith('=>')),
    [
      'Subject: [R] VRRP Instance V - Entering BACKUP state',
      '=> VRRP Instance is no longer owning VRRP VIPs <=',
      'Subject: [R] VRRP Group G - Entering MASTER state',
      '=> All VRRP group instances are now in MASTER state <=',
    ],
  );
});
test('a relay that is not there is a warning, and the queue stays bounded', async () => {
  const { log, events } = collect();
  const mailer = new Mailer(config(1), log);
  for (let i = 0; i < 150; i++) mailer.send({ subject: String(i), text: '' });
  assert.ok(mailer.dropped >= 49);
  await mailer.idle();
  assert.ok(events.length <= 101 && events.every((e) => e.code === 'notify.mail'));
});
