import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { golden } from '../../../test/golden/golden.ts';
import { type IpAddress, type Microseconds, text, us } from '../../base/index.ts';
import { readKeepalivedConf } from '../../config/keepalived/index.ts';
import type { DirectorConfig, GroupMember, SyncDaemon } from '../config.ts';
import { exampleServer, exampleService } from '../example.ts';
import type { WantedService } from '../types.ts';
import { poolConfig } from './config.ts';
import { describeDecision } from './describe.ts';
import { begin, step } from './machine.ts';
import { notificationOf } from './notify.ts';
import type { PoolConfig } from './types.ts';
import { servicesOf, syncOf, widest } from './wanted.ts';

const corpus = join(
  process.env['HOLDFAST_CORPUS'] ?? resolve(import.meta.dirname, '../../../../shared/corpus'),
  'keepalived',
);
function directorOf(t: TestContext, name: string): DirectorConfig | undefined {
  const path = join(corpus, name);
  if (!existsSync(path)) {
    t.skip(`${name} is not here: set HOLDFAST_CORPUS to the folder of real configurations`);
    return undefined;
  }
  return configOf(readFileSync(path, 'utf8'));
}
function configOf(content: string): DirectorConfig {
  const files = { read: (path: string) => (path === 'k' ? content : undefined), glob: () => [] };
  const read = readKeepalivedConf({ file: 'k', files });
  assert.ok(read.config, read.diagnostics.map((d) => d.message.en).join('\n'));
  return read.config.director;
}

/** One line for a service, one for each server. */
function render(s: WantedService): string {
  const m = s.match;
  const ranges =
    m.by === 'fwmark'
      ? `mark ${m.mark} ipv${m.family}`
      : `${m.protocol} ${m.ranges.map((r) => (r.from === r.to ? r.from : `${r.from}-${r.to}`)).join(',')} port ${m.port}`;
  const more = [
    ...s.flags,
    s.onePacket ? 'one-packet' : '',
    s.persistence ? `persistent ${s.persistence.seconds} s /${s.persistence.granularity ?? 'host'}` : '',
  ].filter((x) => x !== '');
  const servers = s.servers.map(
    (x) =>
      `  ${x.key} weight ${x.weight} ${x.forwarding.method}${x.upperThreshold ? ` at most ${x.upperThreshold}` : ''}`,
  );
  return [`${s.key}: ${ranges}, ${[s.scheduler, ...more].join(' ')}`, ...servers].join('\n');
}

/** A story of one pool: what happened, what was decided, what is wanted then. */
function story(c: PoolConfig, d: DirectorConfig, moves: readonly (readonly [number, string, 'up' | 'down'])[]): string {
  const out: string[] = [];
  let { state, decisions } = begin(c, us(0));
  const show = (title: string): void => {
    out.push(`== ${title}`);
    for (const x of decisions) {
      out.push(describeDecision(c, x).en, describeDecision(c, x).zh);
      const n = notificationOf(c, x, { checkMails: true });
      if (n?.fifo) out.push(`fifo: ${n.fifo.trim()}`);
      if (n?.mail) out.push(`mail: ${n.mail.subject} / ${n.mail.body}`);
    }
    for (const s of servicesOf(c, state, d.groups)) out.push(render(s));
  };
  show('start');
  for (const [at, server, verdict] of moves) {
    const id = c.servers.find((s) => s.key === server)?.checks[0]?.id ?? '';
    const reason = verdict === 'up' ? text('answered 200', '返回 200') : text('connection refused', '连接被拒绝');
    const now = (at * 1_000_000) as Microseconds;
    ({ state, decisions } = step(c, state, { kind: 'check', id, verdict, reason, weight: undefined }, now));
    show(`${at} s: ${server} ${verdict}`);
  }
  return out.join('\n');
}

