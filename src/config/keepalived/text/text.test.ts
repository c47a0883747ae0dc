// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how a parameter is written in a keepalived.conf
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Report } from '../report.ts';
import { filesOf } from '../testdata/files.ts';
import { Expander } from './expand.ts';
import { expandBraces, Includes } from './includes.ts';
import { traced } from './traced.ts';
import { type Statement, treeOf } from './tree.ts';
import { wordsOf } from './words.ts';

const words = (line: string): string[] => wordsOf(traced('f', 1, line), new Report(false)).map((w) => w.text);

test('a comment begins at # or ! even in the middle of a word; double quotes and backslashes protect', () => {
  assert.deepEqual(words('virtual_router_id 33#这个虚拟ip'), ['virtual_router_id', '33']);
  assert.deepEqual(words('global_defs {#全局配置'), ['global_defs', '{']);
  assert.deepEqual(words('a b! c'), ['a', 'b']);
  assert.deepEqual(words('a "b#c!d" e\\#f#g'), ['a', 'b#c!d', 'e#f']);
});
test('quotes of either kind join to the word they touch', () => {
  assert.deepEqual(words('abcd" efg h jkl "mnop'), ['abcd efg h jkl mnop']);
  assert.deepEqual(words(`a 'b c' "d 'e f'" ""`), ['a', 'b c', "d 'e f'", '']);
});
test("escapes are the shell's", () => {
  assert.deepEqual(words('\\a\\b\\E\\f\\n\\r\\t\\v \\101\\x42\\cC \\q\\\\'), ['\x07\b\x1b\f\n\r\t\v', 'AB\x03', 'q\\']);
});
test('braces are words of their own, unless quoted or of an unknown parameter', () => {
  assert.deepEqual(words('a{b}"{" ${X}y'), ['a', '{', 'b', '}', '{', '${X}y']);
});
test('every word knows where it stands', () => {
  const places = wordsOf(traced('f', 9, '\tab  "c d"e{'), new Report(false)).map((w) => [
    w.place.line,
    w.place.column,
    w.place.length,
  ]);
  assert.deepEqual(places, [[9, 2, 2], [9, 6, 6], [9, 12, 1]]); // biome-ignore format: one row a word
});
test("a brace may stand on a line of its own; text behind it is the block's first statement", () => {
  const report = new Report(false);
  const lines = ['a b', '{', 'c { d e', 'f }', '}'].map((l, i) => wordsOf(traced('f', i + 1, l), report));
  const shape = (s: readonly Statement[]): unknown =>
    s.map((x) => [x.words.map((w) => w.text).join(' '), ...(x.body ? [shape(x.body)] : [])]);
  assert.deepEqual(shape(treeOf(lines, report)), [['a b', [['c', [['d e'], ['f']]]]]]);
  assert.deepEqual(report.diagnostics, []);
});
test('missing, surplus and ownerless braces are each told once', () => {
  const codes = (s: string): string[] => {
    const report = new Report(false);
    treeOf(
      s.split('\n').map((l, i) => wordsOf(traced('f', i + 1, l), report)),
      report,
    );
    return report.diagnostics.map((d) => d.code);
  };
  assert.deepEqual(codes('a {\nb {\n}'), ['brace-missing']);
  assert.deepEqual(codes('a {\n}\n}'), ['brace-unexpected']);
  assert.deepEqual(codes('{\n}'), ['brace-without-keyword']);
});

