import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { drbdSights, listings } from '../../../test/support/captures.ts';
import type { DrbdDisk, GenerationId, UuidSet } from '../../wire/index.ts';
import {
  type AfterSb,
  beginAsSource,
  beginAsTarget,
  type Comparison,
  compareGenerations,
  decideHandshake,
  endAsSource,
  endAsTarget,
  type Handshake,
  type HandshakeSide,
  JUST_CREATED,
  NO_GENERATION,
  newCurrent,
  type Side,
  sameGeneration,
  type Verdict,
} from './index.ts';

const id = (hex: string): GenerationId => BigInt(`0x${hex}`) as GenerationId;
const set = (text: string): UuidSet => {
  const [current, bitmap, h0, h1] = text.split(':').map(id) as [GenerationId, GenerationId, GenerationId, GenerationId];
  return { current, bitmap, history: [h0, h1] };
};
const side = (uuids: UuidSet, crashedPrimary = false, primary = false): Side => ({ uuids, crashedPrimary, primary });
const comparison = (mine: Side, peer: Side, resolver = false): Comparison => ({
  mine,
  peer,
  version: 101,
  features: 0xf,
  resolver,
});
/** The number that the kernel's log has for a verdict. */
const number = (v: Verdict): number => {
  switch (v.is) {
    case 'equal':
      return 0;
    case 'source':
      return v.full ? 2 : 1;
    case 'target':
      return v.full ? -2 : -1;
    case 'split-brain':
      return v.ambiguous ? -100 : 100;
    case 'unrelated':
      return -1000;
    case 'needs-protocol':
      return -1091;
  }
};

test('every comparison in the log of two kernels comes to the same result by the same rule', (t) => {
  const file = join(listings, 'kernel-log-8.4.txt');
  if (!existsSync(file)) return t.skip('the log is not here: set HOLDFAST_CORPUS');
  const log = readFileSync(file, 'utf8');
  const found = [
    ...log.matchAll(
      /self (\S+) bits:\d+ flags:(\d+)\n.*?peer (\S+) bits:\d+ flags:(\d+)\n.*?uuid_compare\(\)=(-?\d+) by rule (\d+)/g,
    ),
  ];
  assert.ok(found.length >= 8, `${found.length} comparisons`);
  for (const [whole, mine = '', , peer = '', peerFlags, result, rule] of found) {
    // The log does not show the flag of the side that crashed itself: its peer's log, among these, does.
    const iCrashed = rule === '40' && result === '1';
    const c = compareGenerations(comparison(side(set(mine), iCrashed), side(set(peer), peerFlags === '2')));
    assert.deepEqual([number(c.verdict), c.rule], [Number(result), Number(rule)], whole);
  }
  return undefined;
});

test('what the captured kernels did after each exchange of identifiers is what the comparison says', () => {
  const sources: [string, number][] = [
    ['01-first-connect-idle', 10],
    ['02-initial-full-sync', 30],
    ['05-disconnect-reconnect-bitmap-resync', 70],
    ['07-reconnect-resync-after-verify', 70],
    ['24-userspace-peer-full-sync', 30],
  ];
  for (const [name, rule] of sources) {
    const sights = drbdSights(name);
    const sync = sights.find((s) => s.packet.kind === 'P_SYNC_UUID');
    const before = sync === undefined ? sights : sights.slice(0, sights.indexOf(sync));
    const last = (way: string): UuidSet => {
      const found = before.filter((s) => s.direction === way && s.packet.kind === 'P_UUIDS').at(-1)?.packet;
      return found?.kind === 'P_UUIDS' ? found.uuids : assert.fail(`${name}: no P_UUIDS ${way}`);
    };
    const from = sync?.direction ?? 'forward';
    const c = compareGenerations(comparison(side(last(from)), side(last(from === 'forward' ? 'back' : 'forward'))));
    assert.equal(c.rule, rule, name);
    assert.equal(c.verdict.is, sync === undefined ? 'equal' : 'source', name);
  }
});

test('the identifiers of both sides go through a resync as the captured kernels took them', () => {
  const start = { a: set('3562bbf2903f59b1:0000000000000004:0:0'), b: set('4:0:0:0') };
  const begun = beginAsSource(start.a, 0x59f44e4bfe64aac4n);
  const b = endAsTarget(beginAsTarget(start.b, begun.sync, false), start.a, false);
  assert.deepEqual(b, set('3562bbf2903f59b0:0:59f44e4bfe64aac4:4'), 'as B told it in capture 05');
  const lost = newCurrent(endAsSource(begun.uuids), 0x10d3987d4109fda4n, true);
  assert.deepEqual(lost, set('10d3987d4109fda5:3562bbf2903f59b1:59f44e4bfe64aac4:4'), 'as A told it in capture 05');
  const again = beginAsSource(lost, 0n);
  assert.equal(again.sync, id('3563bbf2903f59b1'), 'P_SYNC_UUID of capture 05');
  const a = endAsSource(again.uuids);
  assert.deepEqual(a.history, [id('3563bbf2903f59b1'), id('3562bbf2903f59b1')]);
  const after = endAsTarget(beginAsTarget(b, again.sync, false), lost, false);
  for (const [mine, theirs] of [
    [a.current, after.current],
    [a.bitmap, after.bitmap],
    [a.history[0], after.history[0]],
    [a.history[1], after.history[1]],
  ] as const)
    assert.ok(sameGeneration(mine, theirs));
});

