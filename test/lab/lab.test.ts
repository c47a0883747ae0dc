/** The lab itself, on the real kernel. What it cuts must be cut, and nothing may be left of it. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../src/host/linux/index.ts';
import {
  type Host,
  Lab,
  type LabDefinition,
  LabError,
  now,
  type Probe,
  startProbe,
  startResponder,
} from '../../src/lab/index.ts';
import { withoutTcpdump } from '../support/tcpdump.ts';

const possible = spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).status === 0;
const skip = possible ? false : 'needs root or user namespaces';

const onLan = (last: number) => ({
  links: { ens33: { to: 'lan', addresses: [`192.168.1.${last}/24`, `2001:db8::${last}/64`] } },
});
const three = { switches: ['lan'], hosts: { d1: onLan(10), d2: onLan(11), client: onLan(20) } };
const PORT = 9000;
const address = { d1: '192.168.1.10', d2: '192.168.1.11', client: '192.168.1.20' } as const;

/** Longer than anything here takes on a busy machine, whose end is waited for. Milliseconds. */
const PATIENCE = 60_000;
/** Asks `to` over UDP every 5 ms from `from`, and waits for the first answer. */
async function watch(lab: Lab, from: string, to: keyof typeof address): Promise<Probe> {
  const target = { udp: { address: address[to], port: PORT } };
  const probe = await startProbe(lab.host(from), target, { intervalMs: 5, patienceMs: 2000 });
  assert.equal((await probe.answered({ timeoutMs: PATIENCE }))?.by, to);
  return probe;
}
/** Something that is asked for from now on is answered. */
const reaches = async (p: Probe): Promise<void> =>
  assert.ok(await p.answered({ timeoutMs: PATIENCE }), `no answer within ${PATIENCE} ms`);
/** Nothing that is asked for from now on is answered within half a second. */
const reachesNothing = async (p: Probe): Promise<void> =>
  assert.equal(await p.answered({ timeoutMs: 500 }), undefined, 'nothing should be answered');
async function until(what: string, so: () => Promise<boolean> | boolean): Promise<void> {
  const end = now() + PATIENCE * 1000;
  while (!(await so())) {
    if (now() > end) throw new Error(`waited ${PATIENCE} ms in vain: ${what}`);
    await sleep(20);
  }
}

const pidNamespace = (pid: string | number): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
};
/** Processes that are in one of these network namespaces. */
const processesIn = (spaces: ReadonlySet<string>): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return spaces.has(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      return false;
    }
  });

test('hosts reach each other by name, over both families, with their own hostname, processes and files', {
  skip,
}, async () => {
  await using lab = await Lab.start({
    switches: ['lan'],
    hosts: {
      d1: { ...onLan(10), files: { '/etc/keepalived/keepalived.conf': 'one\n' }, hostname: 'director-1.example' },
      client: { ...onLan(20), files: { '/etc/keepalived/keepalived.conf': 'two\n' } },
    },
  });
  const [d1, client] = [lab.host('d1'), lab.host('client')];
  await startResponder(d1, PORT);
  for (const url of ['http://d1:9000/', 'http://[2001:db8::10]:9000/']) {
    const probe = await startProbe(client, { http: url });
    assert.equal((await probe.answered({ timeoutMs: PATIENCE }))?.by, 'director-1.example', url);
    await probe.stop();
  }
  assert.equal((await d1.run(['cat', '/etc/keepalived/keepalived.conf'])).stdout, 'one\n');
  assert.equal((await client.run(['cat', '/etc/keepalived/keepalived.conf'])).stdout, 'two\n');
  await d1.run(['sh', '-c', 'echo 1 > /run/x.pid; echo 1 > /var/log/x.log']);
  assert.equal((await client.run(['sh', '-c', 'ls /run/x.pid /var/log/x.log'])).code, 2);
  assert.equal(d1.read('/run/x.pid'), '1\n');
  assert.throws(() => d1.write('/usr/bin/x', ''), LabError);
  const links = await d1.run(['ip', '-brief', 'link']);
  assert.match(links.stdout, /^ens33@\S+ +UP +02:4c:00:00:01:01/m);
});

