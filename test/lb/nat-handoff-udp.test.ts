/** As nat-handoff.test.ts: conversations over UDP, and directors without a link. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Talks } from './bpf-rig.ts';
import { document, holdfast, skip, until } from './directors.ts';
import { Pair, VIP } from './nat-pair.ts';

test('conversations over UDP go on at their servers too, also where the kernel tells nothing of connections; and that is said', {
  skip,
}, async () => {
  await using pair = await Pair.start({
    linked: true,
    protocol: 'UDP',
    sysctls: { 'net.netfilter.nf_conntrack_events': '0' },
  });
  const [d1, d2] = pair.directors;
  const talks = await Talks.start(pair.lab.host('client'), VIP[4], 30, 'udp-talk-main.ts');
  const before = await talks.settled();
  assert.deepEqual(before, { broken: 0, by: { s11: 10, s12: 10, s13: 10 } });
  const late = /nf_conntrack_events is 0: the kernel tells nothing of connections/;
  await pair.peer(d1, 'the first director says that it hears late', (x) => late.test(x.late?.en ?? ''));
  assert.match((await d1.run([holdfast, 'lb', 'status', '--lang=en', '-p', '/run/a.pid'])).stdout, late);
  assert.equal(pair.said.match(new RegExp(late, 'g'))?.length, 1, pair.said);
  await pair.peer(d2, 'the second director holds them', (x) => x.held === 30 && x.late === undefined);
  await d1.powerCut();
  await until('the second director has the addresses', () => pair.holds('d2'));
  assert.deepEqual(await talks.settled(), before, pair.said);
  await pair.peer(d2, 'the second director claims them', (x) => x.own === 30);
});

test('conversations over UDP are told of as the kernel tells of them, and go on at their servers', {
  skip,
}, async () => {
  await using pair = await Pair.start({ linked: true, protocol: 'UDP' });
  const [d1, d2] = pair.directors;
  const all: Talks[] = [];
  // The whole table is read once a minute: that may be what tells of the first fifteen or of the others, but not of both.
  for (const held of [15, 30]) {
    const asked = performance.now();
    all.push(await Talks.start(pair.lab.host('client'), VIP[4], 15, 'udp-talk-main.ts'));
    await pair.peer(d2, `the second director holds ${held}`, (x) => x.held === held);
    assert.ok(performance.now() - asked < 25_000, `${held} were heard of late`);
  }
  assert.equal((await document(d1))?.peer?.late, undefined);
  const before = await Promise.all(all.map((t) => t.settled()));
  for (const b of before) assert.deepEqual(b, { broken: 0, by: { s11: 5, s12: 5, s13: 5 } });
  await d1.powerCut();
  await until('the second director has the addresses', () => pair.holds('d2'));
  for (const [i, t] of all.entries()) assert.deepEqual(await t.settled(), before[i], pair.said);
  await pair.peer(d2, 'the second director claims them', (x) => x.own === 30);
});

test('without the link all of them break', { skip }, async () => {
  await using pair = await Pair.start({ linked: false });
  const [four] = await pair.talks(60);
  await pair.lab.host('d1').powerCut();
  await until('the second director has the addresses', () => pair.holds('d2'));
  await until('all are broken', async () => (await four.now()).broken === 60);
});
