/** A peer that lives and does not answer; and pings, which wait for nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ms } from '../../../base/index.ts';
import { type BarrierId, type DrbdPacket, sector } from '../../../wire/index.ts';
import type { ReplicationProtocol } from '../../config.ts';
import { Rig, rigConfig } from '../rig.fixture.ts';

const SECOND = 1_000_000;
const ANSWER = { kind: 'P_PING_ACK', volume: 0 } as const;
/** The peer answers pings, and nothing else. */
function primary(protocol: ReplicationProtocol, koCount = 3): Rig {
  const r = new Rig(rigConfig({ protocol, koCount, timeout: ms(2000) }));
  r.connect();
  r.promote();
  return r;
}
function live(r: Rig, seconds: number): void {
  for (let i = 0; i < seconds * 10; i++) {
    r.advance(SECOND / 10);
    for (const p of r.packets()) if (p.kind === 'P_PING') r.hear(ANSWER, 'meta');
  }
}
const write = (r: Rig, tag: number): void =>
  r.app({ op: 'write', tag, offset: tag * 4096, bytes: new Uint8Array(4096).fill(1), through: false });

test('a peer that answers pings and acknowledges no write is dropped after ko-count times timeout, and the write is complete', () => {
  const r = primary('C');
  write(r, 1);
  live(r, 5.8);
  assert.deepEqual([r.resource.connection, r.done.get(1)], ['Connected', undefined]);
  live(r, 0.4);
  assert.deepEqual([r.resource.connection, r.done.get(1), r.volume.bits], ['WFConnection', 0, 1]);
  assert.match(
    r.resource
      .status()
      .reasons.map((x) => x.text.en)
      .join('; '),
    /\(Timeout\).*ko-count/,
  );
});
test('ko-count 0 waits for ever', () => {
  const r = primary('C', 0);
  write(r, 1);
  live(r, 60);
  assert.equal(r.resource.connection, 'Connected');
});
test('in protocol A the epoch counts, from its barrier on; an idle or an answering peer is never dropped', () => {
  const r = primary('A');
  live(r, 30);
  write(r, 1);
  assert.equal(r.done.get(1), 0, 'complete when it was sent');
  r.advance(5_000); // behind which nothing is sent: the barrier follows by itself
  const barrier = r.packets().find((p) => p.kind === 'P_BARRIER');
  assert.ok(barrier?.kind === 'P_BARRIER');
  live(r, 5);
  r.hear({ kind: 'P_BARRIER_ACK', volume: 0, barrier: barrier.barrier, setSize: 1 }, 'meta');
  live(r, 20);
  assert.equal(r.resource.connection, 'Connected');
  write(r, 2);
  r.packets();
  live(r, 6.2);
  assert.equal(r.resource.connection, 'WFConnection');
});
test('a ping is answered at once while writes wait for the disk and packets wait for metadata', () => {
  const r = new Rig();
  r.connect('Primary');
  r.holdDisk = () => true;
  const block = { volume: 0, id: 1n as never, flags: 256, digest: new Uint8Array(0), data: new Uint8Array(4096) };
  for (let i = 0; i < 50; i++) {
    r.hear({ kind: 'P_DATA', ...block, sector: sector(i * 8), seq: i } satisfies DrbdPacket);
    r.hear({ kind: 'P_BARRIER', volume: 0, barrier: i as BarrierId, pad: 0 });
  }
  r.hear({ kind: 'P_STATE_CHG_REQ', volume: 0, mask: 0x1f0, value: 0xb0 });
  assert.equal(r.volume.connection, 'StartingSyncT', 'metadata are being written');
  r.packets();
  r.hear({ kind: 'P_PING', volume: 0 }, 'meta');
  assert.deepEqual(r.said(), [{ socket: 'meta', packet: ANSWER }]);
});