test('a result tells code, signal, both streams, and that the time was over', { skip }, async () => {
  await using lab = await Lab.start({ switches: [], hosts: { one: {} } });
  const one = lab.host('one');
  const failed = await one.run(['sh', '-c', 'cat; echo oops >&2; exit 3'], { input: 'said\n' });
  assert.deepEqual(failed, { code: 3, signal: undefined, stdout: 'said\n', stderr: 'oops\n', timedOut: false });
  const slow = await one.run(['sleep', '60'], { timeout: 200 });
  assert.deepEqual([slow.signal, slow.timedOut], ['SIGKILL', true]);
  // 126 where a folder of PATH may not be searched, as in an ordinary user's namespace.
  assert.ok([126, 127].includes((await one.run(['no-such-program'])).code ?? 0));
  // A daemon that keeps its parent's pipes open must not hold the result back.
  const started = performance.now();
  assert.equal((await one.run(['sh', '-c', 'sleep 600 & echo up'])).stdout, 'up\n');
  assert.ok(performance.now() - started < 25_000, `${performance.now() - started} ms`);
  // Orphans are reaped by the host's init.
  await one.run(['sh', '-c', '(sleep 0.05 &)']);
  await until('no orphan is left', async () => {
    const { stdout } = await one.run(['ps', '-eo', 'stat=,args=']);
    return !/sleep 0\.05|^Z/m.test(stdout);
  });
});

test('multicast reaches every host on the switch', { skip }, async () => {
  await using lab = await Lab.start(three);
  const listen = `
    const s = require('dgram').createSocket({ type: 'udp4', reuseAddr: true });
    s.on('message', (m) => { console.log('heard ' + m); });
    s.bind(5000, () => { s.addMembership('224.0.0.18', process.argv[1]); console.log('ready'); });`;
  const send = `
    const s = require('dgram').createSocket('udp4');
    s.bind(0, process.argv[1], () => { s.setMulticastInterface(process.argv[1]);
      s.send('hello', 5000, '224.0.0.18', () => s.close()); });`;
  const listeners = [];
  for (const name of ['d2', 'client'] as const) {
    const p = lab.host(name).spawn([process.execPath, '-e', listen, address[name]]);
    await p.line(/^ready$/);
    listeners.push(p);
  }
  await lab.host('d1').run([process.execPath, '-e', send, address.d1]);
  for (const p of listeners) await p.line(/^heard hello$/);
});

test('a power cut silences the host at once, leaves nothing of it, and power on brings a fresh one', {
  skip,
}, async () => {
  await using lab = await Lab.start(three);
  const d1 = lab.host('d1');
  await startResponder(d1, PORT);
  d1.spawn(['sh', '-c', 'trap "" TERM HUP; sleep 1000 & wait']);
  await d1.run(['sh', '-c', 'echo x > /etc/written; echo x > /run/x.pid']);
  const space = readlinkSync(`/proc/${d1.pid}/ns/net`);
  const probe = await watch(lab, 'client', 'd1');

  const cut = await d1.powerCut();
  assert.ok(!d1.powered);
  assert.deepEqual(processesIn(new Set([space])), []);
  await sleep(400);
  const late = probe.answers.filter((a) => a.error === undefined && a.askedAt > cut);
  assert.deepEqual(late, [], 'nothing asked after the cut is answered, by no process and by no kernel');
  assert.throws(() => d1.spawn(['true']), LabError);

  await d1.powerOn();
  assert.equal(d1.read('/etc/written'), undefined);
  assert.equal(d1.read('/run/x.pid'), undefined);
  await reachesNothing(probe);
  await startResponder(d1, PORT);
  await reaches(probe);
});

