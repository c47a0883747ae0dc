/** Volumes that are added to a connection that works and taken out of it, with a peer that has them earlier, later or never. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text, us } from '../../../base/index.ts';
import { DRBD_CONNECTIONS, type DrbdPacket, decodeState, STATE_BITS, sector } from '../../../wire/index.ts';
import type { MirrorConfig } from '../../config.ts';
import { MIRROR_REFUSALS } from '../../status.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';

const two = (): MirrorConfig => {
  const one = rigConfig();
  return { ...one, volumes: [...one.volumes, ...one.volumes.map((v) => ({ ...v, number: 1, minor: 1 }))] };
};
let nextId = 1000;
/** Its answer, if it is there. */
function adjust(r: Rig, config: MirrorConfig, has: 'equal' | 'nothing' = 'equal'): boolean | undefined {
  return r.answers.get(asked(r, config, has))?.ok;
}
function asked(r: Rig, config: MirrorConfig, has: 'equal' | 'nothing' = 'equal', reconnects = false): number {
  const id = nextId++;
  const devices = config.volumes.length === 1 ? [] : [r.moreDisk(1, has)];
  const words = text('adjusted', '已调整');
  const adjusted = { config, secret: undefined, devices, reconnects, words };
  r.resource.handle({ kind: 'adjust', id, adjusted }, us(r.now));
  r.run();
  return id;
}
/** What is said of a volume: the kind of packet, and of states the connection that they tell. */
const heard = (all: readonly DrbdPacket[], volume = 1): string[] =>
  all.flatMap((p) => {
    if (p.volume !== volume) return [];
    return [p.kind === 'P_STATE' ? `P_STATE ${DRBD_CONNECTIONS[decodeState(p.state).connection]}` : p.kind];
  });
const TOLD = ['P_SYNC_PARAM89', 'P_SIZES', 'P_UUIDS', 'P_STATE WFReportParams'];
const ANSWERED = [...TOLD.slice(0, 3), 'P_STATE WFConnection', 'P_STATE Connected'];
/** The peer tells of the volume what we have told, as if it had the same. */
function peerTells(r: Rig, told: readonly DrbdPacket[], as: 'WFReportParams' | 'WFConnection'): void {
  const state = stateOf(as, ['Secondary', 'Unknown'], ['UpToDate', 'DUnknown']);
  for (const p of told) r.hear(p.kind === 'P_STATE' ? { ...p, state } : p);
}
const peerIs = (
  r: Rig,
  connection: (typeof DRBD_CONNECTIONS)[number],
  disk: 'UpToDate' | 'Diskless',
  volume = 1,
): void =>
  r.hear({ kind: 'P_STATE', volume, state: stateOf(connection, ['Secondary', 'Secondary'], [disk, 'UpToDate']) });
const states = (r: Rig): string[] => r.resource.volumes.map((v) => `${v.connection} ${v.disk}/${v.peerDisk}`);

function waiting(): { readonly r: Rig; readonly told: readonly DrbdPacket[] } {
  const r = new Rig();
  r.connect();
  r.promote();
  assert.equal(adjust(r, two()), true);
  return { r, told: r.packets() };
}

