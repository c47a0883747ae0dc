import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { golden } from '../../../test/golden/golden.ts';
import type { MirrorDifferences, VolumeDifferences } from '../../api/index.ts';
import { bytes, text as words } from '../../base/index.ts';
import { percent, share, size } from './amounts.ts';
import { ALONE, document, MANY, mirror, RESYNC, sync, volume } from './document.fixture.ts';
import { look, statusText } from './drbdsetup.ts';
import { existsLines } from './events.ts';
import { procDrbd } from './proc.ts';
import { mirrorTroubles, progressLine, renderMirrors } from './render.ts';
import { resolveText, type UndoFacts, undoText } from './resolve-text.ts';
import { generationsText } from './show-gi.ts';

const corpus = resolve(
  process.env['HOLDFAST_CORPUS'] ?? resolve(import.meta.dirname, '../../../../shared/corpus'),
  'drbd',
);
const FULL = { verbose: true, statistics: true };
const SHORT = { verbose: false, statistics: false };

test('a resource that stands alone is printed byte for byte as 8.4 printed it', (t) => {
  const file = join(corpus, 'status-samples-8.4.txt');
  if (!existsSync(file)) return t.skip('the samples are not here: set HOLDFAST_CORPUS');
  const sample = readFileSync(file, 'utf8');
  const proc = procDrbd(document(ALONE)).split('\n');
  // The second line is the module's own checksum.
  const wanted = sample.split('\n').slice(0, 4);
  assert.deepEqual([proc[0], proc[2], proc[3]], [wanted[0], wanted[2], wanted[3]]);
  const rest = [
    statusText(ALONE, SHORT),
    statusText(ALONE, FULL),
    `${existsLines([ALONE]).join('\n')}\n`,
    look('cstate', ALONE, undefined),
    look('dstate', ALONE, undefined),
    look('role', ALONE, undefined),
  ];
  for (const part of rest) assert.ok(sample.includes(part), `not in the sample:\n${part}`);
});

test('a resync in /proc/drbd has bar, share, amount, finish and speed as the reference has them', () => {
  const lines = procDrbd(
    document({ ...RESYNC, volumes: [{ ...RESYNC.volumes[0]!, sync: sync({ done: bytes(328 * 1024) }) }] }),
  ).split('\n');
  assert.equal(lines[4], "\t[=====>..............] sync'ed: 33.3% (656/984)K");
  assert.equal(lines[5], '\tfinish: 0:00:05 speed: 100 (100) K/sec');
});

