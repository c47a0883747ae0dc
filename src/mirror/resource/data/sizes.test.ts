/** What a peer asks for is refused where no disk could do it: the disk does not fail by it, and nothing hangs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BlockId, DRBD_WRITE_FLAG, type DrbdPacket, sector } from '../../../wire/index.ts';
import { Rig, rigConfig } from '../rig.fixture.ts';

const block = { volume: 0, sector: sector(8), id: 9n as BlockId };
const write = { ...block, seq: 1, flags: DRBD_WRITE_FLAG.sendWriteAck, digest: new Uint8Array(0) };
const asked: readonly (readonly [DrbdPacket, DrbdPacket['kind']])[] = [
  [{ kind: 'P_DATA_REQUEST', ...block, size: 100, pad: 0 }, 'P_NEG_DREPLY'],
  [{ kind: 'P_DATA_REQUEST', ...block, size: 0, pad: 0 }, 'P_NEG_DREPLY'],
  [{ kind: 'P_DATA_REQUEST', ...block, sector: sector(0), size: 0x10_0200, pad: 0 }, 'P_NEG_DREPLY'],
  [{ kind: 'P_DATA', ...write, data: new Uint8Array(700) }, 'P_NEG_ACK'],
  [{ kind: 'P_WSAME', ...write, size: 4096, data: new Uint8Array(0) }, 'P_NEG_ACK'],
  [{ kind: 'P_WSAME', ...write, size: 4096, data: new Uint8Array(3) }, 'P_NEG_ACK'],
];

for (const [p, answer] of asked)
  test(`${p.kind} of ${'size' in p ? p.size : 700} bytes is answered with ${answer}, and the disk stays`, () => {
    const r = new Rig(rigConfig());
    r.connect('Primary');
    // As O_DIRECT has it.
    r.failDisk = (o) => {
      const length = o.op === 'read' ? o.into.length : o.op === 'write' ? o.bytes.length : 512;
      return length === 0 || length % 512 !== 0;
    };
    r.hear(p);
    assert.deepEqual(
      r.packets().map((one) => one.kind),
      [answer],
    );
    assert.equal(r.volume.disk, 'UpToDate');
    assert.equal(r.volume.locks.size, 0);
  });
