import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { us } from '../../base/index.ts';
import { loadAddon } from './addon.ts';
import { linuxClock } from './clock.ts';

const addon = loadAddon();
assert.ok(addon.ok, 'npm run setup builds the addon');
const clock = linuxClock(addon.value);
const wait = (length: number): Promise<void> => new Promise((r) => clock.at(us(clock.now() + length), r));

test('deadlines run in order, equal ones in the order of asking, none early', async () => {
  const start = clock.now();
  const seen: string[] = [];
  const at = (name: string, after: number): void => {
    const due = us(start + after);
    clock.at(due, () => {
      assert.ok(clock.now() >= due);
      seen.push(name);
    });
  };
  at('c', 9000);
  at('a', 3000);
  at('b1', 6000);
  at('b2', 6000);
  at('past', -5000);
  assert.deepEqual(seen, [], 'a deadline that has passed still waits for its turn');
  await wait(15_000);
  assert.deepEqual(seen, ['past', 'a', 'b1', 'b2', 'c']);
});

test('a cancelled deadline never runs, wherever it is in the heap, and cancelling twice is harmless', async () => {
  const start = clock.now();
  const ran = new Set<number>();
  const cancels = Array.from({ length: 500 }, (_, i) => clock.at(us(start + ((i * 7919) % 20_000)), () => ran.add(i)));
  for (let i = 0; i < 500; i++) {
    if (i % 3 === 0) continue;
    cancels[i]?.();
    cancels[i]?.();
  }
  await wait(25_000);
  assert.equal(ran.size, 167);
  for (const i of ran) assert.equal(i % 3, 0);
  cancels[0]?.();
});

test('a deadline that comes earlier than all others is served at its own time', async () => {
  const seen: string[] = [];
  const cancel = clock.at(us(clock.now() + 3_600_000_000), () => seen.push('hour'));
  clock.at(us(clock.now() + 2000), () => seen.push('soon'));
  await wait(5000);
  cancel();
  assert.deepEqual(seen, ['soon']);
});

test('a callback that asks for now again and again leaves the event loop alive', async () => {
  let turns = 0;
  let stop = false;
  const again = (): void => {
    turns++;
    if (!stop) clock.at(us(0), again);
  };
  again();
  await new Promise((r) => setImmediate(r));
  await wait(2000);
  stop = true;
  assert.ok(turns > 1);
});

test('a callback may cancel one that is due in the same turn', async () => {
  const seen: string[] = [];
  const due = us(clock.now() + 2000);
  let cancel = (): void => {};
  clock.at(due, () => {
    seen.push('first');
    cancel();
  });
  cancel = clock.at(due, () => seen.push('second'));
  await wait(5000);
  assert.deepEqual(seen, ['first']);
});

const child = (body: string): string =>
  execFileSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { loadAddon } from ${JSON.stringify(join(import.meta.dirname, 'addon.ts'))};
       import { linuxClock } from ${JSON.stringify(join(import.meta.dirname, 'clock.ts'))};
       const clock = linuxClock(loadAddon().value); ${body}`,
    ],
    { encoding: 'utf8', timeout: 120_000 },
  );

test('a process runs until its last deadline, and not for a cancelled one', () => {
  assert.equal(child(`clock.at(clock.now() + 1000, () => console.log('ran'))`), 'ran\n');
  assert.equal(child(`clock.at(clock.now() + 3600e6, () => console.log('ran'))(); console.log('end')`), 'end\n');
});

test('a callback that throws does not stop those behind it', () => {
  const out = child(`process.on('uncaughtException', (e) => console.log(e.message));
    clock.at(clock.now() + 1000, () => { throw new Error('boom'); });
    clock.at(clock.now() + 1000, () => console.log('behind'));`);
  assert.equal(out, 'boom\nbehind\n');
});
