/** The demo is what a newcomer sees first: it must come true, in both languages, on a terminal of 80 columns. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cellWidth } from '../../src/base/index.ts';

const script = join(import.meta.dirname, '../../scripts/demo.ts');
const LONGEST_MS = 40_000;

async function demo(...words: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [script, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (d: string) => (output += d));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, output };
}

describe('npm run demo', { concurrency: 2 }, () => {
  for (const [language, master] of [
    ['en', /ha2 is MASTER: [\s\S]*without an answer for [0-3]\.\d\d s[\s\S]*ha1 is MASTER again/],
    ['zh', /ha2 成为主机[\s\S]*客户端有 [0-3]\.\d\d 秒没有得到应答[\s\S]*ha1 重新成为主机/],
  ] as const)
    test(`tells its story to the end (${language})`, { timeout: LONGEST_MS }, async () => {
      const { code, output } = await demo('--lang', language);
      assert.equal(code, 0, output);
      assert.match(output, master);
      const wide = output.split('\n').filter((line) => cellWidth(line) > 80);
      assert.deepEqual(wide, [], 'fits 80 columns');
    });

  test('an unknown name is refused with the names that there are', async () => {
    const { code, output } = await demo('three-directors', '--lang', 'en');
    assert.equal(code, 2);
    assert.match(output, /demos: two-directors/);
  });
});
