/** `holdfast keepalived` in a network namespace of its own: start, death of each process, stop, reload, refusals. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { Stalls } from '../support/stalls.ts';
import { withoutTcpdump } from '../support/tcpdump.ts';
import { Bench, exitOf, type Line, until, whyNot } from './bench.ts';

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
  const wire = await b.capture();
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
  assert.equal(b.holds(VIP), false);
  await until('a priority 0 advert', () => wire().some(isZero));
  assert.ok(!existsSync(b.pidFile));
});

/** What a death is seen by outside, in milliseconds from the signal. */
type Handed = {
  readonly removed: number;
  readonly resigned: number /** The machine stood still meanwhile. */;
  readonly stood: number;
};
/** Kills one of the processes of a master, and waits until its address is gone and priority 0 is on the wire. */
async function killed(b: Bench, pid: number, stalls: Stalls): Promise<Handed> {
  const wire = await b.capture();
  const monitor = await b.monitor();
  stalls.forget();
  const at = performance.now();
  process.kill(pid, 'SIGKILL');
  const removed = (): Line | undefined =>
    monitor().find((l) => l.at >= at && l.text.startsWith('Deleted') && l.text.includes(VIP));
  const resigned = (): Line | undefined => wire().find(isZero);
  await until('removal and resignation', () => removed() !== undefined && resigned() !== undefined);
  return { removed: (removed()?.at ?? 0) - at, resigned: (resigned()?.at ?? 0) - at, stood: stalls.worst };
}
/** A machine that is busy can only add to what it takes: the quickest of a few deaths is what is claimed of the program. */
const TRIES = 5;
/** Each may have to wait for the machine: the program that hands over, `ip monitor`, and this one, which reads it. */
const ON_THE_WAY = 3;
const quick = (h: Handed): boolean => Math.max(h.removed, h.resigned) < 100 + ON_THE_WAY * h.stood;
const told = (all: readonly Handed[]): string =>
  all
    .map((h) => `address gone after ${h.removed.toFixed()} ms, priority 0 after ${h.resigned.toFixed()} ms`)
    .join('; ');

test('SIGKILL of the beat process: the address is gone and priority 0 is on the wire within 100 ms', {
  skip: skip ?? withoutTcpdump,
}, async (t) => {
  const b = new Bench(t);
  const { lines } = b.daemon(b.write('a.conf', fast()));
  const stalls = Stalls.watch(t);
  const seen: Handed[] = [];
  while (seen.length < TRIES && !seen.some(quick)) {
    await until('the address', () => b.holds(VIP));
    seen.push(await killed(b, b.beatPid, stalls));
    await until('a new beat process that is master', () => b.holds(VIP));
  }
  t.diagnostic(told(seen));
  assert.ok(seen.some(quick), told(seen));
  await until('the death is told', () => lines.some((l) => l.text.includes('SIGKILL')));
});

test('SIGKILL of the supervisor process: the address is gone and priority 0 is on the wire within 100 ms', {
  skip: skip ?? withoutTcpdump,
}, async (t) => {
  const stalls = Stalls.watch(t);
  const seen: Handed[] = [];
  while (seen.length < TRIES && !seen.some(quick)) {
    const b = new Bench(t);
    b.daemon(b.write('a.conf', fast()));
    await until('the address', () => b.holds(VIP));
    const beat = b.beatPid;
    seen.push(await killed(b, b.pid, stalls));
    await until('the beat process has ended', () => !b.pids.includes(beat));
    assert.equal(b.holds(VIP), false);
  }
  t.diagnostic(told(seen));
  assert.ok(seen.some(quick), told(seen));
});

test('both processes killed at once: the kernel itself takes the address away', { skip }, async (t) => {
  const b = new Bench(t);
  b.daemon(b.write('a.conf', fast()));
  await until('the address', () => b.holds(VIP));
  const [supervisor, beat] = [b.pid, b.beatPid];
  process.kill(beat, 'SIGSTOP'); // so that it cannot hand over by itself
  process.kill(supervisor, 'SIGKILL');
  process.kill(beat, 'SIGKILL');
  await until('the address has expired', () => !b.holds(VIP));
});

