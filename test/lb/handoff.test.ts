/** Two directors, DR by bpf: see handoff-pair.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { document, holdfast, skip, until } from './directors.ts';
import { handoffBy, Pair } from './handoff-pair.ts';

handoffBy('bpf');

test('a director with another key is not heard, and both say so', { skip }, async () => {
  await using pair = await Pair.start({
    linked: true,
    keys: ['the key of the first director', 'the key of the second one'],
  });
  for (const d of pair.directors) {
    const p = await until('messages are refused', async () => {
      const got = (await document(d))?.peer;
      return got && got.refused > 0 && got;
    });
    assert.deepEqual([p.state, p.held], ['never', 0]);
    const shown = await d.run([holdfast, 'lb', 'status', '--lang=en', '-p', '/run/a.pid']);
    assert.equal(shown.code, 8);
    assert.match(shown.stdout, /is not heard: connections by NAT and those of drained servers would not survive/);
  }
});
