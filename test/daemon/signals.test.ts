/** What the signals of keepalived do: dumps of data, statistics and JSON, and the reset of counters; script security; startup scripts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bench, exitOf, until, whyNot } from './bench.ts';

const skip = whyNot();
const config = (b: Bench, more = ''): string => `
global_defs {
  vrrp_version 3
  script_user root
  state_dump_file ${b.folder}/data
  stats_dump_file ${b.folder}/stats
  json_dump_file ${b.folder}/json
  ${more}
}
vrrp_instance VI_1 {
  interface ens33
  virtual_router_id 33
  advert_int 0.1
  virtual_ipaddress {
    192.168.1.99/24
  }
}
`;

test('SIGUSR1, SIGUSR2 and the real-time signals write what they are asked for', { skip }, async (t) => {
  const b = new Bench(t);
  b.daemon(b.write('a.conf', config(b)));
  await until('the address', () => b.holds('192.168.1.99'));
  const numbers = new Map<string, string>();
  const signal = (name: string): void => {
    const number = numbers.get(name) ?? b.command('keepalived', `--signum=${name}`).output.trim();
    numbers.set(name, number);
    execFileSync('kill', ['-s', number, String(b.pid)]);
  };
  signal('DATA');
  await until('the data dump', () => b.read('data').includes('Trackers'));
  assert.match(b.read('data'), /VRRP Instance = VI_1\n {3}State = MASTER/);
  signal('STATS');
  await until('the statistics dump', () => b.read('stats').includes('VI_1'));
  assert.match(b.read('stats'), /becameMaster: 1/);
  // Which of two signals comes first is the kernel's to say: the next one is sent when this one has been served.
  signal('STATS_CLEAR');
  await until('the counters are cleared', () => {
    signal('STATS');
    return b.read('stats').includes('becameMaster: 0');
  });
  signal('JSON');
  await until('the JSON dump', () => b.read('json').endsWith('}\n'));
  const json = JSON.parse(b.read('json'));
  assert.equal(json.instances[0].state, 'MASTER');
  assert.equal(json.statistics.VI_1.becameMaster, 0, 'cleared before');
});

test('startup and shutdown scripts run before and after everything else', { skip }, async (t) => {
  const b = new Bench(t);
  const script = b.write(
    's.sh',
    `#!/bin/sh\necho "$1 $(ip -o addr show ens33 | grep -c 1.99)" >> ${b.folder}/told\n`,
    0o755,
  );
  const { child } = b.daemon(
    b.write('a.conf', config(b, `startup_script "${script} up"\n shutdown_script "${script} down"`)),
  );
  await until('the address', () => b.holds('192.168.1.99'));
  process.kill(b.pid, 'SIGTERM');
  assert.equal(await exitOf(child), 0);
  assert.equal(b.read('told'), 'up 0\ndown 0\n');
});

test('script security names the part of the path that others can write, and refuses', {
  skip: skip ?? (statSync('/').uid === 0 ? false : 'in the user namespace of an ordinary user, / is not of root'),
}, async (t) => {
  const b = new Bench(t);
  const script = b.write('s.sh', '#!/bin/sh\n', 0o777);
  execFileSync('chmod', ['777', script]);
  const file = b.write('a.conf', config(b, `enable_script_security\n startup_script ${script}`));
  const found = b.command('keepalived', '-t', '--lang=en', '-f', file);
  assert.equal(found.status, 2);
  assert.match(found.output, /is writable by everybody \[script-insecure\]/);
});

test('the configuration is saved, a scheduled reload happens, and reload_file is there only while reading', {
  skip,
}, async (t) => {
  const b = new Bench(t);
  const more = `config_save_dir ${b.folder}/saved\n reload_time_file ${b.folder}/when\n reload_file ${b.folder}/reading`;
  b.daemon(b.write('a.conf', config(b, more)));
  await until('the address', () => b.holds('192.168.1.99'));
  // Far enough for the daemon to read it before its time has come: it looks once a second.
  b.write('when', new Date(Date.now() + 6000).toISOString().replace('T', ' ').replace(/\.\d+/, ''));
  await until('the reload', () => existsSync(join(b.folder, 'saved/keepalived.conf.2')));
  await until('the schedule is used up', () => !existsSync(join(b.folder, 'when')));
  await until('reload_file is gone', () => !existsSync(join(b.folder, 'reading')));
  assert.ok(b.holds('192.168.1.99'));
});
