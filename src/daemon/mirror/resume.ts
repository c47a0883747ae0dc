/**
 * A mirror process that died as primary, and whose device is still held: the role is taken up again, since requests wait.
 *
 * The host never ceased to be primary: nobody may have promoted the other one without having cut this one off, as with a
 * primary whose line is cut. All the same the peer is asked first, and where it is primary, requests go on waiting.
 */
import { type Text, text } from '../../base/index.ts';
import type { MirrorAnswer, MirrorConfig, MirrorStatus } from '../../mirror/index.ts';

/** Milliseconds. */
const LEAST_PATIENCE_MS = 5000;
const AGAIN_MS = 200;
const COMES_BACK: ReadonlySet<MirrorStatus['connection']> = new Set(['WFConnection', 'Unconnected']);

/** A peer that is there is met in this time: it is tried anew within connect-int, twice, since there are two connections. Milliseconds. */
export const patienceOf = (net: Pick<MirrorConfig['net'], 'connectInterval' | 'pingTimeout'>): number =>
  Math.max(LEAST_PATIENCE_MS, net.connectInterval + 2 * net.pingTimeout);

/** Whether to ask for the role now. `waited`: milliseconds since the start. A peer that is just telling its state is heard out. */
export function resumeNow(s: MirrorStatus, waited: number, patience: number): boolean {
  if (s.connection === 'WFReportParams' || s.volumes.some((v) => v.peerRole === 'Primary')) return false;
  return !COMES_BACK.has(s.connection) || waited >= patience;
}
export function resume(
  m: {
    readonly status: () => MirrorStatus;
    readonly promote: (then: (a: MirrorAnswer) => void) => void;
    readonly say: (t: Text) => void;
    /** Milliseconds: patienceOf. */
    readonly patience: number;
  },
  done: () => void,
): void {
  const began = performance.now();
  let last = '';
  const tell = (t: Text): void => {
    if (t.en !== last) m.say(t);
    last = t.en;
  };
  const look = (): void => {
    const again = (): void => void setTimeout(look, AGAIN_MS);
    const s = m.status();
    if (s.role === 'Primary') {
      done();
      return;
    }
    if (!resumeNow(s, performance.now() - began, m.patience)) {
      if (s.volumes.some((v) => v.peerRole === 'Primary'))
        tell(
          text(
            `${s.name}: requests of this host wait, since ${s.peer} is primary now: holdfast detach ${s.name} --force gives them up`,
            `${s.name}：${s.peer} 现为主节点，本机的请求继续等待；holdfast detach ${s.name} --force 可放弃它们`,
          ),
        );
      again();
      return;
    }
    m.promote((a) => {
      if (a.ok) {
        done();
        return;
      }
      tell(text(`${s.name}: requests wait: ${a.text.en}`, `${s.name}：请求等待中：${a.text.zh}`));
      again();
    });
  };
  look();
}
