/**
 * One director in a network namespace: two would sweep each other's tables away. Who holds the name is the director; it belongs
 * to the namespace, and ends with its holder, whatever becomes of that (unix(7), abstract sockets). Every user may take such a
 * name, so a holder that is another user is none of ours and keeps nobody out.
 */
import { createServer, type Server } from 'node:net';
import { endianness } from 'node:os';
import type { Addon } from '../../host/linux/index.ts';
import { AF_UNIX, SOCK_STREAM, sockaddrAbstract } from '../../host/linux/index.ts';

const NAME = 'holdfast/director';
const SOL_SOCKET = 1;
/** struct ucred: pid, uid, gid. */
const SO_PEERCRED = 17;

export type Tenure =
  | { readonly is: 'held'; readonly release: () => void }
  /** `pid` as this process sees it: 0 where it cannot. */
  | { readonly is: 'taken'; readonly pid: number }
  | { readonly is: 'foreign'; readonly uid: number };

/** In the network namespace that this thread is in. */
export async function takeTenure(addon: Addon): Promise<Tenure> {
  const server = createServer((s) => s.destroy());
  if (await listens(server)) {
    // It is a name, no service: it keeps no process running.
    server.unref();
    return { is: 'held', release: () => server.close() };
  }
  const holder = holderOf(addon);
  // It has ended meanwhile: the next attempt is as good as any.
  if (holder === undefined) return { is: 'taken', pid: 0 };
  return holder.uid === process.getuid?.() ? { is: 'taken', pid: holder.pid } : { is: 'foreign', uid: holder.uid };
}
const listens = (server: Server): Promise<boolean> =>
  new Promise((done) => {
    server.once('error', () => done(false));
    server.listen({ path: `\0${NAME}` }, () => done(true));
  });
function holderOf(addon: Addon): { readonly pid: number; readonly uid: number } | undefined {
  const socket = addon.open(AF_UNIX, SOCK_STREAM, 0);
  if (typeof socket === 'number') return undefined;
  try {
    if (addon.connect(socket, sockaddrAbstract(NAME)) < 0) return undefined;
    const b = new Uint8Array(12);
    if (addon.getOption(socket, SOL_SOCKET, SO_PEERCRED, b) < 0) return undefined;
    const v = new DataView(b.buffer);
    const little = endianness() === 'LE';
    return { pid: v.getInt32(0, little), uid: v.getUint32(4, little) };
  } finally {
    addon.close(socket);
  }
}
