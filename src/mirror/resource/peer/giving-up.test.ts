/** `call-pri-lost-after-sb`: a primary that loses a split brain becomes secondary amid the handshake, if nobody uses it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRBD_ROLES, type DrbdPacket, decodeState, type GenerationId } from '../../../wire/index.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';

const MINE = 5;
const config = () => ({
  ...rigConfig({
    allowTwoPrimaries: true,
    after0Primaries: 'discard-least-changes',
    after2Primaries: 'call-pri-lost-after-sb',
  }),
  handlers: { 'pri-lost-after-sb': 'reboot' },
});
/** Primary without the peer, which has been primary too and has changed more; up to what the peer tells of its state. */
function diverged(before: (r: Rig) => void = () => {}): Rig {
  const r = new Rig(config());
  r.connect();
  r.promote();
  r.ask({ verb: 'disconnect', force: true });
  r.app({ op: 'write', tag: 1, offset: MINE * 4096, bytes: new Uint8Array(4096).fill(9), through: false });
  assert.equal(r.done.get(1), 0);
  r.ask({ verb: 'connect', discardMyData: false });
  r.said();
  r.meet();
  before(r);
  const told = r.packets().filter((p) => p.kind !== 'P_CONNECTION_FEATURES' && p.kind !== 'P_INITIAL_DATA');
  for (const packet of told) r.hear(peers(packet));
  return r;
}
function peers(p: DrbdPacket): DrbdPacket {
  if (p.kind === 'P_STATE')
    return { ...p, state: stateOf('WFConnection', ['Primary', 'Unknown'], ['UpToDate', 'DUnknown']) };
  if (p.kind === 'P_UUIDS') return { ...p, uuids: { ...p.uuids, current: 0xabcd_ef01n as GenerationId }, bits: 100 };
  return p;
}

test('nobody uses it: it tells the peer that it is secondary, and says why', () => {
  const r = diverged();
  assert.deepEqual([r.volume.role, r.volume.connection], ['Secondary', 'WFBitMapT']);
  const told = r.packets().find((p) => p.kind === 'P_STATE');
  assert.ok(told?.kind === 'P_STATE');
  assert.equal(DRBD_ROLES[decodeState(told.state).role], 'Secondary');
  assert.match(
    r.resource
      .status()
      .reasons.map((w) => w.text.en)
      .join('\n'),
    /secondary: it lost the split brain/,
  );
  r.app({ op: 'write', tag: 2, offset: 0, bytes: new Uint8Array(4096), through: false });
  assert.ok((r.done.get(2) ?? 0) < 0, 'nobody writes to a secondary');
});

test('whenever it crashes from then on, it finds what it had changed when it starts anew', () => {
  const crashes: Uint8Array[] = [];
  const r = diverged((rig) => {
    rig.holdDisk = () => {
      crashes.push(rig.disk.slice());
      return false;
    };
  });
  crashes.push(r.disk.slice());
  assert.ok(crashes.length > 1);
  for (const [n, disk] of crashes.entries()) {
    const after = new Rig(config(), disk);
    after.ask({ verb: 'up' });
    assert.ok(after.volume.bitmap.has(MINE), `lost by a crash before disk operation ${n} of ${crashes.length - 1}`);
  }
  const last = new Rig(config(), r.disk.slice());
  last.ask({ verb: 'up' });
  assert.equal(last.volume.crashedPrimary, false, 'in the end it is a secondary on its disk too');
});

test('somebody has it open, though nothing is under way: it stays primary all the same', () => {
  const r = diverged((rig) => {
    rig.used = true;
  });
  assert.deepEqual([r.volume.role, r.resource.connection], ['Primary', 'StandAlone']);
  assert.ok(r.effects.some((e) => e.kind === 'run' && e.name === 'pri-lost-after-sb'));
});

test('a request is under way: it stays primary and StandAlone, the administrator is called, and the request is answered', () => {
  const r = diverged((rig) =>
    rig.app({ op: 'write', tag: 2, offset: 0, bytes: new Uint8Array(4096).fill(7), through: false }),
  );
  assert.deepEqual([r.volume.role, r.resource.connection], ['Primary', 'StandAlone']);
  assert.ok(r.effects.some((e) => e.kind === 'run' && e.name === 'pri-lost-after-sb'));
  assert.ok(!r.packets().some((p) => p.kind === 'P_STATE'), 'the peer is told nothing more');
  assert.equal(r.done.get(2), 0);
});
