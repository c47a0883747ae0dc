import { ok, type Result } from '../../../base/index.ts';
import type { HostError, Streams } from '../../index.ts';
import { loadAddon } from '../addon.ts';
import { loadNative } from '../native.ts';
import type { StreamsAddon } from './addon.ts';
import { linuxStreams } from './streams.ts';

export { DuplexBytes } from './duplex.ts';

/** Stream sockets on Linux. */
export function openStreams(): Result<Streams, HostError> {
  const addon = loadNative<StreamsAddon>('streams');
  if (!addon.ok) return addon;
  const sockets = loadAddon();
  return sockets.ok ? ok(linuxStreams(addon.value, sockets.value)) : sockets;
}
