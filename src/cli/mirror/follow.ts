/** Listens to mirrors: every document that their processes send, also of a process that takes the place of one that died. */
import { connect } from 'node:net';
import type { MirrorAsk, MirrorDocument } from '../../api/index.ts';

const AGAIN_MS = 200;
const FOLLOW: MirrorAsk = { ask: 'follow' };

/** Calls `seen` for each document and `gone` when a process ended; resolves when one of the two returns something. */
export function follow<T>(
  sockets: readonly string[],
  seen: (d: MirrorDocument, socket: string) => T | undefined,
  gone: (socket: string, forMs: number) => T | undefined,
  limitMs?: number,
): Promise<T | 'over'> {
  return new Promise((resolve) => {
    const closers = new Set<() => void>();
    let over = false;
    const end = (t: T | 'over'): void => {
      over = true;
      for (const close of closers) close();
      clearTimeout(limit);
      resolve(t);
    };
    const limit = limitMs === undefined ? undefined : setTimeout(() => end('over'), limitMs);
    const listen = (path: string, goneAt: number | undefined): void => {
      let since = goneAt;
      const s = connect(path);
      const close = (): void => void s.destroy();
      closers.add(close);
      s.setEncoding('utf8');
      s.on('error', () => {}); // its close follows
      s.on('connect', () => s.write(`${JSON.stringify(FOLLOW)}\n`));
      let rest = '';
      s.on('data', (chunk: string) => {
        since = undefined;
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const t = over ? undefined : seen(JSON.parse(line) as MirrorDocument, path);
          if (t !== undefined) end(t);
        }
      });
      s.on('close', () => {
        closers.delete(close);
        if (over) return;
        since ??= performance.now();
        const t = gone(path, performance.now() - since);
        if (t === undefined) setTimeout(() => (over ? undefined : listen(path, since)), AGAIN_MS);
        else end(t);
      });
    };
    for (const path of sockets) listen(path, undefined);
  });
}
