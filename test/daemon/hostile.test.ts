/** `holdfast keepalived` among people and machines that mean it no good. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Stalls } from '../support/stalls.ts';
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

/** A process's command line; empty when it has ended. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

test('a master that was frozen has lost its address when it wakes, and gives way before it is master again', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  const { lines } = b.daemon(b.write('a.conf', config()));
  await until('the address', () => b.holds(VIP));
  // The news come behind the address: frozen between the two, it would tell of this first when it wakes.
  await until('the news', () => lines.some((l) => l.text.includes('BACKUP -> MASTER')));
  const beat = b.beatPid;
  process.kill(beat, 'SIGSTOP');
  await until('the kernel takes the address away', () => !b.holds(VIP));
  const from = lines.length;
  process.kill(beat, 'SIGCONT');
  await until('it is master again', () => b.holds(VIP));
  const first = (): string | undefined => lines.slice(from).find((l) => l.text.includes('VI_1'))?.text;
  await until('it says what it did', () => first() !== undefined);
  assert.match(first() ?? '', /MASTER -> BACKUP/);
});

test('a beat that is killed before it has its configuration: the command still returns', { skip }, async (t) => {
  const b = new Bench(t);
  // The configuration comes behind the script, which runs until it is told to end.
  const startup = b.write('s.sh', `#!/bin/sh\nwhile [ ! -e ${b.folder}/go ]; do sleep 0.1; done\n`, 0o755);
  const file = b.write('a.conf', config(`startup_script ${startup}\n startup_script_timeout 300`));
  const holdfast = join(import.meta.dirname, '../../bin/holdfast');
  const command = b.start([holdfast, 'keepalived', '--lang=en', '-G', '-p', b.pidFile, '-f', file]);
  await until('the pid file', () => existsSync(b.pidFile) && b.pid > 0);
  const beat = (): number | undefined => b.pids.find((pid) => commandOf(pid).includes('beat'));
  await until('a beat process', () => beat() !== undefined);
  process.kill(beat() as number, 'SIGKILL');
  b.write('go', '');
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
  const stalls = Stalls.watch(t);
  const wire = await b.capture();
  const adverts = (): number[] => wire().flatMap((l) => (l.text.includes('vrid 33') ? [l.at] : []));
  await until('twenty adverts', () => adverts().length >= 20);
  const gap = Math.max(...adverts().map((at, i, all) => at - (all[i - 1] ?? at)));
  assert.ok(gap < 400 + stalls.worst, `largest gap ${gap} ms, largest stall of the machine ${stalls.worst} ms`);
  await until('an answer', () => b.command('status', '-p', b.pidFile).status === 0);
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
  for (const words of ['is not a FIFO', 'auth_pass ********'])
    await until(words, () => lines.some((l) => l.text.includes(words)));
  assert.ok(!lines.some((l) => l.text.includes('hush1234')));
});

test('a pid file of the VRRP process that cannot be written is one line in the log, not the end', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  writeFileSync(join(b.folder, 'file'), '');
  const { lines } = b.daemon(b.write('a.conf', config()), '-r', `${b.folder}/file/vrrp.pid`);
  await until('the address', () => b.holds(VIP));
  const about = (): string[] => lines.map((l) => l.text).filter((l) => l.includes('cannot write pid file'));
  await until('the line', () => about().length > 0);
  assert.equal(about().length, 1, about().join('\n'));
});