test('a link cut in one direction lets the other direction through, and healing brings it back', {
  skip,
}, async () => {
  await using lab = await Lab.start(three);
  await startResponder(lab.host('d1'), PORT);
  const probe = await watch(lab, 'client', 'd1');
  const link = lab.link('d1', 'ens33');
  // What d1's kernel counts tells which direction is open: a question that arrives, or none.
  const received = async (): Promise<number> =>
    Number((await lab.host('d1').run(['cat', '/sys/class/net/ens33/statistics/rx_packets'])).stdout);

  await link.cut({ direction: 'out' });
  await reachesNothing(probe);
  const before = await received();
  await until('questions still arrive', async () => (await received()) > before + 10);
  await link.heal();
  await reaches(probe);

  await link.cut({ direction: 'in' });
  await reachesNothing(probe);
  const still = await received();
  await sleep(200);
  assert.ok((await received()) <= still + 2, 'questions no longer arrive');
  await link.heal();
  await reaches(probe);
});

test('a slow link delays by what was asked, in the direction that was asked, and TCP passes it whole', {
  skip: skip || (loadAddon().ok ? false : 'needs the native addon (npm run setup)'),
}, async () => {
  await using lab = await Lab.start(three);
  await startResponder(lab.host('d1'), PORT);
  const probe = await watch(lab, 'client', 'd1');
  const link = lab.link('d1', 'ens33');
  /** The quickest of a hundred answers to what is asked from now on, in milliseconds: a busy machine delays others more. */
  const quickest = async (): Promise<number> => {
    const from = now();
    const good = () => probe.answers.filter((a) => a.error === undefined && a.askedAt >= from);
    await until('a hundred answers', () => good().length >= 100);
    return Math.min(...good().map((a) => a.at - a.askedAt)) / 1000;
  };
  /** What the way takes without the delay, on this machine as it is now. */
  const bare = await quickest();
  await link.slow({ delayMs: 60 });
  const both = await quickest();
  assert.ok(both >= 120 && both < 180 + 5 * bare, `${both} ms, without delay ${bare} ms`);
  await link.heal();
  await link.slow({ delayMs: 60, direction: 'out' });
  const one = await quickest();
  assert.ok(one >= 60 && one < 110 + 5 * bare, `${one} ms, without delay ${bare} ms`);

  await link.slow({ delayMs: 1 });
  const size = 3_000_000;
  const serve = `require('net').createServer((s) => s.end(Buffer.alloc(${size}, 'x'))).listen(9001, () => console.log('ready'))`;
  await lab
    .host('d1')
    .spawn([process.execPath, '-e', serve])
    .line(/^ready$/);
  const read = await lab.host('client').run(['bash', '-c', 'cat < /dev/tcp/192.168.1.10/9001 | wc -c'], {
    timeout: PATIENCE,
  });
  assert.equal(Number(read.stdout), size);

  await link.heal();
  await link.slow({ loss: 1, direction: 'in' });
  await reachesNothing(probe);
  await lab.heal();
  const healed = await quickest();
  assert.ok(healed < 20 + 5 * bare, `${healed} ms, before ${bare} ms`);
  await assert.rejects(() => link.slow({ loss: 2 }), LabError);
});

test('a pulled cable is seen by its host alone; a silent cut by nobody', { skip }, async () => {
  await using lab = await Lab.start(three);
  const carrier = async (h: Host): Promise<string> =>
    (await h.run(['cat', '/sys/class/net/ens33/carrier'])).stdout.trim();
  const link = lab.link('d1', 'ens33');
  await link.cut();
  assert.equal(await carrier(lab.host('d1')), '1');
  await link.cut({ carrier: true });
  assert.equal(await carrier(lab.host('d1')), '0');
  assert.equal(await carrier(lab.host('d2')), '1');
  await lab.host('d1').powerCut();
  await lab.host('d1').powerOn();
  assert.equal(await carrier(lab.host('d1')), '0', 'the cable stays pulled over a power cut');
  await link.heal();
  assert.equal(await carrier(lab.host('d1')), '1');
});

