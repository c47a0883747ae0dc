/** Handlers: when each is called, and what follows from how it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MirrorConfig } from '../../src/mirror/index.ts';
import { MirrorPair, type SimNode } from '../../src/sim/index.ts';

const NAMES = ['before-resync-target', 'after-resync-target', 'before-resync-source', 'unfence-peer', 'split-brain'];
const settings = (c: MirrorConfig): MirrorConfig => ({
  ...c,
  handlers: Object.fromEntries([...NAMES, 'initial-split-brain', 'pri-lost', 'pri-lost-after-sb'].map((n) => [n, n])),
});
/** Notes what is called; `ends`: the exit code of each, undefined for one that hangs; others end with 0. */
function noted(n: SimNode, ends: Record<string, number | undefined> = {}): string[] {
  const called: string[] = [];
  n.onHandler = (name, ended) => {
    called.push(name);
    const status = name in ends ? ends[name] : 0;
    if (status !== undefined) ended(status);
  };
  return called;
}
/** The primary writes while the line is cut: at reconnection the other side is the target. */
function apart(p: MirrorPair): void {
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  const w = p.write(0, 3, 0x33);
  p.runUntil('a write', () => w.result === 0, 5);
}

test('a resync calls before-resync-target and after-resync-target there, before-resync-source and unfence-peer here', () => {
  const p = new MirrorPair(settings).start();
  const [source, target] = p.nodes.map((n) => noted(n));
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  apart(p);
  p.cutLine(false);
  p.runUntil('the end of the resync', () => p.equalStates(), 60);
  p.pass(1000);
  assert.deepEqual(source, ['before-resync-source', 'unfence-peer']);
  assert.deepEqual(target, ['before-resync-target', 'after-resync-target']);
});

test('while before-resync-target runs nothing is written there, pings go on and the application does not wait', () => {
  const p = new MirrorPair(settings).start();
  let end: (status: number) => void = () => {};
  p.nodes[1].onHandler = (name, ended) => {
    if (name === 'before-resync-target') end = ended;
    else ended(0);
  };
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  apart(p);
  p.cutLine(false);
  p.runUntil('the handler', () => p.volume(1).connection === 'WFBitMapT', 30);
  p.pass(20_000);
  const w = p.write(0, 9, 0x99);
  p.runUntil('a write meanwhile', () => w.result === 0, 2);
  assert.equal(p.volume(1).connection, 'WFBitMapT');
  assert.equal(p.volume(1).disk === 'Inconsistent', false);
  assert.equal(p.onDisk(1, 3), 0);
  end(0);
  p.runUntil('the end of the resync', () => p.equalStates(), 60);
  assert.deepEqual([p.onDisk(1, 3), p.onDisk(1, 9)], [0x33, 0x99]);
});

test('a before-resync-target that fails leaves both apart and the data as they were', () => {
  const p = new MirrorPair(settings).start();
  noted(p.nodes[1], { 'before-resync-target': 1 });
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  apart(p);
  p.cutLine(false);
  p.runUntil('StandAlone', () => p.resource(1).connection === 'StandAlone', 60);
  assert.equal(p.onDisk(1, 3), 0);
  assert.match(p.reasons(1).join('\n'), /no resync: before-resync-target ended with 1/);
});

test('before-resync-source may end with 3, which drbd-utils uses for "nothing to do"', () => {
  const p = new MirrorPair(settings).start();
  noted(p.nodes[0], { 'before-resync-source': 3 });
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  apart(p);
  p.cutLine(false);
  p.runUntil('the end of the resync', () => p.equalStates(), 60);
});

test('a handler that hangs is ended after 300 s, and counts as failed', () => {
  const p = new MirrorPair(settings).start();
  noted(p.nodes[1], { 'before-resync-target': undefined });
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  apart(p);
  p.cutLine(false);
  p.runUntil('the handler', () => p.volume(1).connection === 'WFBitMapT', 30);
  p.pass(290_000);
  assert.equal(p.resource(1).connection, 'Connected');
  p.runUntil('StandAlone', () => p.resource(1).connection === 'StandAlone', 20);
  assert.match(p.reasons(1).join('\n'), /did not end by itself/);
});

test('a split brain calls initial-split-brain, then split-brain, on both sides', () => {
  const p = new MirrorPair(settings).start();
  const called = p.nodes.map((n) => noted(n));
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  apart(p);
  assert.equal(p.ask(0, { verb: 'secondary' }).ok, true);
  assert.equal(p.ask(1, { verb: 'primary', force: false }).ok, true);
  const w = p.write(1, 5, 0x55);
  p.runUntil('a write', () => w.result === 0, 5);
  p.cutLine(false);
  p.runUntil('StandAlone', () => p.nodes.every((n) => n.resource?.connection === 'StandAlone'), 60);
  for (const c of called) assert.deepEqual(c, ['initial-split-brain', 'split-brain']);
});

test('a primary that would be overwritten calls pri-lost (rr-conflict call-pri-lost)', () => {
  const conflict = (c: MirrorConfig): MirrorConfig => {
    const s = settings(c);
    return { ...s, net: { ...s.net, resyncRoleConflict: 'call-pri-lost' } };
  };
  const p = new MirrorPair(conflict).start();
  const called = p.nodes.map((n) => noted(n));
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  apart(p);
  assert.equal(p.ask(0, { verb: 'secondary' }).ok, true);
  // It is primary, and has no changes of its own: a generation is begun when a primary loses its peer, and it never had one.
  p.volume(1).role = 'Primary';
  p.cutLine(false);
  p.runUntil('StandAlone', () => p.resource(1).connection === 'StandAlone', 60);
  assert.deepEqual(called[1], ['pri-lost']);
});

test('a primary that loses a split brain while it is used is not demoted: pri-lost-after-sb is called, and they stay apart', () => {
  const policy = (c: MirrorConfig): MirrorConfig => {
    const s = settings(c);
    return {
      ...s,
      net: { ...s.net, after0Primaries: 'discard-older-primary', after1Primary: 'call-pri-lost-after-sb' },
    };
  };
  const p = new MirrorPair(policy).start();
  const called = p.nodes.map((n) => noted(n));
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  apart(p);
  assert.equal(p.ask(1, { verb: 'primary', force: false }).ok, true);
  const w = p.write(1, 5, 0x55);
  p.runUntil('a write', () => w.result === 0, 5);
  assert.equal(p.ask(1, { verb: 'secondary' }).ok, true);
  // Requests that are under way when the verdict comes.
  const busy = (): void => {
    if (p.resource(0).connection === 'StandAlone') return;
    for (let page = 20; page < 40; page++) p.write(0, page, 1);
    p.world.at(p.world.now + 2000, busy);
  };
  busy();
  p.cutLine(false);
  p.runUntil('StandAlone', () => p.resource(0).connection === 'StandAlone', 60);
  assert.ok(called[0]?.includes('pri-lost-after-sb'), `${called[0]}`);
  assert.equal(p.resource(0).primary, true);
  assert.equal(p.onDisk(0, 3), 0x33);
});
