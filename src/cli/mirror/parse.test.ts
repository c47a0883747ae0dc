import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MirrorRefusal, MirrorRequest } from '../../api/index.ts';
import { text } from '../../base/index.ts';
import { parseMirrorCommand, ROWS, readTarget, type Tool, verbsOf } from './parse.ts';
import { likeDrbdsetup } from './refusals.ts';

const requests = (tool: Tool, line: string): readonly MirrorRequest[] => {
  const p = parseMirrorCommand(tool, line.split(' '));
  assert.ok(p.ok, p.ok ? '' : p.error.en);
  assert.equal(p.value.kind, 'request');
  const { targets, request } = p.value as Extract<typeof p.value, { kind: 'request' }>;
  return targets.map((t) => request(t.by === 'name' ? t.volume : undefined));
};
const refusal = (tool: Tool, line: string): string => {
  const p = parseMirrorCommand(tool, line.split(' '));
  assert.ok(!p.ok, line);
  return p.error.en;
};

test('the handbook sequence of drbdadm is understood: up, one forced primary, secondary, down', () => {
  assert.deepEqual(requests('drbdadm', 'up r0'), [{ verb: 'up' }]);
  for (const line of ['primary --force r0', '-- --overwrite-data-of-peer primary r0', 'primary r0 --force'])
    assert.deepEqual(requests('drbdadm', line), [{ verb: 'primary', force: true }], line);
  assert.deepEqual(requests('drbdadm', 'primary r0'), [{ verb: 'primary', force: false }]);
  assert.deepEqual(requests('drbdadm', 'secondary all'), [{ verb: 'secondary' }]);
  assert.deepEqual(requests('drbdadm', 'down r0'), [{ verb: 'down' }]);
  for (const line of ['connect --discard-my-data r0', '-- --discard-my-data connect r0'])
    assert.deepEqual(requests('drbdadm', line), [{ verb: 'connect', discardMyData: true }], line);
  assert.deepEqual(requests('drbdadm', 'disconnect r0'), [{ verb: 'disconnect', force: false }]);
  assert.deepEqual(requests('drbdadm', 'invalidate r0/1 r1'), [
    { verb: 'invalidate', volume: 1 },
    { verb: 'invalidate', volume: undefined },
  ]);
  assert.deepEqual(requests('drbdadm', 'verify --start 2048 --stop 1M r0/0'), [
    { verb: 'verify', volume: 0, start: 1_048_576, stop: 1_048_576 },
  ]);
  assert.deepEqual(requests('drbdadm', 'resize --size 10G --assume-clean r0'), [
    { verb: 'resize', volume: undefined, size: 10 * 1024 ** 3, assumeClean: true, assumePeerHasSpace: false },
  ]);
});

test('holdfast mirror asks for the name where data can be thrown away, and for one mirror at a time', () => {
  for (const line of [
    'primary --force data',
    'invalidate data',
    'invalidate-remote data',
    'connect --discard-my-data data',
    'new-current-uuid --clear-bitmap data',
  ]) {
    assert.match(refusal('mirror', line), /--accept-data-loss=data/, line);
    assert.match(refusal('mirror', `${line} --accept-data-loss=other`), /--accept-data-loss=data/, line);
    assert.equal(requests('mirror', `${line} --accept-data-loss=data`).length, 1, line);
    assert.match(refusal('mirror', `${line} --accept-data-loss=data more`), /one mirror/, line);
  }
  assert.match(refusal('mirror', 'invalidate all --accept-data-loss=all'), /one mirror/);
  assert.deepEqual(requests('mirror', 'primary data'), [{ verb: 'primary', force: false }]);
  assert.deepEqual(requests('mirror', 'primary data --accept-data-loss=data'), [{ verb: 'primary', force: true }]);
});

test('every verb of every tool is understood with a name, and none without one but those that look', () => {
  for (const tool of ['mirror', 'drbdadm', 'drbdsetup'] as const)
    for (const verb of verbsOf(tool)) {
      const p = parseMirrorCommand(tool, [verb, 'r0', '--accept-data-loss=r0']);
      assert.ok(p.ok, `${tool} ${verb}`);
      const none = parseMirrorCommand(tool, [verb]);
      assert.equal(none.ok, p.value.kind === 'look', `${tool} ${verb}`);
    }
  assert.ok(Object.keys(ROWS).length > 20);
});

test('targets: resource, resource/volume, minor number, device, all', () => {
  assert.deepEqual(
    ['all', 'r0', 'r0/12', '7', 'minor-7', '/dev/drbd7'].map((t) => {
      const r = readTarget(t);
      return r.ok ? r.value : r.error;
    }),
    [
      { by: 'all' },
      { by: 'name', name: 'r0', volume: undefined },
      { by: 'name', name: 'r0', volume: 12 },
      { by: 'minor', minor: 7 },
      { by: 'minor', minor: 7 },
      { by: 'minor', minor: 7 },
    ],
  );
  assert.ok(!readTarget('a/b').ok);
});

test('what is mistyped is refused with words', () => {
  assert.match(refusal('mirror', 'promote data'), /unknown verb promote/);
  assert.match(refusal('drbdadm', 'up --frce r0'), /frce/);
  assert.match(refusal('drbdadm', 'resize --size big r0'), /'big' is no size/);
  assert.match(refusal('drbdadm', 'connect --tentative r0'), /mirror resolve/);
  assert.match(refusal('drbdsetup', 'up r0'), /unknown verb up/);
});

test('no words make the parser throw', () =>
  fc.assert(
    fc.property(
      fc.constantFrom<Tool>('mirror', 'drbdadm', 'drbdsetup'),
      fc.array(
        fc.oneof(
          fc.string({ maxLength: 12 }),
          fc.constantFrom(...Object.keys(ROWS), '--force', '--size', '--', 'r0/1'),
        ),
        { maxLength: 5 },
      ),
      (tool, argv) => {
        parseMirrorCommand(tool, argv);
      },
    ),
  ));

test('a refusal has the number, the words and the exit code of drbdsetup, and ours beside it', () => {
  const answer = (code: MirrorRefusal) =>
    ({ ok: false, code, text: text('no good disk here', '本机没有完好的磁盘') }) as const;
  assert.deepEqual(likeDrbdsetup(answer('no-good-disk'), '0', 'en'), {
    code: 17,
    text: '0: State change failed: (-2) Need access to UpToDate data\n# holdfast: no good disk here\n',
  });
  assert.deepEqual(likeDrbdsetup({ ok: true, changed: true, text: text('', '') }, '0', 'en'), { code: 0, text: '' });
});