test('a volume that comes is told of as a whole, and waits; who uses the other one notices nothing', () => {
  const { r, told } = waiting();
  assert.deepEqual(heard(told), TOLD);
  assert.deepEqual(heard(told, 0), []);
  assert.deepEqual(states(r), ['Connected UpToDate/UpToDate', 'WFReportParams UpToDate/DUnknown']);
  r.app({ op: 'write', tag: 1, offset: 0, bytes: new Uint8Array(512), through: false });
  assert.deepEqual(heard(r.packets(), 0), ['P_DATA']);
});
test('when the peer has it too, it is told once more and compared, and both are Connected', () => {
  const { r, told } = waiting();
  peerTells(r, told, 'WFReportParams');
  assert.deepEqual(heard(r.packets()), ANSWERED);
  assert.deepEqual(states(r)[1], 'Connected UpToDate/UpToDate');
  peerIs(r, 'Connected', 'UpToDate');
  assert.equal(r.resource.connection, 'Connected');
});
test('the answer of a peer that had it first is compared at once, and not answered again', () => {
  const { r, told } = waiting();
  peerTells(r, told, 'WFConnection');
  assert.deepEqual(heard(r.packets()), ['P_STATE Connected']);
  assert.deepEqual(states(r)[1], 'Connected UpToDate/UpToDate');
});
test('where both tell at once, the answers to that change nothing any more', () => {
  const { r, told } = waiting();
  peerTells(r, told, 'WFReportParams');
  r.packets();
  peerTells(r, told, 'WFConnection');
  peerIs(r, 'Connected', 'UpToDate');
  assert.deepEqual(heard(r.packets()), []);
  assert.deepEqual(states(r)[1], 'Connected UpToDate/UpToDate');
});
test('a kernel that had it first compares alone: then the connection is made anew', () => {
  const { r } = waiting();
  peerIs(r, 'Connected', 'UpToDate');
  assert.equal(r.resource.connection, 'WFConnection');
});
test('what the peer tells of a volume that is not here is passed over', () => {
  const { told } = waiting();
  const r = new Rig();
  r.connect();
  peerTells(r, told, 'WFReportParams');
  assert.deepEqual([r.resource.connection, r.packets()], ['Connected', []]);
});
test('a peer that has not all volumes is connected all the same, as soon as it answers what it was told of the others', () => {
  const r = new Rig();
  r.ask({ verb: 'up' });
  assert.equal(adjust(r, two()), true);
  r.meet();
  for (const p of r.packets())
    if (p.volume === 0 && p.kind === 'P_STATE') {
      const told = stateOf('WFConnection', ['Secondary', 'Unknown'], ['UpToDate', 'DUnknown']);
      r.hear({ ...p, state: told });
    } else if (p.volume === 0 && p.kind !== 'P_CONNECTION_FEATURES' && p.kind !== 'P_INITIAL_DATA') r.hear(p);
  assert.equal(r.resource.connection, 'WFReportParams');
  peerIs(r, 'Connected', 'UpToDate', 0);
  assert.equal(r.resource.connection, 'Connected');
  assert.match(states(r)[1] ?? '', /^WFReportParams/);
});
test('a volume without metadata does not come, and nothing is changed', () => {
  const r = new Rig();
  r.connect();
  assert.equal(adjust(r, two(), 'nothing'), false);
  assert.deepEqual([r.resource.volumes.length, r.resource.config.volumes.length, r.packets()], [1, 1, []]);
});
test('a promotion that is asked for again takes the new volume along, and asks the peer nothing of what it does not have', () => {
  const { r } = waiting();
  const id = r.ask({ verb: 'primary', force: false });
  assert.equal(r.answers.get(id)?.ok, true);
  assert.deepEqual(heard(r.packets()), TOLD, 'what has changed is told');
  assert.deepEqual(
    r.resource.volumes.map((v) => v.role),
    ['Primary', 'Primary'],
  );
  const other = waiting().r;
  other.ask({ verb: 'primary', force: false, only: [0] });
  assert.equal(other.resource.volume(1).role, 'Secondary');
});
test('a volume that goes is detached as the peer agrees to, and said goodbye to', () => {
  const { r, told } = waiting();
  peerTells(r, told, 'WFReportParams');
  peerIs(r, 'Connected', 'UpToDate');
  r.packets();
  assert.equal(adjust(r, rigConfig()), undefined, 'the peer is asked first');
  for (let i = 0; i < 2; i++) {
    assert.ok(heard(r.packets()).includes('P_STATE_CHG_REQ'));
    r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
    r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 1, result: 1 }, 'meta');
  }
  assert.deepEqual(heard(r.packets()).at(-1), 'P_STATE StandAlone');
  assert.deepEqual(states(r), ['Connected UpToDate/UpToDate']);
  assert.equal(r.resource.config.volumes.length, 1);
});
/** Both have both; the first is primary here. */
function both(): Rig {
  const { r, told } = waiting();
  peerTells(r, told, 'WFReportParams');
  peerIs(r, 'Connected', 'UpToDate');
  r.packets();
  return r;
}
/** It is asked before the disk goes, and told when it is gone. */
function peerAgrees(r: Rig): void {
  for (let i = 0; i < 2; i++) {
    r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
    r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 1, result: 1 }, 'meta');
  }
}
const write = (r: Rig): void => r.app({ op: 'write', tag: 1, offset: 0, bytes: new Uint8Array(512), through: false });

