import { ok, type Result } from '../../../base/index.ts';
import type { HostError, StreamServer } from '../../index.ts';
import { loadAddon } from '../addon.ts';
import { loadNative } from '../native.ts';
import type { StreamsAddon } from './addon.ts';
import { streamServer } from './server.ts';

export { DuplexBytes } from './duplex.ts';

/** Stream sockets on Linux. */
export function linuxStreamServer(): Result<StreamServer, HostError> {
  const addon = loadNative<StreamsAddon>('streams');
  if (!addon.ok) return addon;
  const sockets = loadAddon();
  return sockets.ok ? ok(streamServer(addon.value, sockets.value)) : sockets;
}
