/** `holdfast keepalived` in a network namespace of its own: start, death of each process, stop, reload, refusals. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withoutTcpdump } from '../support/tcpdump.ts';
import { Bench, exitOf, until, whyNot } from './bench.ts';

const skip = whyNot();
const seed = join(
  process.env['HOLDFAST_CORPUS'] ?? resolve(import.meta.dirname, '../../../shared/corpus'),
  'keepalived/seed.conf',
);
const VIP = '192.168.1.99';

/** Master after about 0.4 s. */
const fast = (more = '', instance = ''): string => `
global_defs {
  router_id bench
  vrrp_version 3
  script_user root
  ${more}
}
vrrp_instance VI_1 {
  interface ens33
  virtual_router_id 33
  priority 100
  advert_int 0.1
  virtual_ipaddress {
    ${VIP}/24
  }
  ${instance}
}
`;
/** Adverts as tcpdump sees them on the far end of the wire. */
async function capture(b: Bench): Promise<{ readonly lines: { at: number; text: string }[] }> {
  const { lines } = b.start(['tcpdump', '-l', '-n', '-i', 'wire', 'vrrp']);
  await until('tcpdump listens', () => lines.some((l) => l.text.includes('listening')));
  return { lines };
}
const isZero = (l: { text: string }): boolean => /prio 0,/.test(l.text);

test('seed.conf runs as it is: the address comes, and SIGTERM hands over', {
  skip: skip ?? (existsSync(seed) ? withoutTcpdump : 'no corpus'),
}, async (t) => {
  const b = new Bench(t);
  const { child } = b.daemon(seed);
  await until('the address', () => b.holds(VIP));
  await until('the virtual server is carried', () =>
    b.command('lb', 'status', '-p', b.pidFile).output.includes('tcp 192.168.1.99:80'),
  );
  const wire = await capture(b);
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
  assert.equal(b.holds(VIP), false);
  await until('a priority 0 advert', () => wire.lines.some(isZero), 1000);
  assert.ok(!existsSync(b.pidFile));
});

for (const who of ['beat', 'supervisor'] as const)
  test(`SIGKILL of the ${who} process: the address is gone and priority 0 is on the wire within 100 ms`, {
    skip: skip ?? withoutTcpdump,
  }, async (t) => {
    const b = new Bench(t);
    const { lines } = b.daemon(b.write('a.conf', fast()));
    await until('the address', () => b.holds(VIP));
    const wire = await capture(b);
    const monitor = b.start(['ip', 'monitor', 'address']);
    await sleep(300);
    const killed = performance.now();
    process.kill(who === 'beat' ? b.beatPid : b.pid, 'SIGKILL');
    const removed = (): { at: number } | undefined =>
      monitor.lines.find((l) => l.at >= killed && l.text.startsWith('Deleted') && l.text.includes(VIP));
    const resigned = (): { at: number } | undefined => wire.lines.find((l) => l.at >= killed && isZero(l));
    await until('removal and resignation', () => removed() !== undefined && resigned() !== undefined, 2000);
    t.diagnostic(`address removed after ${Math.round((removed()?.at ?? 0) - killed)} ms`);
    t.diagnostic(`priority 0 after ${Math.round((resigned()?.at ?? 0) - killed)} ms`);
    assert.ok((removed()?.at ?? 0) - killed < 100);
    assert.ok((resigned()?.at ?? 0) - killed < 100);
    if (who === 'beat') {
      await until('a new beat process that is master', () => b.holds(VIP));
      assert.ok(lines.some((l) => l.text.includes('SIGKILL')));
    } else {
      await until('the beat process has ended', () => b.inside('ip', 'netns', 'pids', b.name).split('\n').length < 6);
      assert.equal(b.holds(VIP), false);
    }
  });

test('both processes killed at once: the kernel itself takes the address away', { skip }, async (t) => {
  const b = new Bench(t);
  b.daemon(b.write('a.conf', fast()));
  await until('the address', () => b.holds(VIP));
  const [supervisor, beat] = [b.pid, b.beatPid];
  process.kill(beat, 'SIGSTOP'); // so that it cannot hand over by itself
  process.kill(supervisor, 'SIGKILL');
  process.kill(beat, 'SIGKILL');
  await until('the address has expired', () => !b.holds(VIP), 5000);
});