const few = fc.constantFrom(0x10n, 0x20n, 0x30n, 0x40n, 0x1_0000_0000_0010n, 0x1_0000_0000_0020n);
const anyId = fc
  .tuple(fc.oneof(few, fc.constant(0n), fc.constant(4n)), fc.boolean())
  .map(([n, bit]) => (n === 0n ? n : bit ? n | 1n : n) as GenerationId);
const someId = fc
  .tuple(fc.oneof(few, fc.constant(4n)), fc.boolean())
  .map(([n, bit]) => (bit ? n | 1n : n) as GenerationId);
const anySet = fc.record(
  { current: someId, bitmap: anyId, history: fc.tuple(anyId, anyId) },
  { noNullPrototype: true },
);
/** Each holds the other's current one for its own past: no history leads there, and the order of the rules would decide. */
const crossed = (a: UuidSet, b: UuidSet): boolean => {
  const past = (u: UuidSet, c: GenerationId): boolean => [u.bitmap, ...u.history].some((i) => sameGeneration(i, c));
  return !sameGeneration(a.current, b.current) && past(a, b.current) && past(b, a.current);
};
const mirrored = (v: Verdict): Verdict =>
  v.is === 'source' || v.is === 'target' ? { is: v.is === 'source' ? 'target' : 'source', full: v.full } : v;

test('two sides that compare mirrored sets come to mirrored verdicts', () => {
  fc.assert(
    fc.property(
      anySet,
      anySet,
      fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean()),
      fc.constantFrom(86, 91, 95, 96, 101),
      fc.constantFrom(0, 0xf),
      (a, b, [ca, cb, pa, pb, resolver], version, features) => {
        fc.pre(!crossed(a, b));
        const [A, B] = [side(a, ca, pa), side(b, cb, pb)];
        const one = compareGenerations({ mine: A, peer: B, version, features, resolver });
        const other = compareGenerations({ mine: B, peer: A, version, features, resolver: !resolver });
        assert.deepEqual(other.verdict, mirrored(one.verdict), `rules ${one.rule} and ${other.rule}`);
        if (one.corrected?.mine) assert.deepEqual(other.corrected?.peer, one.corrected.mine);
        if (one.corrected?.peer) assert.deepEqual(other.corrected?.mine, one.corrected.peer);
      },
    ),
    { numRuns: 20_000 },
  );
});

const flip = (p: AfterSb): AfterSb => ({
  ...p,
  none: p.none === 'discard-local' ? 'discard-remote' : p.none === 'discard-remote' ? 'discard-local' : p.none,
});
const policies: fc.Arbitrary<AfterSb> = fc.record({
  none: fc.constantFrom(
    'disconnect' as const,
    'discard-younger-primary' as const,
    'discard-older-primary' as const,
    'discard-zero-changes' as const,
    'discard-least-changes' as const,
    'discard-local' as const,
    'discard-remote' as const,
  ),
  one: fc.constantFrom(
    'disconnect' as const,
    'consensus' as const,
    'violently-as0p' as const,
    'discard-secondary' as const,
    'call-pri-lost-after-sb' as const,
  ),
  two: fc.constantFrom('disconnect' as const, 'violently-as0p' as const, 'call-pri-lost-after-sb' as const),
});
const handshakeSide: fc.Arbitrary<HandshakeSide> = fc.record({
  uuids: anySet,
  crashedPrimary: fc.boolean(),
  primary: fc.boolean(),
  disk: fc.constantFrom<DrbdDisk>('Inconsistent', 'Outdated', 'Consistent', 'UpToDate'),
  bits: fc.nat(3),
  discardMyData: fc.boolean(),
});

