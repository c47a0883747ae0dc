import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import type { Addon } from './addon.ts';

/**
 * Moves this thread into a network namespace of its own, with lo up. It goes away with the process. False, and the
 * test is skipped, where that is not permitted. For tests; `node --test` runs each file in its own process.
 */
export async function ownNetwork(t: TestContext, addon: Addon): Promise<boolean> {
  const holder = spawn('unshare', ['--net', 'sleep', '60'], { stdio: 'ignore' });
  try {
    const path = `/proc/${holder.pid}/comm`;
    for (const end = performance.now() + 30_000; performance.now() < end; ) {
      if (holder.exitCode !== null) break;
      if (holder.pid !== undefined && readFileSync(path, 'utf8') === 'sleep\n') {
        if (addon.enterNetwork(`/proc/${holder.pid}/ns/net`) < 0) break;
        execFileSync('ip', ['link', 'set', 'lo', 'up']);
        return true;
      }
      await new Promise((r) => setTimeout(r, 5));
    }
    t.skip('network namespaces are not permitted here');
    return false;
  } finally {
    holder.kill('SIGKILL');
  }
}
