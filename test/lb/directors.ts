/** What tests of whole directors share: whether they can run, how one is started and asked, and how to wait for what it says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LbDocument } from '../../src/api/index.ts';
import { loadAddon } from '../../src/host/linux/index.ts';
import type { Host } from '../../src/lab/index.ts';

export const holdfast = join(resolve(import.meta.dirname, '../..'), 'bin/holdfast');
const possible = spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).status === 0;
export const skip = !possible ? 'needs root or user namespaces' : !loadAddon().ok ? 'needs the native addon' : false;

export async function until<T>(what: string, look: () => Promise<T | undefined | false>, limitMs = 90_000): Promise<T> {
  for (const end = performance.now() + limitMs; ; await sleep(100)) {
    const got = await look();
    if (got) return got;
    assert.ok(performance.now() < end, `waited ${limitMs} ms in vain: ${what}`);
  }
}
/** The daemon with the configuration /etc/k.conf, its directors' services on that plane. */
export const director = (plane: string): string[] => [
  holdfast,
  'keepalived',
  ...['-n', '-l', '--lang=en', '-p', '/run/a.pid', '-f', '/etc/k.conf'],
  `--lb-plane=${plane}`,
];
export async function document(h: Host): Promise<LbDocument | undefined> {
  const r = await h.run([holdfast, 'lb', 'status', '--json', '-p', '/run/a.pid']);
  return r.code === 0 || r.code === 8 ? (JSON.parse(r.stdout) as LbDocument) : undefined;
}
