import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runDisks } from '../../src/sim/index.ts';

const kept = (seed: number): void => {
  const { failure, options, trace } = runDisks(seed);
  assert.equal(failure, undefined, `${failure}\n${options}\n${trace(30)}\nnpm run sim -- mirror-disks --seed ${seed}`);
};
test('40 worlds whose disks fail, go and come back lose nothing that was acknowledged', () => {
  for (let seed = 1; seed <= 40; seed++) kept(seed);
});
/** Each once broke a promise. */
const found: readonly (readonly [number, string])[] = [
  [2, 'a generation that was never durable is not what the application has seen'],
  [5, 'a disk that fails while connecting does not leave the connection half decided'],
  [9, 'a disk that was attached while the peer was silent is not taken for good when the peer is lost'],
  [13, 'a resync to this side does not replace what its own application has just written'],
  [25, 'a primary that comes back without its disk begins a generation on the only disk'],
  [54, 'a disk that comes while the primary has none is set apart from the one that the primary attaches later'],
  [58, 'a peer without a disk that becomes primary begins a generation on the only disk'],
  [70, 'what was written to a disk that turns out to be older was not written'],
  [84, 'a write that only an inconsistent disk has is not answered: it is written again when there are data'],
  [107, 'a detach over a line that is cut unseen does not make both sides begin a generation'],
  [262, 'a disk that is being attached takes no part in a handshake'],
  [290, 'a write that a resync kept back does not go to half a copy when the source is lost'],
  [200191, 'a disk that was refused as older than what the application has seen is refused again'],
  [201007, 'two detaches that forbid each other leave both sides with the disks that they have'],
  [200656, 'a write that waits on the only disk while the primary attaches one is marked'],
  [200675, 'what only a disk that is about to go has is not answered'],
  [200785, 'a detach that waits for the disk does not keep the peer from agreeing on a protocol'],
  [200954, 'a disk that is older than what a peer has had that has none any more is not taken back by a primary'],
  [300198, 'a primary without a disk that refuses what it meets leaves it as it is'],
  [400076, 'who waits for a primary without a disk does not go on by itself'],
  [410113, 'a primary takes its disk back beside a peer that lost its own before it took anything'],
  [200430, 'a disk that comes is not compared with what the peer told before it saw that disk'],
  [300140, 'a generation of the only disk that its failure undid is not what the application has seen'],
  [300418, 'nor one that a crash undid'],
  [400041, 'nor one that a crash undid while the primary was disconnected'],
  [430188, 'a primary takes the disk back that it lost when its peer had none any more'],
  [601466, 'also when the peer had not told yet that its disk is gone, to which this side had agreed'],
  [602017, 'a generation whose writing failed may be on the disk all the same, which is not older by that'],
  [620418, 'what only the peer has is answered when the peer knows that it alone has it'],
  [500080, 'a generation that was undone is not remembered over a new connection without disks'],
  [500098, 'a failure of the only disk that is told before its generation is heard undoes that too'],
  [600306, 'a read that waits finds what was written while it waited, though more was written since'],
  [600848, 'a target whose own disk takes its time reads from the source until it has what was written'],
  [
    600667,
    'a peer that may lack what was answered is not gone on with when the own disk failed in a generation just begun',
  ],
  [610017, 'the only disk does not tell of a generation that its failure may undo'],
  [200303, 'a target waits no longer for a full resync whose source has lost its disk'],
];
for (const [seed, claim] of found) test(`${claim} (npm run sim -- mirror-disks --seed ${seed})`, () => kept(seed));
