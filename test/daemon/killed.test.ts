import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { until, whyNot } from './bench.ts';

const MADE = `
  const { Bench } = await import(${JSON.stringify(join(import.meta.dirname, 'bench.ts'))});
  const bench = new Bench({ after() {} });
  bench.start(['sleep', '600']);
  console.log(bench.name);
`;
const namespaces = (): string => execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });

test('nothing is left of a namespace whose test was killed', { skip: whyNot() }, async () => {
  const killed = spawn(process.execPath, ['--input-type=module', '-e', MADE], { stdio: ['ignore', 'pipe', 'inherit'] });
  let name = '';
  killed.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    name += chunk;
  });
  await until('the namespace', () => name.endsWith('\n'));
  name = name.trim();
  assert.ok(namespaces().includes(name));
  killed.kill('SIGKILL');
  await until('it is gone', () => !namespaces().includes(name));
});