function expanded(
  text: string,
  o: { id?: string; env?: Record<string, string>; seed?: number; maxLines?: number } = {},
) {
  const report = new Report(false);
  const lines = text.split('\n').map((l, i) => traced('/etc/k/f', i + 1, l));
  const options = {
    configId: o.id ?? 'h1',
    environment: o.env ?? {},
    seed: o.seed ?? 1,
    maxLines: o.maxLines ?? 10_000,
  };
  const all = new Expander(options, report).words(lines);
  return {
    lines: all.map((l) => l.map((w) => w.text).join(' ')),
    places: all.map((l) => l.map((w) => w.place)),
    codes: report.diagnostics.map((d) => d.code),
  };
}
test("a conditional line is kept where its id is this host's, or with ^ is not", () => {
  assert.deepEqual(expanded('@h1 a\n@h2 b\n @^h1 c\n@^h2 d').lines, ['a', 'd']);
  assert.deepEqual(expanded('$M=@h1\n$M a\n$N=@h2\n${N} b\n@h1 $P=7\nc $P').lines, ['a', 'c 7']);
});
test('parameters are replaced when used, again and again, and only where they are known', () => {
  const text = '$B=10.2.${S}\n$S=0\n${B}.1/32\n$S=10\n${B}.1/32\n$Sx ${T} $S\n$E=\na${E}b';
  assert.deepEqual(expanded(text).lines, ['10.2.0.1/32', '10.2.10.1/32', '$Sx ${T} 10', 'ab']);
});
test('a parameter of several lines is worked through where it is used, definitions in it included', () => {
  const text = '$R= \\\n  r ${N} { \\\n   @h1 here \\\n\n } # end\n$V= \\\n $N=1 \\\n $R \\\n $N=2 \\\n ${R}\n$V';
  assert.deepEqual(expanded(text).lines, ['r 1 {', 'here', '}', 'r 2 {', 'here', '}']);
  assert.deepEqual(expanded(`${text} x`).codes, ['parameter-lines-inline']);
});
test('what a parameter stands for is placed at its use', () => {
  const { places } = expanded('$L=a bc\nx ${L}y z');
  assert.deepEqual(places[0]?.map((p) => [p.line, p.column, p.length]), [[2, 1, 1], [2, 3, 4], [2, 3, 5], [2, 9, 1]]); // biome-ignore format: one row a word
});
test('the predefined parameters', () => {
  assert.deepEqual(
    expanded('a ${_PWD} ${_INSTANCE} "${_HASH}" x${_BANG}y ${_ENV HOME}', { env: { HOME: '/root' } }).lines,
    ['a /etc/k h1 # x!y /root'],
  );
  assert.deepEqual(expanded('${_ENV NOPE}a').codes, ['environment-unset']);
  assert.deepEqual(expanded('$_X=1').codes, ['parameter-reserved']);
});
test('random numbers repeat from one seed and stay in their range', () => {
  const text = 'random_seed 5\n${_RANDOM 10 12} ${_RANDOM} ${_RANDOM 3}';
  const { lines } = expanded(text, { seed: 1 });
  assert.deepEqual(expanded(text, { seed: 2 }).lines, lines);
  const [a, b, c] = lines[1]!.split(' ').map(Number) as [number, number, number];
  assert.ok(a >= 10 && a <= 12 && b >= 0 && b <= 32767 && c >= 3);
  assert.deepEqual(expanded('${_RANDOM 5 4}').codes, ['random-range']);
});
test('~SEQ counts up and down, in decimal and hexadecimal, with its defaults', () => {
  assert.deepEqual(expanded('~SEQ(X, 0, 3) a$X b${X}').lines, ['a0 b0', 'a1 b1', 'a2 b2', 'a3 b3']);
  assert.deepEqual(expanded('~SEQ(X,3) ${X}').lines, ['1', '2', '3']);
  assert.deepEqual(expanded('~SEQ(X,-2) ${X}').lines, ['-1', '-2']);
  assert.deepEqual(expanded('~SEQ(X,3,1) ${X}').lines, ['3', '2', '1']);
  assert.deepEqual(expanded('~SEQx(X, 0x90, 0x10, 0xb0) ${X}').lines, ['90', 'a0', 'b0']);
  assert.deepEqual(expanded('~SEQ(X,1,2) ~SEQ(Y,1,2) ${X}${Y}').lines, ['11', '12', '21', '22']);
  for (const bad of ['~SEQ(X)', '~SEQ(X,a)', '~SEQ(X,1,0,5) a', '~SEQ(1,2) a', '~SEQ(X,1,99999999) a', '~SEQ x'])
    assert.deepEqual(expanded(bad).codes, ['sequence-malformed'], bad);
});
test('~LST gives one value or several at a time, and nests with ~SEQ', () => {
  assert.deepEqual(expanded('~LST(X, a, b) ${X}').lines, ['a', 'b']);
  assert.deepEqual(expanded('~LST({A, B}, {10,1},{20,4}) ~SEQ(C,168,2,170) ${C}.${A}.${B}').lines, [
    '168.10.1',
    '170.10.1',
    '168.20.4',
    '170.20.4',
  ]);
  assert.deepEqual(expanded('~LST({A,B},{1}) ${A}').codes, ['sequence-malformed']);
});
test('endless references and floods of lines are errors, not hangs', () => {
  assert.deepEqual(expanded('$A=${B}x\n$B=${A}y\n${A}').codes, ['expansion-too-deep']);
  assert.deepEqual(expanded('$A= \\\n x \\\n $A\n$A').codes, ['expansion-too-deep']);
  assert.deepEqual(expanded('~SEQ(A,1,60000) x${A}', { maxLines: 100 }).codes, ['expansion-too-long']);
  assert.deepEqual(expanded('$A= \\\n x').codes, []);
  assert.deepEqual(expanded('$A= \\').codes, ['definition-unfinished']);
});

