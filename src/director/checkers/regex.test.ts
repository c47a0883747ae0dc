import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cannotBacktrack } from './bounded.ts';
import { converse } from './conversation.ts';
import { compilePattern, type Pattern, type PatternOptions } from './regex.ts';
import { simpleConversation } from './simple.ts';

/** Whether it matches; a string where it is refused. */
const match = (pattern: string, subject: string, o: PatternOptions = {}): boolean | string | undefined => {
  const p = compilePattern(pattern, o);
  return p.ok ? p.value.test(subject) : p.error.en;
};

test("PCRE's syntax that JavaScript lacks but can say", () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['\\Aabc', 'abc', true],
    ['\\Abc', 'abc', false],
    ['c\\z', 'abc', true],
    ['c\\z', 'abc\n', false],
    ['c\\Z', 'abc\n', true],
    ['c$', 'abc\n', true],
    ['c$', 'abc\n\n', false],
    ['^[[:alpha:]]+[[:digit:]]$', 'ab1', true],
    ['a\\hb', 'a\tb', true],
    ['a\\Rb', 'a\r\nb', true],
    ['\\Qa.b\\E+', 'a.bbb', true],
    ['\\Qa.b\\E', 'axb', false],
    ['(?P<x>a)\\k<x>', 'aa', true],
    ['(?i)ABC', 'abc', true],
    ['(?s)a.b', 'a\nb', true],
    ['a.b', 'a\nb', false],
    ['a(?#a remark)b', 'ab', true],
    ['x{2,3}', 'xx', true],
    ['a{b}', 'a{b}', true],
    ['[]x]', ']', true],
    ['[a\\]]+$', ']a', true],
  ];
  for (const [pattern, subject, want] of cases) assert.equal(match(pattern, subject), want, `${pattern} on ${subject}`);
});

test('options of PCRE2 by name', () => {
  const on = (...options: string[]): PatternOptions => ({ options });
  assert.equal(match('ABC', 'abc', on('caseless')), true);
  assert.equal(match('^b$', 'a\nb\nc', on('multiline')), true);
  assert.equal(match('a.b', 'a\nb', on('dotall')), true);
  assert.equal(match('a b # and a remark', 'ab', on('extended')), true);
  assert.equal(match('c$', 'abc\n', on('dollar_endonly')), false);
  assert.equal(match('b', 'a\nb', on('firstline')), false);
  assert.equal(match('b', 'ab', on('anchored')), false);
  assert.equal(match('a', 'ab', on('endanchored')), false);
  assert.equal(match('^(a+)a$', 'aaa', on('ungreedy')), true);
  assert.equal(match('^.$', Buffer.from('é').toString('latin1'), on('utf')), true);
  assert.equal(match('^.$', Buffer.from('é').toString('latin1')), false);
});

test('offsets: where the search begins, and where a match may begin at the latest', () => {
  assert.equal(match('a', 'abca', { minOffset: 1, maxOffset: 2 }), false);
  assert.equal(match('a', 'abca', { minOffset: 1, maxOffset: 3 }), true);
  assert.equal(match('a', 'abca', { minOffset: 9 }), false);
});

test('what JavaScript cannot express is refused by name, and never taken for something else', () => {
  for (const [pattern, name] of [
    ['a++', '++'],
    ['(?>a)', '(?>'],
    ['(?R)', '(?R'],
    ['(*ACCEPT)', '(*'],
    ['\\Ga', '\\G'],
    ['a\\Kb', '\\K'],
    ['a(?i)b', '(?i'],
    ['(?(1)a|b)', '(?('],
  ] as const)
    assert.equal(match(pattern, 'a'), `${name} cannot be expressed in JavaScript`);
  assert.match(String(match('(', 'a')), /^not a regular expression/);
  assert.equal(match('a', 'a', { options: ['dupnames'] }), 'option dupnames cannot be expressed');
});

test('no pattern and no subject make it throw', () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(...'ab\\[](){}*+?^$|.-:,#QEAZzRhpP<>=!1'.split(''), '[[:alpha:]]', '(?:', '(?P<n>', '\\Q'),
        { maxLength: 10 },
      ),
      fc.subarray(['caseless', 'utf', 'extended', 'ungreedy', 'firstline', 'anchored', 'nonsense']),
      fc.string({ maxLength: 12 }),
      (pattern, options, subject) => void match(pattern.join(''), subject, { options }),
    ),
    { numRuns: 3000 },
  ));

test('no answer of a server holds the other checkers: a match that backtracks without end is given up', () => {
  const evil = Buffer.from(`${'a'.repeat(60)}!\n`);
  const pattern = compilePattern('^(a+)+$');
  assert.ok(pattern.ok);
  assert.equal(pattern.value.test(evil.toString()), undefined);
  let matches = 0;
  const counted: Pattern = {
    ...pattern.value,
    test(subject) {
      matches++;
      return pattern.value.test(subject);
    },
  };
  const simple = simpleConversation('', counted);
  const said = converse(simple, Array(50).fill(evil)).finding;
  assert.deepEqual([said.passed, said.code], [false, 'pattern-slow']);
  assert.equal(matches, 1, 'and a server that dribbles is not matched again and again');
  assert.equal(pattern.value.test('aaa'), true, 'the same pattern goes on working');
});

test('what may backtrack is guarded; only plain text is not', () => {
  for (const plain of ['hello', 'a\\.b', '^ok$', 'a.c']) assert.ok(cannotBacktrack(plain), plain);
  for (const not of ['a*', 'a+', 'a?', 'a{2}', '(a)', '[a]', 'a|b', '\\1']) assert.ok(!cannotBacktrack(not), not);
});