test('reload: nothing that did not change is touched, what is new comes, and a bad file changes nothing', {
  skip: skip ?? withoutTcpdump,
}, async (t) => {
  const b = new Bench(t);
  const file = b.write('a.conf', fast());
  const { lines } = b.daemon(file);
  await until('the address', () => b.holds(VIP));
  const wire = await b.capture();
  const monitor = await b.monitor();
  const second = `vrrp_instance VI_2 {\n interface ens33\n virtual_router_id 44\n advert_int 0.1\n virtual_ipaddress {\n 192.168.1.98/24\n }\n}\n`;
  b.write('a.conf', fast() + second);
  const stalls = Stalls.watch(t);
  const from = performance.now();
  process.kill(b.pid, 'SIGHUP');
  await until('the second address', () => b.holds('192.168.1.98'));
  await until('an advert behind it', () => wire().some((l) => l.text.includes('vrid 44')));
  const deleted = (): string[] =>
    monitor()
      .map((l) => l.text)
      .filter((x) => x.startsWith('Deleted'));
  assert.deepEqual(deleted(), []);
  const adverts = wire().filter((l) => l.at >= from && l.text.includes('vrid 33'));
  const gaps = adverts.slice(1).map((l, i) => l.at - (adverts[i]?.at ?? 0));
  const largest = `largest gap between adverts ${Math.max(...gaps)} ms, largest stall of the machine ${stalls.worst} ms`;
  t.diagnostic(largest);
  assert.ok(gaps.length > 0 && Math.max(...gaps) < 250 + stalls.worst, largest);
  assert.ok(!wire().some(isZero));

  b.write('a.conf', fast('vrrp_garp_master_dealy 3'));
  process.kill(b.pid, 'SIGHUP');
  await until('the refusal', () => lines.some((l) => l.text.includes('stays in force')));
  await until('what is wrong', () =>
    lines.some((l) => l.text.includes('vrrp_garp_master_dealy') && l.text.includes('a.conf:')),
  );
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
  const wordsOf = (name: string): string[] => b.read(name).trim().split('\n');
  await until('all scripts have run', () => wordsOf('told').length >= 6);
  assert.deepEqual(wordsOf('told').sort(), [
    'b',
    'i INSTANCE VI_1 BACKUP 100',
    'i INSTANCE VI_1 MASTER 100',
    'i INSTANCE VI_1 STOP 100',
    'm',
    's',
  ]);
  await until('the FIFO reader has written all', () => wordsOf('fifo.out').length >= 6);
  const fifoOf = (of: string): string[] => wordsOf('fifo.out').filter((l) => l.startsWith(of));
  assert.deepEqual(
    fifoOf('INSTANCE'),
    ['BACKUP', 'MASTER', 'STOP'].map((state) => `INSTANCE "VI_1" ${state} 100`),
  );
  assert.deepEqual(
    fifoOf('GROUP'),
    ['BACKUP', 'MASTER', 'STOP'].map((state) => `GROUP "G1" ${state} 0`),
  );
});

test('a tracked script that fails puts the instance in FAULT, and back when it succeeds again', { skip }, async (t) => {
  const b = new Bench(t);
  const script = b.write('c.sh', `#!/bin/sh\ntest ! -e ${b.folder}/broken\n`, 0o755);
  const check = `vrrp_script chk {\n script ${script}\n interval 0.1\n timeout 60\n}\n`;
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
  await until('status finds nothing wrong', () => b.command('status', '-p', b.pidFile).status === 0);
});

test('a tracked file and a tracked process decide as they should', { skip }, async (t) => {
  const b = new Bench(t);
  const file = b.write('switch', '0\n');
  // Processes are looked for on the whole machine: a number that no other run has.
  const seconds = `${7_000_000 + process.pid}`;
  const track = `track_file sw {\n file ${file}\n}\nvrrp_track_process sl {\n process sleep ${seconds}\n full_command\n}\n`;
  const use = 'track_file {\n sw weight 0\n }\n track_process {\n sl weight 0\n }';
  b.daemon(b.write('a.conf', track + fast('', use)));
  const state = (): string =>
    JSON.parse(b.command('status', '--json', '-p', b.pidFile).output).instances?.[0]?.state ?? '';
  await until('the daemon', () => existsSync(b.pidFile.replace('.pid', '.sock')));
  await until('FAULT, since the process is missing', () => state() === 'FAULT');
  b.start(['sleep', seconds]);
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
  const about = (): string[] => lines.map((l) => l.text).filter((l) => l.includes('eth77'));
  await until('the line', () => about().length > 0);
  assert.equal(about().length, 1, about().join('\n'));
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
  assert.equal(lines.length, 1, lines.map((l) => l.text).join('\n'));
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
  const wire = await b.capture();
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
  await until('a priority 0 advert', () => wire().some(isZero));
  assert.ok(b.holds(VIP));
});
