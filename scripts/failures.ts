/**
 * A reporter for Node.js's test runner that tells of failures alone: file, title, what was thrown, and the last lines that
 * the file wrote to its standard error. Said again at the very end of a run, where thousands of lines would hide them.
 */
import { resolve } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

/** Lines of one failure, and of what its file wrote before. */
const MOST_LINES = 40;
const SAID_LINES = 20;

export default async function* failures(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const said = new Map<string, string>();
  const failed = new Set<string>();
  for await (const event of source) {
    if (event.type === 'test:stderr') {
      const { message } = event.data;
      const file = resolve(event.data.file); // relative here, absolute where a test fails
      said.set(file, lastLines((said.get(file) ?? '') + message, SAID_LINES));
      continue;
    }
    if (event.type !== 'test:fail') continue;
    const { name, file, line, details } = event.data;
    // Each level above a failure fails too.
    if ('failureType' in details.error && details.error.failureType === 'subtestsFailed') continue;
    const thrown = details.error.cause ?? details.error;
    const what = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    yield `✖ ${name} (${file ?? '?'}:${line ?? '?'})\n${indented(what.split('\n').slice(0, MOST_LINES))}`;
    if (file !== undefined) failed.add(file);
  }
  for (const file of failed) {
    const words = said.get(file);
    if (words !== undefined) yield `  the last that ${file} said:\n${indented(words.trimEnd().split('\n'))}`;
  }
}
const lastLines = (s: string, n: number): string => s.split('\n').slice(-n).join('\n');
const indented = (lines: readonly string[]): string => lines.map((l) => `    ${l}\n`).join('');
