import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const MAIN = join(import.meta.dirname, 'held-main.ts');

test('what nobody holds is free', () => {
  assert.equal(execFileSync(process.execPath, ['--no-warnings', MAIN, '/dev/null'], { encoding: 'utf8' }), 'free');
});

test('who asks whether a device is held loads two files, and not all of the exports: detach waits for it', () => {
  const loads = (file: string): readonly string[] => {
    const own = readFileSync(file, 'utf8').matchAll(/ from '(\.[^']+)'/g);
    return [file, ...[...own].flatMap(([, path]) => loads(join(dirname(file), path as string)))];
  };
  assert.deepEqual(loads(MAIN), [MAIN, join(import.meta.dirname, 'exclusive.ts')]);
});
