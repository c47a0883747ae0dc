/** Files that were made to hurt: each ends soon, with few clear findings of bounded length. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderDiagnostic } from '../../base/index.ts';
import { readKeepalivedConf } from './reader.ts';
import { filesOf } from './testdata/files.ts';
import { expandBraces } from './text/includes.ts';

const read = (text: string, more: Record<string, string> = {}) =>
  readKeepalivedConf({ file: 'k', files: filesOf({ ...more, k: text }) });
const codes = (text: string): string[] => [...new Set(read(text).diagnostics.map((d) => d.code))];

test('what is no text is said to be none, once', () => {
  assert.deepEqual(codes('vrrp_instance A\0B {\n\0\n}\n'), ['file-not-text']);
  assert.deepEqual(codes(Buffer.from('vrrp_instance A {\n}\n', 'utf16le').toString('utf8')), ['file-not-text']);
});
test('all files together have at most 16 MiB', () => {
  const half = `${'# '.padEnd(8 * 1024 * 1024, 'x')}\n`;
  const found = read('include a\ninclude b\ninclude c\n', { a: half, b: half, c: half }).diagnostics;
  assert.deepEqual(
    found.map((d) => d.code),
    ['file-too-large', 'file-too-large'],
  );
});
test('a pattern that matches too many files reads none of them', () => {
  let reads = 0;
  const base = filesOf({ k: 'include *\n' });
  const files = {
    read: (path: string) => {
      reads++;
      return base.read(path);
    },
    glob: () => Array.from({ length: 5000 }, (_, i) => `f${i}`),
  };
  assert.deepEqual(
    readKeepalivedConf({ file: 'k', files }).diagnostics.map((d) => d.code),
    ['include-too-deep'],
  );
  assert.equal(reads, 1);
});
test('a million findings are counted, not kept', () => {
  const found = read('nonsense\n'.repeat(100_000)).diagnostics;
  assert.ok(found.length < 500);
  assert.equal(found.at(-1)?.code, 'findings-more');
  assert.match(found.at(-1)?.message.en ?? '', /^99800 more/);
});
test('a finding about a line as long as its file is short, and shows where', () => {
  const text = `vrrp_instance ${'x'.repeat(1_000_000)} {\n}\n`;
  for (const d of read(text).diagnostics) {
    const shown = renderDiagnostic(d, 'en', (_, line) => text.split('\n')[line - 1]);
    assert.ok(shown.length < 2000, `${d.code}: ${shown.length}`);
    assert.match(shown, /\^/);
  }
});
test('what a terminal would obey is not shown', () => {
  const text = '\x1b]0;title\x07 \x9b31m\n';
  for (const d of read(text).diagnostics) {
    const shown = renderDiagnostic(d, 'en', () => text);
    assert.ok(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(shown), JSON.stringify(shown));
  }
});
test('braces inside and behind one another do not multiply', () => {
  assert.equal(expandBraces('{a,b}'.repeat(40)).length, 256);
  assert.deepEqual(expandBraces(`${'{'.repeat(5000)}a,b${'}'.repeat(5000)}`).length, 1);
});
test('a sequence of numbers beyond 2^53, where a step changes nothing, is refused', () => {
  assert.deepEqual(codes('~SEQ(a,9007199254740990,9007199254741000) x\n'), ['sequence-malformed']);
});
