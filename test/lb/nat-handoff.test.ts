/**
 * Two directors, NAT by nft, servers taken in turn: the active director loses its power. Established connections go on at their
 * servers if the directors have a link, since the second has their entries of connection tracking already.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skip, until } from './directors.ts';
import { conf, entries, Pair } from './nat-pair.ts';

test('the active director loses its power: with a link between the directors every established connection goes on at its server, IPv4 and IPv6', {
  skip,
}, async () => {
  await using pair = await Pair.start({ linked: true });
  const [, d2] = pair.directors;
  const both = await pair.talks(60);
  const before = await Promise.all(both.map((t) => t.settled()));
  for (const b of before) assert.deepEqual(b, { broken: 0, by: { s11: 20, s12: 20, s13: 20 } });
  const p = await pair.peer(d2, 'the second director holds them', (x) => x.held === 120);
  assert.equal(p.own, 0, 'the standby claims nothing for itself');
  await pair.lab.host('d1').powerCut();
  await until('the second director has the addresses', () => pair.holds('d2'));
  for (const [i, t] of both.entries()) assert.deepEqual(await t.settled(), before[i], `${i}\n${pair.said}`);
  await pair.peer(d2, 'the second director claims them', (x) => x.own === 120);

  // The first comes back, and takes over again when it was told: until then it has the lower priority.
  const [d1] = pair.directors;
  await d1.powerOn();
  d1.write('/etc/k.conf', conf(50, 'TCP'));
  pair.daemons.push(pair.run('d1'));
  await pair.carries(d1);
  await pair.peer(d1, 'the first director holds them', (x) => x.held === 120);
  assert.equal(await pair.holds('d1'), false, 'it was to wait for that');
  d1.write('/etc/k.conf', conf(200, 'TCP'));
  assert.equal((await d1.run(['sh', '-c', 'kill -HUP $(cat /run/a.pid)'])).code, 0);
  await until('the first director has the addresses', () => pair.holds('d1'));
  await pair.peer(d1, 'the first director claims them', (x) => x.own === 120);
  for (const [i, t] of both.entries()) assert.deepEqual(await t.settled(), before[i], `${i}\n${pair.said}`);
  await pair.peer(d2, 'the second one does no longer, and holds them', (x) => x.own === 0 && x.held === 120);

  // What ends is over on both.
  for (const t of both) await t.stop();
  await pair.peer(d1, 'the first director has none', (x) => x.own === 0);
  await pair.peer(d2, 'nor has the second', (x) => x.held === 0);
  for (const d of pair.directors) assert.equal(await entries(d), 0, d.name);
});
