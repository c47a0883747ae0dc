/** `holdfast keepalived` among people and machines that mean it no good. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Bench, exitOf, until, whyNot } from './bench.ts';

const skip = whyNot();
const VIP = '192.168.1.99';
const config = (more = '', instance = ''): string => `
global_defs {
  vrrp_version 3
  script_user root
  ${more}
}
vrrp_instance VI_1 {
  interface ens33
  virtual_router_id 33
  advert_int 0.1
  virtual_ipaddress {
    ${VIP}/24
  }
  ${instance}
}
`;

test('a master that was frozen has lost its address when it wakes, and gives way before it is master again', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  const { lines } = b.daemon(b.write('a.conf', config()));
  await until('the address', () => b.holds(VIP));
  const beat = b.beatPid;
  process.kill(beat, 'SIGSTOP');
  await until('the kernel takes the address away', () => !b.holds(VIP), 5000);
  const from = lines.length;
  process.kill(beat, 'SIGCONT');
  await until('it is master again', () => b.holds(VIP));
  assert.match(lines.slice(from).find((l) => l.text.includes('VI_1'))?.text ?? '', /MASTER -> BACKUP/);
});

test('a beat that is killed before it has its configuration: the command still returns', { skip }, async (t) => {
  const b = new Bench(t);
  const startup = b.write('s.sh', '#!/bin/sh\nsleep 1\n', 0o755);
  const file = b.write('a.conf', config(`startup_script ${startup}`));
  const holdfast = join(import.meta.dirname, '../../bin/holdfast');
  const command = b.start([holdfast, 'keepalived', '--lang=en', '-G', '-p', b.pidFile, '-f', file]);
  await until('the pid file', () => existsSync(b.pidFile) && b.pid > 0);
  const beat = b
    .inside('ip', 'netns', 'pids', b.name)
    .split('\n')
    .find((pid) => pid !== '' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('beat'));
  process.kill(Number(beat), 'SIGKILL');
  assert.equal(await exitOf(command.child), 0);
  await until('the address', () => b.holds(VIP));
});

test('clients that hold the control socket, shout and never listen: others are answered, and adverts go on', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  b.daemon(b.write('a.conf', config()));
  await until('the address', () => b.holds(VIP));
  const path = b.pidFile.replace('.pid', '.sock');
  assert.equal(statSync(path).mode & 0o777, 0o660);
  const clients: Socket[] = [];
  t.after(() => clients.forEach((c) => void c.destroy()));
  for (let i = 0; i < 500; i++) {
    const client = connect(path).on('error', () => {});
    client.write(i % 2 === 0 ? '\0'.repeat(10_000) : '{"ask":"status"}\n');
    client.pause();
    clients.push(client);
  }
  const wire = b.start(['tcpdump', '-l', '-n', '-i', 'wire', 'vrrp']);
  await until('tcpdump listens', () => wire.lines.some((l) => l.text.includes('listening')));
  await sleep(2000);
  const adverts = wire.lines.filter((l) => l.text.includes('vrid 33')).map((l) => l.at);
  const gaps = adverts.slice(1).map((at, i) => at - (adverts[i] ?? 0));
  assert.ok(adverts.length > 10 && Math.max(...gaps) < 400, `largest gap ${Math.max(...gaps)} ms`);
  await until('an answer', () => b.command('status', '-p', b.pidFile).status === 0, 20_000);
});

test('links in the way of dumps and FIFOs are not followed, and secrets are in no log', { skip }, async (t) => {
  const b = new Bench(t);
  const precious = b.write('precious', 'precious');
  for (const name of ['data', 'fifo']) symlinkSync(precious, join(b.folder, name));
  const auth = 'version 2\n advert_int 1\n authentication {\n auth_type PASS\n auth_pass hush1234\n }';
  const file = b.write('a.conf', config(`state_dump_file ${b.folder}/data\n notify_fifo ${b.folder}/fifo`, auth));
  const { lines } = b.daemon(file, '-d', '-D');
  await until('the address', () => b.holds(VIP));
  process.kill(b.pid, 'SIGUSR1');
  await until('the refusal', () => lines.some((l) => l.text.includes('symbolic link')));
  assert.equal(readFileSync(precious, 'utf8'), 'precious');
  assert.ok(lines.some((l) => l.text.includes('is not a FIFO')));
  assert.ok(lines.some((l) => l.text.includes('auth_pass ********')));
  assert.ok(!lines.some((l) => l.text.includes('hush1234')));
});

test('a pid file of the VRRP process that cannot be written is one line in the log, not the end', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  writeFileSync(join(b.folder, 'file'), '');
  const { lines } = b.daemon(b.write('a.conf', config()), '-r', `${b.folder}/file/vrrp.pid`);
  await until('the address', () => b.holds(VIP));
  assert.equal(lines.filter((l) => l.text.includes('cannot write pid file')).length, 1);
});