test('the seed configuration: both servers, one dead, both dead and the sorry server, one back', (t) => {
  const d = directorOf(t, 'seed.conf');
  if (!d) return;
  const c = poolConfig(d.virtualServers[0] as never, { notifyAtStart: false });
  const [a, b] = ['192.168.1.11:80', '192.168.1.12:80'];
  golden(
    t,
    'pool-seed.conf',
    story(c, d, [
      [7, a, 'down'],
      [9, b, 'down'],
      [20, b, 'up'],
      [21, a, 'up'],
    ]),
  );
});

const servers = [
  exampleServer('192.168.1.11'),
  exampleServer('2001:db8::11'),
  exampleServer('10.9.0.1', { forwarding: { method: 'tunnel', type: 'ipip', checksum: 'none' } }),
];
const group = (members: readonly GroupMember[]): string => {
  const c = poolConfig(exampleService(servers, { service: { by: 'group', group: 'web', protocol: 'tcp' } }), {
    notifyAtStart: false,
  });
  return servicesOf(c, begin(c, us(0)).state, [{ name: 'web', members }])
    .map(render)
    .join('\n');
};
const ip = (a: string): IpAddress => a as IpAddress;

test('a group becomes one service for each port and family and one for each mark; only a tunnel crosses families, and DR keeps the port', (t) =>
  golden(
    t,
    'pool-group',
    group([
      { by: 'range', from: ip('192.168.1.99'), to: ip('192.168.1.99'), port: 80 },
      { by: 'range', from: ip('192.168.1.100'), to: ip('192.168.1.109'), port: 80 },
      { by: 'range', from: ip('192.168.1.99'), to: ip('192.168.1.99'), port: 443 },
      { by: 'range', from: ip('2001:db8::99'), to: ip('2001:db8::99'), port: 80 },
      { by: 'fwmark', mark: 3, family: undefined },
      { by: 'fwmark', mark: 4, family: 6 },
      { by: 'range', from: ip('192.168.1.99'), to: ip('192.168.1.99'), port: 80 },
    ]),
  ));

test('real configurations with groups, marks, quorum and inhibit have a service for each thing that clients can reach', (t) => {
  const seen = new Set<string>();
  for (const name of [
    'keepalived.conf.virtual_server_group',
    'keepalived.conf.fwmark',
    'keepalived.conf.quorum',
    'keepalived.conf.inhibit',
  ]) {
    const d = directorOf(t, name);
    if (!d) return;
    assert.ok(d.virtualServers.length > 0, name);
    for (const v of d.virtualServers) {
      const c = poolConfig(v, { notifyAtStart: false });
      const wanted = widest(c, begin(c, us(0)).state, d.groups);
      assert.ok(wanted.length > 0, `${name}: ${c.key}`);
      for (const s of wanted) {
        assert.ok(!seen.has(`${name} ${s.key}`), `${name}: ${s.key} twice`);
        seen.add(`${name} ${s.key}`);
        assert.ok(s.servers.length > 0, `${name}: ${s.key} has no server`);
      }
    }
  }
  assert.ok(seen.size >= 5, [...seen].join('\n'));
});

test('the synchronisation daemons follow the instance; without one both run', () => {
  const s: SyncDaemon = { interface: 'eth0', instance: 'VI_1', port: 8848, group: ip('224.0.0.81') };
  const roles = (x: SyncDaemon, view?: { master: boolean; virtualRouterId: number }): string[] =>
    syncOf(x, view).map((w) => `${w.role} ${w.id}`);
  assert.deepEqual(roles(s), [], 'not with an id that is not known yet');
  assert.deepEqual(roles({ ...s, id: 7 }), ['backup 7']);
  assert.deepEqual(roles(s, { master: false, virtualRouterId: 33 }), ['backup 33']);
  assert.deepEqual(roles(s, { master: true, virtualRouterId: 33 }), ['master 33']);
  assert.deepEqual(roles({ ...s, id: 7 }, { master: true, virtualRouterId: 33 }), ['master 7']);
  const { instance: _, ...alone } = s;
  assert.deepEqual(roles(alone), ['master 0', 'backup 0']);
  assert.deepEqual(syncOf(undefined, undefined), []);
});