test('what scripts ask /proc/drbd for is found by their usual expressions', () => {
  const text = procDrbd(MANY);
  const states = [
    ...text.matchAll(/^\s*(\d+): cs:(\w+) ro:(\w+)\/(\w+) ds:(\w+)\/(\w+) ([ABC ]) ([rs][a-][p-][u-][abdn-][s-])$/gm),
  ];
  assert.equal(states.length, MANY.mirrors.flatMap((m) => m.volumes).length);
  assert.match(text, /oos:\d+/);
  assert.match(text, /sync'ed:\s*(\d+)\.(\d)% \((\d+)\/(\d+)\)M/);
  assert.match(text, /finish: (\d+):(\d\d):(\d\d) speed: [\d,]+ \([\d,]+\) K\/sec/);
});

test('every look is what a reviewer has seen', (t) => {
  const all = [...MANY.mirrors, RESYNC];
  const out = [
    '# /proc/drbd',
    procDrbd(MANY),
    '# drbdadm status',
    ...all.map((m) => statusText(m, SHORT)),
    '# drbdsetup status --verbose --statistics',
    ...all.map((m) => statusText(m, FULL)),
    '# drbdsetup events2 --now',
    `${existsLines(all).join('\n')}\n`,
    ...(['cstate', 'dstate', 'role', 'get-gi'] as const).flatMap((v) => [`# ${v} mail`, look(v, all[1]!, undefined)]),
    '# show-gi mail/3',
    generationsText(all[1]!, 3, 'en'),
    generationsText(all[1]!, 3, 'zh'),
    '# holdfast mirror status',
    renderMirrors(MANY, 'en'),
    '# LANG=zh_CN holdfast mirror status',
    renderMirrors(MANY, 'zh'),
  ];
  golden(t, 'mirror-looks', out.join('\n'));
});

test('what resolve says is what a reviewer has seen', (t) => {
  const ids = (n: string): [string, string, string, string] => [
    n.repeat(16),
    '1'.repeat(16),
    '2'.repeat(16),
    '0'.repeat(16),
  ];
  const one: VolumeDifferences = {
    volume: 0,
    size: bytes(1 << 30),
    disk: 'UpToDate',
    changed: { bytes: bytes(412 << 20), ranges: 40 },
    first: Array.from({ length: 16 }, (_, i) => ({ from: i << 23, to: (i << 23) + 4096 * (i + 1) })),
    uuids: ids('a'),
    generationSince: 1_796_005_000_000,
    newestWrite: 1_796_006_000_000,
    peer: { changed: bytes(31 << 20), uuids: ids('b') },
    verdict: { is: 'split-brain', text: words('both changed', '双方均有改动') },
  };
  const d: MirrorDifferences = {
    name: 'data',
    host: 'ha1',
    peer: 'ha2',
    role: 'Secondary',
    connection: 'StandAlone',
    volumes: [one],
  };
  const { peer: _, verdict: __, ...untold } = one;
  const early = { ...d, volumes: [{ ...untold, newestWrite: undefined, peer: undefined, verdict: undefined }] };
  const facts: UndoFacts = {
    file: '/var/lib/holdfast/undo/data-0-20261130T022000.123Z.undo',
    name: 'data',
    volume: 0,
    host: 'ha1',
    peerHost: 'ha2',
    at: 1_796_007_000_000,
    size: 1 << 30,
    changedHere: 412 << 20,
    changedThere: 31 << 20,
    total: 430 << 20,
    mine: 'a'.repeat(16),
    peer: 'b'.repeat(16),
    ranges: one.first,
  };
  const out = (['en', 'zh'] as const).flatMap((l) => [
    '# holdfast mirror resolve data',
    resolveText(d, l),
    '# the peer has not been met',
    resolveText(early, l),
    '# holdfast mirror resolve --undo FILE',
    undoText(facts, l),
  ]);
  golden(t, 'mirror-resolve', out.join('\n'));
});

test('progress says no time left in the first second, and stalled only where nothing moves', () => {
  assert.equal(progressLine(sync({ left: undefined }), 'en'), '[#########...........] 47 %  472 KiB of 984 KiB');
  assert.match(progressLine(sync({ left: undefined, stalled: true }), 'en'), /stalled$/);
  assert.match(progressLine(sync({ left: 5 }), 'en'), /about 5 s left$/);
});

test('a volume that is asked for alone is answered alone', () => {
  const mail = MANY.mirrors[1]!;
  assert.equal(look('dstate', mail, 3), 'Inconsistent/UpToDate\n');
  assert.equal(look('dstate', mail, 9), '');
});

test('progress never shows the end before it is reached, and never more than all', () =>
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 }), fc.nat({ max: 2 ** 31 }), (a, b) => {
      const [done, total] = [Math.min(a, b), Math.max(a, b)];
      const shown = Number(percent(share(done, total), 1));
      assert.ok(shown >= 0 && shown <= 100);
      if (done < total) assert.ok(shown < 100, `${done}/${total}: ${shown}`);
      const bar = /\[(#*)(\.*)\]/.exec(progressLine(sync({ done: bytes(done), total: bytes(total) }), 'en'));
      assert.equal((bar?.[1]?.length ?? 0) + (bar?.[2]?.length ?? 0), 20);
      const proc = procDrbd(
        document(
          mirror({}, volume({ connection: 'SyncSource', sync: sync({ done: bytes(done), total: bytes(total) }) })),
        ),
      );
      assert.match(proc, /\[=*>\.*\] sync'ed:\s*\d{1,3}\.\d% \(\d+\/\d+\)[KM]/);
    }),
  ));

test('sizes are short and keep their magnitude', () => {
  assert.deepEqual([0, 1023, 1024, 412 * 1024 ** 2, 3.1 * 1024 ** 3, 2 * 1024 ** 4].map(size), [
    '0 B',
    '1023 B',
    '1 KiB',
    '412 MiB',
    '3.1 GiB',
    '2 TiB',
  ]);
});

test('who keeps a resync standing still is shown where DRBD shows it', () => {
  const paused = document(mirror({}, volume({ connection: 'PausedSyncT', paused: ['user', 'peer'] })));
  assert.match(procDrbd(paused), / C r-pu--\n/);
  assert.match(procDrbd(document(mirror({}, volume({ paused: ['dependency'] })))), / C ra----\n/);
  const one = paused.mirrors[0] ?? assert.fail();
  assert.match(
    statusText(one, { verbose: false, statistics: false }),
    /peer-disk:UpToDate resync-suspended:user,peer\n/,
  );
});

test('a device that is left on a host that is not primary is named, with what to type for either end', () => {
  const left = document(mirror({ name: 'data', role: 'Secondary', stranded: ['data'] }, volume({ role: 'Secondary' })));
  const [words, ...more] = mirrorTroubles(left);
  assert.deepEqual(more, []);
  assert.match(words?.en ?? '', /^\/dev\/holdfast\/data is there though a is not primary: who uses it waits/);
  assert.match(words?.en ?? '', /holdfast mirror primary data.*holdfast detach data --force/);
  assert.match(renderMirrors(left, 'zh'), /holdfast detach data --force/);
});