test('two sides that decide from mirrored data never both copy in the same direction, nor one copies and the other goes on', () => {
  let both = 0;
  fc.assert(
    fc.property(
      handshakeSide,
      handshakeSide,
      policies,
      fc.tuple(fc.boolean(), fc.boolean()),
      fc.constantFrom('disconnect' as const, 'call-pri-lost' as const, 'violently' as const),
      (mine, peer, p, [resolver, alwaysAsbp], rrConflict) => {
        fc.pre(!crossed(mine.uuids, peer.uuids));
        const common = { version: 101, features: 0xf, alwaysAsbp, rrConflict, dryRun: false };
        const one = decideHandshake({ ...common, mine, peer, resolver, policies: p }).outcome;
        const other = decideHandshake({
          ...common,
          mine: peer,
          peer: mine,
          resolver: !resolver,
          policies: flip(p),
        }).outcome;
        // Either may refuse by itself, which ends the connection of both.
        if (one.do === 'drop' || other.do === 'drop') return;
        both++;
        if (one.do === 'connect' || other.do === 'connect') assert.equal(one.do, other.do);
        else assert.deepEqual([one.do, one.full], [other.do === 'source' ? 'target' : 'source', other.full]);
      },
    ),
    { numRuns: 20_000 },
  );
  assert.ok(both > 2000, `${both} pairs went on`);
});

const base: HandshakeSide = {
  uuids: set('10:0:0:0'),
  crashedPrimary: false,
  primary: false,
  disk: 'UpToDate',
  bits: 0,
  discardMyData: false,
};
const shake = (more: Partial<Handshake>): Handshake => ({
  mine: base,
  peer: base,
  version: 101,
  features: 0xf,
  resolver: false,
  policies: { none: 'disconnect', one: 'disconnect', two: 'disconnect' },
  alwaysAsbp: false,
  rrConflict: 'disconnect',
  dryRun: false,
  ...more,
});
const split = {
  mine: { ...base, uuids: set('20:10:0:0'), bits: 1 },
  peer: { ...base, uuids: set('30:11:0:0'), bits: 2 },
};

test('split brain without a policy stays apart, calls both handlers and says what an operator must do', () => {
  const d = decideHandshake(shake(split));
  assert.equal(d.outcome.do, 'drop');
  assert.deepEqual([d.rule, d.handlers], [90, ['initial-split-brain', 'split-brain']]);
  assert.match(d.reasons[0]?.en ?? '', /^rule 90: /);
  assert.match(d.reasons.at(-1)?.en ?? '', /an operator must choose/);
});
test('the side that was told to discard its data is the target, with bitmap', () => {
  const d = decideHandshake(shake({ ...split, peer: { ...split.peer, discardMyData: true } }));
  assert.deepEqual(d.outcome, { do: 'source', full: false, demote: false });
  const nobody = decideHandshake(
    shake({ mine: { ...split.mine, discardMyData: true }, peer: { ...split.peer, discardMyData: true } }),
  );
  assert.equal(nobody.outcome.do, 'drop');
});
test('each after-sb-0pri policy keeps the data that it names', () => {
  const by = (none: AfterSb['none'], more: Partial<Handshake> = {}): string =>
    decideHandshake(shake({ ...split, policies: { none, one: 'disconnect', two: 'disconnect' }, ...more })).outcome.do;
  // The peer was primary when the split began: bit 0 of its bitmap identifier.
  assert.equal(by('discard-younger-primary'), 'target');
  assert.equal(by('discard-older-primary'), 'source');
  assert.equal(by('discard-least-changes'), 'target');
  assert.equal(by('discard-zero-changes'), 'drop');
  assert.equal(by('discard-zero-changes', { peer: { ...split.peer, bits: 0 } }), 'source');
  assert.equal(by('discard-local'), 'target');
  assert.equal(by('discard-remote'), 'source');
});
test('with one primary each after-sb-1pri policy does what it says, and a primary that loses is demoted first', () => {
  const by = (one: AfterSb['one'], primary: 'mine' | 'peer', none: AfterSb['none'] = 'discard-least-changes') =>
    decideHandshake(
      shake({
        mine: { ...split.mine, primary: primary === 'mine' },
        peer: { ...split.peer, primary: primary === 'peer' },
        policies: { none, one, two: 'disconnect' },
      }),
    ).outcome;
  assert.equal(by('disconnect', 'peer').do, 'drop');
  assert.equal(by('consensus', 'peer').do, 'target');
  assert.equal(by('consensus', 'mine').do, 'drop');
  assert.equal(by('discard-secondary', 'mine').do, 'source');
  assert.deepEqual(by('call-pri-lost-after-sb', 'mine'), { do: 'target', full: false, demote: true });
  assert.equal(by('violently-as0p', 'mine').do, 'drop', 'the primary would be overwritten: rr-conflict');
});
test('an Inconsistent disk is never the source, and a primary is overwritten only violently', () => {
  const behind = { mine: { ...base, primary: true }, peer: { ...base, uuids: set('20:10:0:0') } };
  assert.equal(decideHandshake(shake(behind)).outcome.do, 'drop');
  const called = decideHandshake(shake({ ...behind, rrConflict: 'call-pri-lost' }));
  assert.deepEqual([called.outcome.do, called.handlers], ['drop', ['pri-lost']]);
  assert.equal(decideHandshake(shake({ ...behind, rrConflict: 'violently' })).outcome.do, 'target');
  const worse = decideHandshake(
    shake({ mine: { ...base, uuids: set('20:10:0:0'), disk: 'Inconsistent' }, peer: base }),
  );
  assert.deepEqual(worse.outcome, { do: 'target', full: false, demote: false });
});
test('a dry run decides and does nothing', () => {
  const d = decideHandshake(shake({ peer: { ...base, uuids: set('4:0:0:0') }, dryRun: true }));
  assert.equal(d.outcome.do, 'drop');
  assert.deepEqual(
    d.reasons.map((r) => r.en.slice(0, 7)),
    ['rule 30', 'a dry r'],
  );
});