test('a partition separates groups and nobody else', { skip }, async () => {
  await using lab = await Lab.start(three);
  await startResponder(lab.host('d1'), PORT);
  await startResponder(lab.host('d2'), PORT);
  const toD1 = await watch(lab, 'client', 'd1');
  const toD2 = await watch(lab, 'client', 'd2');
  await lab.partition([['d1'], ['d2', 'client']]);
  await reachesNothing(toD1);
  await reaches(toD2);
  await lab.partition([['d2']]);
  await reaches(toD1);
  await reachesNothing(toD2);
  await lab.heal();
  await reaches(toD1);
  await reaches(toD2);
  await assert.rejects(() => lab.partition([['nobody']]), LabError);
});

test('in a partition, a virtual MAC that both halves announce draws no traffic across', { skip }, async () => {
  const vmac = '00:00:5e:00:01:33';
  await using lab = await Lab.start(three);
  for (const name of ['d1', 'd2']) {
    const commands = [
      `ip link add link ens33 name v address ${vmac} type macvlan mode bridge`,
      'ip link set v up',
      'ip address add 192.168.1.99/32 dev v',
    ];
    if (name === 'd2') await lab.partition([['d1'], ['d2', 'client']]);
    assert.equal((await lab.host(name).run(['sh', '-ec', commands.join('\n')])).code, 0);
    await startResponder(lab.host(name), PORT);
  }
  // d1 keeps sending from the virtual MAC into its half.
  lab
    .host('d1')
    .spawn(['sh', '-c', 'while :; do echo x | bash -c "cat > /dev/udp/192.168.1.200/9" ; sleep 0.05; done']);
  const probe = await startProbe(lab.host('client'), { udp: { address: '192.168.1.99', port: PORT } });
  assert.equal((await probe.answered({ timeoutMs: PATIENCE }))?.by, 'd2');
  await sleep(300);
  assert.deepEqual([...new Set(probe.answers.map((a) => a.by))].filter(Boolean), ['d2']);
});

test('a paused host does nothing until it is resumed', { skip }, async () => {
  await using lab = await Lab.start(three);
  await startResponder(lab.host('d1'), PORT);
  const probe = await watch(lab, 'client', 'd1');
  const sleeper = lab.host('d1').spawn(['sh', '-c', 'while [ ! -e /run/go ]; do sleep 0.05; done; exit 7']);
  await lab.host('d1').pause();
  lab.host('d1').write('/run/go', '');
  await reachesNothing(probe);
  assert.equal(sleeper.running, true);
  await lab.host('d1').resume();
  await reaches(probe);
  assert.equal((await sleeper.exited).code, 7);
  await lab.host('d1').pause();
  await lab.host('d1').powerCut(); // a stopped host can lose its power too
});

