import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceStatus, StatusDocument } from '../api/index.ts';
import { cellWidth, text } from '../base/index.ts';
import { renderExplain, renderStatus, troubles } from './render.ts';
import { age, table } from './table.ts';

const now = Date.UTC(2026, 10, 22, 12);
const vi1: InstanceStatus = {
  name: 'VI_1',
  state: 'BACKUP',
  since: now - 7_200_000,
  because: text('10.0.0.2 has the higher priority', '10.0.0.2 的优先级更高'),
  interface: 'ens33',
  virtualRouterId: 33,
  priority: 90,
  configuredPriority: 96,
  addresses: ['192.168.1.99/24'],
  held: false,
  master: { address: '10.0.0.2', priority: 100, heardMs: 412 },
  marginMs: 3213,
};
const document: StatusDocument = {
  schema: 1,
  pid: 10,
  beatPid: 11,
  startedAt: now - 90_000_000,
  configuration: { file: '/etc/k.conf', generation: 3, loadedAt: now, refusedAt: undefined },
  realtimePriority: 10,
  worstStallMs: 0,
  instances: [vi1],
  trackers: [{ kind: 'script', name: 'chk', state: 'good' }],
  virtualServers: ['192.168.1.99:80'],
  directorPid: 12,
  transitions: [{ at: now - 7_200_000, name: 'VI_1', from: 'INIT', to: 'BACKUP', because: vi1.because }],
};

test('a healthy status ends with nothing to do, in both languages', () => {
  const en = renderStatus(document, now, 'en');
  assert.equal(
    en,
    `keepalived: healthy   /etc/k.conf (generation 3), up 1d 1h

 INSTANCE  STATE     SINCE  PRIO     LINK   MASTER HEARD     ADDRESSES
 VI_1      ✓ BACKUP  2 h    90 (96)  ens33  10.0.0.2 412 ms  192.168.1.99/24

 TRACKER          STATE
 chk      script  good

 virtual servers: 192.168.1.99:80 (holdfast lb status)

Nothing needs you.
`,
  );
  assert.match(renderStatus(document, now, 'zh'), /正常[\s\S]*无需处理。\n$/);
});
test('faults, a master without its addresses, a refused reload and a dead process need somebody', () => {
  const bad: StatusDocument = {
    ...document,
    beatPid: undefined,
    configuration: { ...document.configuration, refusedAt: now },
    instances: [
      { ...vi1, state: 'FAULT' },
      { ...vi1, name: 'VI_2', state: 'MASTER' },
    ],
  };
  assert.equal(troubles(bad).length, 4);
  assert.match(renderStatus(bad, now, 'en'), /degraded[\s\S]*Needs you \(4\)\n 1\. the VRRP process is down\n/);
});
test('explain says why, what would change it, and how it came there', () => {
  assert.equal(
    renderExplain(document, vi1, 'en'),
    `VI_1 is BACKUP since 2026-11-22 10:00:00.000 UTC: 10.0.0.2 has the higher priority

 priority 90, configured 96; trackers shifted it
 its addresses are not here: 192.168.1.99/24
 master 10.0.0.2 with priority 100 was heard 412 ms ago; after 3213 ms more of silence this host takes over

 2026-11-22 10:00:00.000 UTC  INIT -> BACKUP: 10.0.0.2 has the higher priority
`,
  );
});
test('columns line up in cells, also with Chinese words', () => {
  const lines = table([
    ['实例', 'x'],
    ['a', 'y'],
  ]).split('\n');
  const column = (line: string, mark: string): number => cellWidth(line.slice(0, line.indexOf(mark)));
  assert.equal(column(lines[0] ?? '', 'x'), column(lines[1] ?? '', 'y'));
});
test('ages have two figures at most', () => {
  assert.deepEqual(
    [0, 119_000, 121_000, 7_300_000, 90_000_000].map((n) => age(n, 'en')),
    ['0 s', '119 s', '2 min', '2 h', '1d 1h'],
  );
});