test('reload: nothing that did not change is touched, what is new comes, and a bad file changes nothing', {
  skip: skip ?? withoutTcpdump,
}, async (t) => {
  const b = new Bench(t);
  const file = b.write('a.conf', fast());
  const { lines } = b.daemon(file);
  await until('the address', () => b.holds(VIP));
  const wire = await capture(b);
  const monitor = b.start(['ip', 'monitor', 'address']);
  await sleep(200);
  const second = `vrrp_instance VI_2 {\n interface ens33\n virtual_router_id 44\n advert_int 0.1\n virtual_ipaddress {\n 192.168.1.98/24\n }\n}\n`;
  b.write('a.conf', fast() + second);
  const from = performance.now();
  process.kill(b.pid, 'SIGHUP');
  await until('the second address', () => b.holds('192.168.1.98'));
  const deleted = (): string[] => monitor.lines.map((l) => l.text).filter((x) => x.startsWith('Deleted'));
  assert.deepEqual(deleted(), []);
  const adverts = wire.lines.filter((l) => l.at >= from && l.text.includes('vrid 33'));
  const gaps = adverts.slice(1).map((l, i) => l.at - (adverts[i]?.at ?? 0));
  assert.ok(Math.max(...gaps) < 250, `largest gap between adverts ${Math.max(...gaps)} ms`);
  assert.ok(!wire.lines.some(isZero));

  b.write('a.conf', fast('vrrp_garp_master_dealy 3'));
  process.kill(b.pid, 'SIGHUP');
  await until('the refusal', () => lines.some((l) => l.text.includes('stays in force')));
  assert.ok(lines.some((l) => l.text.includes('vrrp_garp_master_dealy') && l.text.includes('a.conf:')));
  assert.ok(b.holds(VIP) && b.holds('192.168.1.98'));
  const status = b.command('status', '-p', b.pidFile);
  assert.equal(status.status, 8, 'status says that the last reload was refused');

  b.write('a.conf', fast());
  process.kill(b.pid, 'SIGHUP');
  await until('the second address goes', () => !b.holds('192.168.1.98'));
  assert.ok(b.holds(VIP));
  assert.equal(deleted().filter((x) => x.includes(VIP)).length, 0);
});

test('notify scripts, FIFO and the state words are those of keepalived, byte for byte', { skip }, async (t) => {
  const b = new Bench(t);
  const script = b.write('n.sh', `#!/bin/sh\necho "$*" >> ${b.folder}/told\n`, 0o755);
  const notify = `notify "${script} i"\n notify_master "${script} m"\n notify_backup "${script} b"\n notify_stop "${script} s"`;
  // Slower than the events: what is still in the FIFO at the end is not lost.
  const slowly = `while read -r line; do sleep 0.1; echo "$line" >> ${b.folder}/fifo.out; done < "$2"`;
  const reader = b.write('r.sh', `#!/bin/sh\n${slowly}\n`, 0o755);
  const fifo = `notify_fifo ${b.folder}/fifo\n notify_fifo_script "${reader} extra"`;
  const group = 'vrrp_sync_group G1 {\n group {\n VI_1\n }\n}\n';
  const { child } = b.daemon(b.write('a.conf', group + fast(fifo, notify)));
  await until('the address', () => b.holds(VIP));
  await until('the script for MASTER', () => b.read('told').includes('MASTER'));
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
  assert.deepEqual(b.read('told').trim().split('\n').sort(), [
    'b',
    'i INSTANCE VI_1 BACKUP 100',
    'i INSTANCE VI_1 MASTER 100',
    'i INSTANCE VI_1 STOP 100',
    'm',
    's',
  ]);
  await until('the FIFO reader has written all', () => b.read('fifo.out').includes('GROUP "G1" STOP'));
  assert.equal(
    b
      .read('fifo.out')
      .split('\n')
      .filter((l) => l.startsWith('INSTANCE'))
      .join('\n'),
    'INSTANCE "VI_1" BACKUP 100\nINSTANCE "VI_1" MASTER 100\nINSTANCE "VI_1" STOP 100',
  );
  assert.deepEqual(
    b
      .read('fifo.out')
      .split('\n')
      .filter((l) => l.startsWith('GROUP')),
    ['GROUP "G1" BACKUP 0', 'GROUP "G1" MASTER 0', 'GROUP "G1" STOP 0'],
  );
});

test('a tracked script that fails puts the instance in FAULT, and back when it succeeds again', { skip }, async (t) => {
  const b = new Bench(t);
  const script = b.write('c.sh', `#!/bin/sh\ntest ! -e ${b.folder}/broken\n`, 0o755);
  const check = `vrrp_script chk {\n script ${script}\n interval 0.1\n}\n`;
  b.daemon(b.write('a.conf', check + fast('', 'track_script {\n chk\n }')));
  await until('the address', () => b.holds(VIP));
  b.write('broken', '');
  await until('the address goes', () => !b.holds(VIP));
  const status = b.command('status', '-p', b.pidFile);
  assert.equal(status.status, 8);
  assert.match(status.output, /FAULT.*chk|chk.*FAULT/s);
  assert.match(b.command('explain', 'VI_1', '-p', b.pidFile).output, /VI_1 is FAULT since .*chk/);
  b.inside('rm', join(b.folder, 'broken'));
  await until('the address comes back', () => b.holds(VIP));
  assert.equal(b.command('status', '-p', b.pidFile).status, 0);
});

