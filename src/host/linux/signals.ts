/** Real-time signals, which process.on does not know. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { err, ok, type Result, text } from '../../base/index.ts';
import type { HostError } from '../index.ts';
import { hostError } from './addon.ts';

/** native/signals.c. Misuse throws; what libuv refuses is a negative errno. */
type SignalAddon = { watch(signal: number, arrived: () => void): number };

function load(): SignalAddon | undefined {
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    for (const place of ['build/native', `native/prebuilt/linux-${process.arch}`]) {
      const path = join(at, place, 'signals.node');
      if (existsSync(path)) return createRequire(import.meta.url)(path) as SignalAddon;
    }
    if (at === dirname(at)) return undefined;
  }
}

/** For the life of the process. `signal`: 34..64. */
export function onRealtimeSignal(signal: number, arrived: () => void): Result<void, HostError> {
  const doing = text(`listen for signal ${signal}`, `监听信号 ${signal}`);
  const addon = load();
  if (addon === undefined) return err({ code: 'ENOENT', doing });
  const r = addon.watch(signal, arrived);
  return r < 0 ? err(hostError(r, doing)) : ok(undefined);
}
