/** Under resource-and-stonith nothing is answered while the peer, which was met, is away and not known to be fenced. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text, us } from '../../../base/index.ts';
import type { GenerationId } from '../../../wire/index.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';

const config = () => {
  const plain = rigConfig();
  return {
    ...plain,
    volumes: plain.volumes.map((v) => ({
      ...v,
      options: { ...v.options, fencing: 'resource-and-stonith' as const },
    })),
    handlers: { 'fence-peer': 'fence' },
  };
};
const lost = (r: Rig): void => {
  r.resource.handle({ kind: 'closed', because: text('the line was cut', '线路中断') }, us(r.now));
  r.run();
};
const write = (r: Rig, tag: number): void =>
  r.app({ op: 'write', tag, offset: tag * 4096, bytes: new Uint8Array(4096).fill(tag), through: false });
/** Runs of fence-peer, in order. */
const fences = (r: Rig): number[] =>
  r.effects.flatMap((e) => (e.kind === 'run' && e.name === 'fence-peer' ? [e.handler] : []));
const fenced = (r: Rig, run: number): void => {
  r.resource.handle({ kind: 'handled', handler: run, status: 7 }, us(r.now));
  r.run();
};
/** The peer is there again, Consistent and of the generation that this side began from; it hears our decision of it. */
function meetAgain(r: Rig): void {
  r.meet();
  for (const p of r.packets())
    if (p.kind === 'P_UUIDS')
      r.hear({
        ...p,
        uuids: { ...p.uuids, current: (p.uuids.bitmap & ~1n) as GenerationId, bitmap: 0n as GenerationId },
        bits: 0,
      });
    else if (p.kind === 'P_STATE')
      r.hear({ ...p, state: stateOf('WFConnection', ['Secondary', 'Unknown'], ['Consistent', 'DUnknown']) });
    else if (p.kind !== 'P_CONNECTION_FEATURES' && p.kind !== 'P_INITIAL_DATA') r.hear(p);
}

test('a primary whose fenced peer came back, and was lost before the decision was durable, answers nothing until it is fenced anew', () => {
  const r = new Rig(config());
  r.connect();
  r.promote();
  lost(r);
  assert.deepEqual(fences(r), [1]);
  fenced(r, 1);
  write(r, 1);
  assert.equal(r.done.get(1), 0);
  r.holdDisk = () => true;
  meetAgain(r);
  assert.equal(r.volume.connection, 'WFReportParams');
  lost(r);
  r.holdDisk = () => false;
  for (const finish of r.held.splice(0)) finish();
  write(r, 2);
  assert.deepEqual([r.volume.peerDisk, r.done.get(2), fences(r)], ['DUnknown', undefined, [1, 2]]);
  fenced(r, 2);
  assert.equal(r.done.get(2), 0);
});

test('who becomes primary over a fenced peer, which comes and goes meanwhile, asks for it to be fenced anew', () => {
  const r = new Rig(config());
  r.connect();
  lost(r);
  const id = r.ask({ verb: 'primary', force: false });
  r.holdDisk = () => true;
  fenced(r, 1);
  assert.equal(r.answers.get(id), undefined);
  meetAgain(r);
  lost(r);
  r.holdDisk = () => false;
  for (const finish of r.held.splice(0)) finish();
  assert.deepEqual([r.answers.get(id)?.ok, r.volume.role], [true, 'Primary']);
  write(r, 1);
  assert.deepEqual([r.volume.peerDisk, r.done.get(1), fences(r)], ['DUnknown', undefined, [1, 2]]);
  fenced(r, 2);
  assert.equal(r.done.get(1), 0);
});
