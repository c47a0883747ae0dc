import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, text } from '../../base/index.ts';
import { ALONE, mirror, RESYNC, sync, volume } from './document.fixture.ts';
import { changeLines, existsLines, reasonLines } from './events.ts';
import { Progress } from './progress.ts';
import { waitState } from './waiting.ts';

const connected = mirror({ name: 'r0', connection: 'Connected' }, volume({}));
test('only what changed is told, with the words that changed; a new mirror is created, one that went is destroyed', () => {
  assert.deepEqual(changeLines([connected], [connected]), []);
  const away = mirror(
    { name: 'r0', connection: 'WFConnection' },
    volume({ connection: 'WFConnection', peerRole: 'Unknown', peerDisk: 'DUnknown' }),
  );
  assert.deepEqual(changeLines([connected], [away]), [
    'change connection name:r0 peer-node-id:0 connection:Connecting role:Unknown',
    'change peer-device name:r0 peer-node-id:0 volume:0 replication:Off peer-disk:DUnknown',
  ]);
  assert.deepEqual(
    changeLines([], [connected]).map((l) => l.replace(/^create/, 'exists')),
    existsLines([connected]).slice(0, -1),
  );
  assert.deepEqual(
    changeLines([connected], []).map((l) => l.split(' ').slice(0, 2).join(' ')),
    ['destroy peer-device', 'destroy device', 'destroy connection', 'destroy resource'],
  );
});

test('each reason is told once, with its time', () => {
  const r = (at: number) => ({ at, code: 'mirror.role', volume: undefined, text: text(`t${at}`, '') });
  const [a, b] = [mirror({ reasons: [r(1), r(2)] }, volume({})), mirror({ reasons: [r(2), r(3)] }, volume({}))];
  assert.deepEqual(reasonLines([a], [b], 'en', String), ['3 r0: t3']);
  assert.deepEqual(reasonLines([], [b], 'en', String), ['2 r0: t2', '3 r0: t3']);
});

test('nobody waits for a peer that is not looked for, nor is a resync over while blocks differ', () => {
  assert.equal(waitState(ALONE, 'connect'), 'never');
  assert.equal(waitState(connected, 'sync'), 'done');
  assert.equal(waitState(RESYNC, 'sync'), 'wait');
  assert.equal(waitState(RESYNC, 'connect'), 'done');
  assert.equal(waitState(mirror({ connection: 'Connected' }, volume({ outOfSync: bytes(4096) })), 'sync'), 'wait');
  assert.equal(waitState(mirror({ connection: 'WFConnection' }, volume({})), 'sync'), 'wait');
});

test('progress is one line on a terminal, and elsewhere a plain line for each tenth or ten seconds', () => {
  const at = (done: number) =>
    mirror({}, volume({ connection: 'SyncSource', sync: sync({ total: bytes(1000), done: bytes(done) }) }));
  const plain: string[] = [];
  const p = new Progress((s) => plain.push(s), false);
  for (let done = 0; done <= 1000; done += 10) p.show(at(done), 'en', done);
  assert.equal(plain.length, 11);
  assert.ok(
    plain.every((l) => /^r0 resync \[#*\.*\] \d+ %.*\n$/.test(l)),
    plain.join(''),
  );
  p.show(at(1000), 'en', 11_000);
  assert.equal(plain.length, 12, 'it still lives');
  const drawn: string[] = [];
  const q = new Progress((s) => drawn.push(s), true);
  q.show(at(10), 'en', 0);
  q.show(at(20), 'en', 1);
  q.end();
  assert.ok(drawn[0]?.startsWith('\r') && drawn[1]?.startsWith('\r') && drawn[2] === '\n');
});