test('a capture holds what passed, and what a cut then swallowed', { skip: skip || withoutTcpdump }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lab-capture-'));
  try {
    await using lab = await Lab.start(three);
    const file = join(folder, 'd1.pcap');
    const capture = await lab.link('d1', 'ens33').capture({ file, filter: 'udp port 7777' });
    const say = (words: string) => lab.host('d1').run(['bash', '-c', `echo ${words} > /dev/udp/192.168.1.11/7777`]);
    await say('before');
    await lab.link('d1', 'ens33').cut({ direction: 'out' });
    await say('swallowed');
    await until('both are in the capture', () => /before\n[\s\S]*swallowed\n/.test(readFileSync(file, 'latin1')));
    await capture.stop();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('two labs with the same names run beside each other and do not meet', { skip }, async () => {
  await using a = await Lab.start(three);
  await using b = await Lab.start(three);
  await startResponder(a.host('d1'), PORT);
  const probe = await startProbe(b.host('client'), { udp: { address: address.d1, port: PORT } });
  await reachesNothing(probe);
  await reaches(await watch(a, 'client', 'd1'));
});

test('five hosts start beside each other: sooner than one host after the other', { skip }, async (t) => {
  const five = { ...three.hosts, r1: onLan(12), r2: onLan(13) };
  /** Milliseconds until they are up. */
  const start = async (hosts: LabDefinition['hosts']): Promise<number> => {
    const from = now();
    await using _ = await Lab.start({ switches: ['lan'], hosts });
    return (now() - from) / 1000;
  };
  const times: { readonly together: number; readonly apart: number }[] = [];
  // The quickest of each: what a busy machine adds is not the lab's.
  for (let i = 0; i < 4; i++) {
    const together = await start(five);
    let apart = 0;
    for (const [name, host] of Object.entries(five)) apart += await start({ [name]: host });
    times.push({ together, apart });
  }
  const best = (of: 'together' | 'apart'): number => Math.min(...times.map((x) => x[of]));
  const words = times.map((x) => `${x.together.toFixed()} ms, one by one ${x.apart.toFixed()} ms`).join('; ');
  t.diagnostic(`start of five hosts: ${words}`);
  assert.ok(best('together') < best('apart'), words);
});

test('when the controller is killed, nothing is left: no process, no namespace, no mount, no link', {
  skip,
}, async () => {
  const mounts = readFileSync('/proc/self/mounts', 'utf8');
  const linksBefore = spawnSync('ip', ['-o', 'link'], { encoding: 'utf8' }).stdout;
  const controller = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { Lab } = await import(${JSON.stringify(import.meta.resolve('../../src/lab/index.ts'))});
       const lab = await Lab.start(${JSON.stringify(three)});
       lab.host('d1').spawn(['sh', '-c', 'trap "" TERM HUP; sleep 1000 & wait']);
       lab.host('d2').spawn(['sleep', '1000']);
       await lab.host('d2').pause();
       console.log(JSON.stringify(['d1', 'd2', 'client'].map((h) => lab.host(h).pid)));
       setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const pids = await new Promise<number[]>((resolve, reject) => {
    controller.stdout.once('data', (d: Buffer) => resolve(JSON.parse(d.toString('utf8'))));
    controller.once('exit', (code) => reject(new Error(`the controller ended with ${code}`)));
  });
  try {
    const spaces = new Set(pids.map((pid) => readlinkSync(`/proc/${pid}/ns/net`)));
    const ours = new Set(pids.map(pidNamespace));
    // Those inside, and what the controller started outside to bring them there; a zombie is gone.
    const all = readdirSync('/proc').filter(
      (pid) => /^\d+$/.test(pid) && (ours.has(pidNamespace(pid)) || status(pid, 'PPid') === `${controller.pid}`),
    );
    assert.ok(all.length >= 12);
    const left = (): string[] => all.filter((pid) => !['Z', undefined].includes(status(pid, 'State')?.[0]));
    controller.kill('SIGKILL');
    const deadline = now() + PATIENCE * 1000;
    while (left().length + processesIn(spaces).length > 0 && now() < deadline) await sleep(20);
    const still = [...left(), ...processesIn(spaces)];
    assert.deepEqual(
      still,
      [],
      still.map((pid) => `${pid}: ${status(pid, 'Name')}, ${status(pid, 'State')}`).join('\n'),
    );
  } finally {
    controller.kill('SIGKILL');
  }
  assert.equal(readFileSync('/proc/self/mounts', 'utf8'), mounts);
  assert.equal(spawnSync('ip', ['-o', 'link'], { encoding: 'utf8' }).stdout, linksBefore);
});

function status(pid: string, field: string): string | undefined {
  try {
    return new RegExp(`^${field}:\\s+(.*)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

test('a wrong definition is refused with every mistake, and starts nothing', { skip }, async () => {
  const wrong = {
    switches: ['lan'],
    hosts: { d1: { links: { ens33: { to: 'wan', addresses: ['192.168.1.10'] } }, files: { '/usr/x': '' } } },
  };
  await assert.rejects(
    () => Lab.start(wrong),
    (e) =>
      e instanceof LabError &&
      e.code === 'lab-definition' &&
      ['wan', 'prefix length', '/usr/x'].every((word) => e.text.en.includes(word)) &&
      e.text.zh.includes('前缀长度'),
  );
});
