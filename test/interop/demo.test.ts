/** The demo is what a newcomer sees first: it must come true, in both languages, on a terminal of 80 columns. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cellWidth } from '../../src/base/index.ts';
import { Stalls } from '../support/stalls.ts';

const script = join(import.meta.dirname, '../../scripts/demo.ts');
const unbroken =
  /plane bpf[\s\S]*; 0 kept ones broke[\s\S]* 0 of 64 connections broke|数据面 bpf[\s\S]*中断了 0 个。?$/m;
const insideUserNamespace = !/^ +0 +0 +4294967295$/m.test(readFileSync('/proc/self/uid_map', 'utf8'));
const LONGEST_MS = 280_000;
/** Three intervals of a second and the skew of priority 96. Seconds. */
const MASTER_DOWN = 3.625;

async function demo(...words: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [script, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (d: string) => (output += d));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, output };
}

describe('npm run demo', { concurrency: 2 }, () => {
  for (const [language, story] of [
    [
      'en',
      /take turns[\s\S]*web1 is out[\s\S]*web1 serves[\s\S]*own page[\s\S]*POWER CUT[\s\S]*without an answer for \d+\.\d\d s[\s\S]*of 64 kept connections, \d+ broke[\s\S]*ha1 is MASTER again[\s\S]*; \d+ kept ones broke/,
    ],
    [
      'zh',
      /轮流应答[\s\S]*web1 已移出[\s\S]*恢复服务[\s\S]*自己的页面[\s\S]*突然断电[\s\S]*有 \d+\.\d\d 秒没有得到应答[\s\S]*64 个保持的连接中断了 \d+ 个[\s\S]*ha1 重新成为主机[\s\S]*保持的连接中断了 \d+ 个/,
    ],
  ] as const)
    test(`tells its story to the end (${language})`, { timeout: LONGEST_MS }, async (t) => {
      const stalls = Stalls.watch(t);
      const { code, output } = await demo('--lang', language);
      assert.equal(code, 0, output);
      assert.match(output, story);
      const outage = Number(/(?:without an answer for|有) (\d+\.\d\d) (?:s|秒)/.exec(output)?.[1]);
      const words = `the client was not answered for ${outage} s; the machine stood still for ${stalls.worst} ms`;
      assert.ok(outage < MASTER_DOWN + 0.4 + (5 * stalls.worst) / 1000, words);
      // Only an ordinary user, who may not load programs into the kernel, has another plane.
      if (process.getuid?.() === 0 && !insideUserNamespace) assert.match(output, unbroken);
      const wide = output.split('\n').filter((line) => cellWidth(line) > 80);
      assert.deepEqual(wide, [], 'fits 80 columns');
    });

  const makesDevices = process.getuid?.() === 0 && existsSync('/dev/loop-control');
  for (const [language, story] of [
    [
      'en',
      /POWER CUT at ha1[\s\S]*all \d+ acknowledged records are there[\s\S]*\] \d+ %[\s\S]*equal again[\s\S]*none was lost/,
    ],
    ['zh', /突然断电[\s\S]*已确认的 \d+ 条记录全部在[\s\S]*\] \d+ %[\s\S]*重新一致[\s\S]*一条未丢/],
  ] as const)
    test(`of a mirror, too (${language})`, { timeout: LONGEST_MS, skip: !makesDevices }, async () => {
      const { code, output } = await demo('mirror', '--lang', language);
      assert.equal(code, 0, output);
      assert.match(output, story);
      const wide = output.split('\n').filter((line) => cellWidth(line) > 80);
      assert.deepEqual(wide, [], 'fits 80 columns');
    });

  test('an unknown name is refused with the names that there are', async () => {
    const { code, output } = await demo('three-directors', '--lang', 'en');
    assert.equal(code, 2);
    assert.match(output, /demos: two-directors, mirror/);
  });
});