test('a volume does not go while a demotion waits for the peer: its disk stays attached', () => {
  const r = both();
  write(r);
  const demotion = r.ask({ verb: 'secondary' });
  const id = asked(r, rigConfig());
  peerAgrees(r);
  assert.deepEqual([r.answers.get(demotion), r.answers.get(id)?.ok], [undefined, false]);
  assert.deepEqual(states(r)[1], 'Connected UpToDate/UpToDate');
});
test('roles change before a volume goes or after that: a demotion waits, a promotion is to be asked for again', () => {
  const r = both();
  const id = asked(r, rigConfig());
  const promotion = r.answers.get(r.ask({ verb: 'primary', force: false, only: [1] }));
  const demotion = r.ask({ verb: 'secondary' });
  assert.equal(promotion?.ok === false && promotion.code, 'in-transient');
  assert.deepEqual([r.answers.get(id), r.answers.get(demotion)], [undefined, undefined]);
  // What is asked of a disk from then on is the demotion's.
  r.holdDisk = () => r.resource.volumes[1]?.backing === undefined;
  peerAgrees(r);
  assert.deepEqual([r.answers.get(id)?.ok, r.answers.get(demotion)?.ok], [true, undefined]);
  r.holdDisk = () => false;
  for (const finish of r.held.splice(0)) finish();
  assert.equal(r.answers.get(demotion)?.ok, true);
  assert.deepEqual([states(r), r.resource.primary], [['Connected UpToDate/UpToDate'], false]);
});
test('a volume that was detached, and whose peer does not let the connection go, is attached again', () => {
  const r = both();
  const id = asked(r, rigConfig(), 'equal', true);
  peerAgrees(r);
  assert.deepEqual([states(r)[1], r.answers.get(id)], ['Connected Diskless/UpToDate', undefined]);
  r.hear({ kind: 'P_CONN_ST_CHG_REPLY', volume: 0, result: -10 }, 'meta');
  assert.equal(r.answers.get(id)?.ok, false);
  assert.deepEqual(states(r)[1], 'Connected Negotiating/UpToDate');
  assert.ok(heard(r.packets()).includes('P_UUIDS'), 'the peer is told, and both compare');
});
test('a volume that could not be attached again is said to have stayed detached', () => {
  const r = both();
  const id = asked(r, rigConfig(), 'equal', true);
  peerAgrees(r);
  r.failDisk = (o) => o.op === 'read';
  r.hear({ kind: 'P_CONN_ST_CHG_REPLY', volume: 0, result: -10 }, 'meta');
  assert.match(r.answers.get(id)?.text.en ?? '', /could not be attached again: the metadata cannot be read/);
  assert.equal(r.resource.volume(1).disk, 'Diskless');
});
test('a farewell of the peer leaves ours waiting, and it joins again when the peer has it again', () => {
  const { r, told } = waiting();
  peerTells(r, told, 'WFReportParams');
  peerIs(r, 'Connected', 'UpToDate');
  peerIs(r, 'Connected', 'Diskless');
  peerIs(r, 'StandAlone', 'Diskless');
  assert.deepEqual(states(r), ['Connected UpToDate/UpToDate', 'WFReportParams UpToDate/DUnknown']);
  r.packets();
  peerTells(r, told, 'WFReportParams');
  assert.deepEqual(heard(r.packets()), ANSWERED);
  assert.deepEqual(states(r)[1], 'Connected UpToDate/UpToDate');
});
test('a kernel whose volume is taken out and added again has no disk at first, and tells no identifiers: it is compared with none of before', () => {
  const r = both();
  const primaryIs = (disk: 'UpToDate' | 'Diskless'): void =>
    r.hear({ kind: 'P_STATE', volume: 1, state: stateOf('Connected', ['Primary', 'Secondary'], [disk, 'UpToDate']) });
  primaryIs('UpToDate');
  const before = r.resource.volume(1).uuids.current;
  primaryIs('Diskless');
  assert.notEqual(r.resource.volume(1).uuids.current, before, 'what comes now the disk that went does not have');
  peerIs(r, 'Connected', 'Diskless');
  r.packets();
  peerIs(r, 'WFReportParams', 'Diskless');
  assert.deepEqual(heard(r.packets()), ANSWERED);
  assert.deepEqual([states(r)[1], r.resource.connection], ['Connected UpToDate/Diskless', 'Connected']);
});
test('a kernel that takes its volume out asks for that, and ours waits, and joins when it is there again', () => {
  const { r, told } = waiting();
  peerTells(r, told, 'WFReportParams');
  peerIs(r, 'Connected', 'UpToDate');
  r.packets();
  const asks = (): (number | undefined)[] => {
    const [at, bits] = STATE_BITS.connection;
    const value = DRBD_CONNECTIONS.indexOf('WFReportParams') << at;
    r.hear({ kind: 'P_STATE_CHG_REQ', volume: 1, mask: ((1 << bits) - 1) << at, value });
    return r.packets().map((p) => ('result' in p ? p.result : undefined));
  };
  assert.deepEqual(asks(), [MIRROR_REFUSALS['not-supported']], 'it still has a disk');
  peerIs(r, 'Connected', 'Diskless');
  r.packets();
  assert.deepEqual(asks(), [1]);
  assert.deepEqual(states(r), ['Connected UpToDate/UpToDate', 'WFReportParams UpToDate/DUnknown']);
  peerIs(r, 'WFReportParams', 'Diskless');
  assert.deepEqual([r.packets(), r.resource.connection], [[], 'Connected']);
  for (const p of told)
    if (p.kind === 'P_SIZES') r.hear({ ...p, diskSize: sector(0), userSize: sector(0), currentSize: sector(0) });
  peerIs(r, 'WFReportParams', 'Diskless');
  assert.deepEqual(heard(r.packets()), ANSWERED);
  assert.deepEqual(states(r)[1], 'Connected UpToDate/Diskless');
});