/** Two nodes through random disconnections, writes and interrupted resyncs; what each really has is known beside. */
type Node = { uuids: UuidSet; writes: Set<number>; disk: DrbdDisk };
test('through any history of writes and interrupted resyncs no side is overwritten that has writes which the other lacks', () => {
  const step = fc.record({
    writers: fc.constantFrom('none', 'a', 'b', 'both'),
    stop: fc.constantFrom('never', 'sync-uuid-lost', 'target-begun', 'source-missed-end'),
    resolver: fc.boolean(),
  });
  let copies = 0;
  let splits = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      let random = 0x1000n;
      let written = 0;
      const fresh = (): Node => ({
        uuids: { current: 0x100n as GenerationId, bitmap: NO_GENERATION, history: [NO_GENERATION, NO_GENERATION] },
        writes: new Set(),
        disk: 'UpToDate',
      });
      const nodes = { a: fresh(), b: fresh() };
      let unfinished: 'a' | 'b' | undefined; // the source of a resync whose end is open
      const write = (n: Node): void => {
        if (n.uuids.bitmap === NO_GENERATION) {
          random += 0x10n;
          n.uuids = newCurrent(n.uuids, random, true);
        }
        n.writes.add(written++);
      };
      for (const s of steps) {
        for (const name of ['a', 'b'] as const) {
          // The target of an unfinished resync is not promoted: its disk is Inconsistent, or its partner is the primary.
          if ((s.writers === name || s.writers === 'both') && (unfinished === undefined || unfinished === name))
            write(nodes[name]);
        }
        const of = (n: Node): HandshakeSide => ({ ...base, uuids: n.uuids, disk: n.disk });
        const decideFor = (mine: Node, peer: Node, resolver: boolean) =>
          decideHandshake(shake({ mine: of(mine), peer: of(peer), resolver }));
        const one = decideFor(nodes.a, nodes.b, s.resolver);
        const other = decideFor(nodes.b, nodes.a, !s.resolver);
        assert.notEqual(one.rule, 1000);
        if (one.outcome.do === 'drop') {
          assert.equal(other.outcome.do, 'drop');
          splits++;
          return;
        }
        if (one.corrected?.mine) nodes.a.uuids = one.corrected.mine;
        if (one.corrected?.peer) nodes.b.uuids = one.corrected.peer;
        if (one.outcome.do === 'connect') {
          assert.equal(other.outcome.do, 'connect');
          assert.deepEqual([...nodes.a.writes].sort(), [...nodes.b.writes].sort());
          unfinished = undefined;
          continue;
        }
        const from = one.outcome.do === 'source' ? 'a' : 'b';
        const [source, target] = from === 'a' ? [nodes.a, nodes.b] : [nodes.b, nodes.a];
        for (const w of target.writes) assert.ok(source.writes.has(w), `write ${w} would be lost by rule ${one.rule}`);
        copies++;
        const told = source.uuids;
        random += 0x10n;
        const begun = beginAsSource(source.uuids, random);
        source.uuids = begun.uuids;
        unfinished = from;
        if (s.stop === 'sync-uuid-lost') continue;
        target.uuids = beginAsTarget(target.uuids, begun.sync, false);
        target.disk = 'Inconsistent';
        if (s.stop === 'target-begun') continue;
        target.uuids = endAsTarget(target.uuids, told, false);
        target.disk = 'UpToDate';
        target.writes = new Set(source.writes);
        if (s.stop === 'source-missed-end') continue;
        source.uuids = endAsSource(source.uuids);
        unfinished = undefined;
      }
    }),
    { numRuns: 5000 },
  );
  assert.ok(copies > 1000 && splits > 100, `${copies} copies, ${splits} splits`);
});
test('the identifiers of new metadata say that there is nothing to lose', () => {
  const created: UuidSet = { current: JUST_CREATED, bitmap: NO_GENERATION, history: [NO_GENERATION, NO_GENERATION] };
  assert.equal(number(compareGenerations(comparison(side(created), side(created))).verdict), 0);
  assert.equal(number(compareGenerations(comparison(side(created), side(set('10:0:0:0')))).verdict), -2);
});