test('a tracked file and a tracked process decide as they should', { skip }, async (t) => {
  const b = new Bench(t);
  const file = b.write('switch', '0\n');
  const track = `track_file sw {\n file ${file}\n}\nvrrp_track_process sl {\n process sleep 7654321\n full_command\n}\n`;
  const use = 'track_file {\n sw weight 0\n }\n track_process {\n sl weight 0\n }';
  b.daemon(b.write('a.conf', track + fast('', use)));
  const state = (): string =>
    JSON.parse(b.command('status', '--json', '-p', b.pidFile).output).instances?.[0]?.state ?? '';
  await until('the daemon', () => existsSync(b.pidFile.replace('.pid', '.sock')));
  await until('FAULT, since the process is missing', () => state() === 'FAULT');
  b.start(['sleep', '7654321']);
  await until('the address', () => b.holds(VIP));
  b.write('switch', '1\n');
  await until('the address goes', () => !b.holds(VIP));
  b.write('switch', '0\n');
  await until('the address comes back', () => b.holds(VIP));
});

test('a second start is refused and changes nothing', { skip }, async (t) => {
  const b = new Bench(t);
  const file = b.write('a.conf', fast());
  b.daemon(file);
  await until('the address', () => b.holds(VIP));
  const again = b.daemon(file);
  assert.equal(await exitOf(again.child), 4);
  assert.match(again.lines.map((l) => l.text).join('\n'), /already running with pid \d+/);
  assert.ok(b.holds(VIP));
  assert.ok(existsSync(b.pidFile));
});

test('an interface that does not exist: one clear line, and the other instances run', { skip }, async (t) => {
  const b = new Bench(t);
  const lost = `vrrp_instance LOST {\n interface eth77\n virtual_router_id 7\n virtual_ipaddress {\n 10.0.0.9/24 dev eth77\n }\n}\n`;
  const { lines } = b.daemon(b.write('a.conf', lost + fast()));
  await until('the address', () => b.holds(VIP));
  assert.equal(lines.filter((l) => l.text.includes('eth77')).length, 1, lines.map((l) => l.text).join('\n'));
});

test('a wrong configuration: all its errors with place and hint, status 2, nothing changed', { skip }, async (t) => {
  const b = new Bench(t);
  const { child, lines } = b.daemon(b.write('a.conf', fast('vrrp_strickt', 'prioritty 7')));
  assert.equal(await exitOf(child), 2);
  const output = lines.map((l) => l.text).join('\n');
  assert.match(output, /a\.conf:\d+:\d+: error: .*vrrp_strickt/);
  assert.match(output, /a\.conf:\d+:\d+: error: .*prioritty/);
  assert.match(output, /hint: .*vrrp_strict/);
  assert.ok(!existsSync(b.pidFile));
});

test('without CAP_NET_ADMIN: one line, status 7', { skip }, async (t) => {
  const b = new Bench(t);
  const file = b.write('a.conf', fast());
  const { child, lines } = b.start([
    'setpriv',
    // Not another user: that one could not read a checkout below /root, and does not exist in a user namespace.
    '--bounding-set=-net_admin,-net_raw',
    '--inh-caps=-net_admin,-net_raw',
    resolve(import.meta.dirname, '../../bin/holdfast'),
    'keepalived',
    '-n',
    '--lang=en',
    '-f',
    file,
  ]);
  assert.equal(await exitOf(child), 7);
  assert.equal(lines.length, 1);
  assert.match(lines[0]?.text ?? '', /CAP_NET_ADMIN/);
});

test('in the background: the command returns when the daemon runs, or with the reason why it does not', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
  const launch = (file: string): string[] => [holdfast, 'keepalived', '--lang=en', '-G', '-p', b.pidFile, '-f', file];
  const bad = b.start(launch(b.write('bad.conf', 'nonsense\n')));
  assert.equal(await exitOf(bad.child), 2);
  assert.match(bad.lines.map((l) => l.text).join('\n'), /bad\.conf:1:1: error/);
  const good = b.start(launch(b.write('a.conf', fast())));
  assert.equal(await exitOf(good.child), 0);
  assert.ok(b.pid > 0);
  await until('the address', () => b.holds(VIP));
  process.kill(b.pid, 'SIGTERM');
  await until('the end', () => !existsSync(b.pidFile));
  assert.equal(b.holds(VIP), false);
});

test('-s runs it in a named network namespace', { skip }, async (t) => {
  const b = new Bench(t);
  const child = b.daemonBySwitch(b.write('a.conf', fast()));
  await until('the address', () => b.holds(VIP));
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
  assert.equal(b.holds(VIP), false);
});

test('-V resigns at a stop and leaves the address, which has no lifetime then', {
  skip: skip ?? withoutTcpdump,
}, async (t) => {
  const b = new Bench(t);
  const { child } = b.daemon(b.write('a.conf', fast()), '-V');
  await until('the address', () => b.holds(VIP));
  assert.match(b.inside('ip', 'addr', 'show', 'to', VIP), /valid_lft forever/);
  const wire = await capture(b);
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
  await until('a priority 0 advert', () => wire.lines.some(isZero), 2000);
  assert.ok(b.holds(VIP));
});
