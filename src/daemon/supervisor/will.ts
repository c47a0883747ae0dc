/** Executes what a dead beat process left: peers learn at once that nobody is master here, and the addresses go. */
import { text } from '../../base/index.ts';
import type { Host } from '../../host/index.ts';
import type { Will } from '../messages.ts';

/** Removal first: from then on nobody answers for the address here, and only then may a peer take over. */
export function executeWills(wills: Iterable<Will>, host: Pick<Host, 'network' | 'sockets' | 'log'>): void {
  for (const will of wills) {
    const results = host.network.apply(will.commands);
    for (const r of results) {
      if (r.ok) continue;
      const { code, doing } = r.error;
      const words = text(`${doing.en}: ${code}`, `${doing.zh}：${code}`);
      host.log.write({ level: 'error', code: 'will.remove', text: words });
    }
    for (const p of will.packets) {
      const socket = host.sockets.raw(p.socket, () => {});
      if (!socket.ok) continue; // the interface went away together with the beat: nobody to tell
      socket.value.send(p.bytes, { address: p.to });
      socket.value.close();
    }
  }
}
