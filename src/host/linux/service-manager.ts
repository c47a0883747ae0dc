/** sd_notify(3): a unit of Type=notify tells that it has started or stops. */
import type { Addon } from './addon.ts';
import { AF_UNIX, SOCK_DGRAM, sockaddrUnix } from './sockaddr.ts';

/** `READY=1`, `STOPPING=1`. Without a service manager, or where it does not take it, nothing happens. */
export function tellServiceManager(addon: Addon, state: 'READY=1' | 'STOPPING=1'): void {
  const path = process.env['NOTIFY_SOCKET'];
  if (path === undefined || path === '') return;
  const socket = addon.open(AF_UNIX, SOCK_DGRAM, 0);
  if (typeof socket === 'number') return;
  // A leading @ stands for the zero byte of an abstract name.
  const name = sockaddrUnix(path.startsWith('@') ? `\0${path.slice(1)}` : path);
  const length = path.startsWith('@') ? name.length - 1 : name.length; // an abstract name is not terminated
  addon.send(socket, new TextEncoder().encode(state), name.subarray(0, length), undefined, 0);
  addon.close(socket);
}