function included(texts: Record<string, string>) {
  const report = new Report(false);
  const includes = new Includes(filesOf(texts), report);
  const lines = includes.read('/k/main.conf')?.map((t) => `${t.file}:${t.line} ${t.text}`);
  return { lines, told: report.diagnostics.map((d) => `${d.severity} ${d.code}`) };
}
test("an included file stands in place of its line, found from the including file's folder", () => {
  const { lines, told } = included({
    '/k/main.conf': 'a\n include "d/*.conf" # all\nz',
    '/k/d/1.conf': 'b\nincludea ../e.conf',
    '/k/d/../e.conf': 'e',
    '/k/d/2.conf': 'c',
  });
  assert.deepEqual(lines, [
    '/k/main.conf:1 a',
    '/k/d/1.conf:1 b',
    '/k/d/../e.conf:1 e',
    '/k/d/2.conf:1 c',
    '/k/main.conf:3 z',
  ]);
  assert.deepEqual(told, []);
});
test('each form of include checks what its name says', () => {
  const forms = (line: string): string[] => included({ '/k/main.conf': line, '/k/a': '' }).told;
  assert.deepEqual(forms('include nope'), ['warning include-no-match']);
  assert.deepEqual(forms('include nope*'), []);
  assert.deepEqual(forms('includer nope'), ['error include-no-match']);
  assert.deepEqual(forms('includem nope'), ['error include-no-match']);
  assert.deepEqual(forms('includem nope*'), []);
  assert.deepEqual(forms('includew nope*'), ['error include-no-match']);
  assert.deepEqual(forms('includeb {a,b}'), ['error include-no-match']);
  assert.deepEqual(forms('include {a,b}'), []);
  assert.deepEqual(forms('includea {a,a}'), []);
  assert.deepEqual(forms('include'), ['error value-missing']);
  assert.deepEqual(forms('global_defs {\ninclude_check\n}\ninclude nope*'), ['error include-no-match']);
  assert.deepEqual(forms('include_check\ninclude_check -wildcard_match -match\ninclude nope*'), []);
});
test('a file that includes itself, and an unreadable one, are told with their place', () => {
  const cycle = included({ '/k/main.conf': 'include b', '/k/b': 'include ./main.conf', '/k/./main.conf': '' });
  assert.deepEqual(cycle.told, ['error include-cycle']);
  const none = included({});
  assert.equal(none.lines, undefined);
  assert.deepEqual(none.told, ['error file-unreadable']);
});
test('braces expand as csh does', () => {
  assert.deepEqual(expandBraces('foo/{,cat,d{o,i}g},bar'), ['foo/,bar', 'foo/cat,bar', 'foo/dog,bar', 'foo/dig,bar']);
  assert.deepEqual(expandBraces('a{b'), ['a{b']);
});
test('no text makes the stages throw', () => {
  const alphabet = fc.constantFrom(
    '$',
    '{',
    '}',
    '~SEQ(',
    ')',
    'A',
    '=',
    '\\',
    '\n',
    ' ',
    '"',
    "'",
    '#',
    '@',
    ',',
    '1',
    '_RANDOM',
    '\\x',
    '\\c',
    '虚',
  );
  const text = fc.array(alphabet, { maxLength: 60 }).map((a) => a.join(''));
  fc.assert(
    fc.property(text, (s) => {
      const report = new Report(true);
      const lines = s.split('\n').map((l, i) => traced('f', i + 1, l));
      treeOf(new Expander({ configId: 'A', environment: {}, seed: 1, maxLines: 500 }, report).words(lines), report);
    }),
    { numRuns: 3000 },
  );
});
